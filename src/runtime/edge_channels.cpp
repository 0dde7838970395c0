#include <fmt/format.h>

#include <tensair/error.hpp>
#include <tensair/runtime/edge_channels.hpp>

namespace tensair::runtime {
namespace {

// A channel's number has the operator in its low 16 bits, the receiver above, and two bits for credits and replies.
constexpr int receiver_shift = 16;
constexpr int most_receivers = 1 << 12;

}  // namespace

auto EdgeShape::one_to_one(int nodes) const -> bool {
  switch (reach) {
    case Reach::every_instance:
      return nodes == 1 && senders == 1 && receivers == 1;
    case Reach::first_node:
      return senders == 1 && (nodes == 1 || !senders_everywhere);
    case Reach::forward_or_every_instance:
    case Reach::own_node:
      return senders == receivers && (nodes == 1 || senders_everywhere == receivers_everywhere);
  }
  return false;
}

auto EdgeShape::senders_to(net::Rank rank, int index, int nodes) const -> std::size_t {
  if (reach != Reach::own_node) return static_cast<std::size_t>((senders_everywhere ? nodes : 1) * senders);
  std::size_t count = 0;
  for (int sender = index; sender < senders_on(rank); sender += receivers) ++count;
  return count;
}

auto EdgeShape::number_of(net::Rank rank, int index) const -> std::uint32_t {
  if (reach == Reach::own_node) return static_cast<std::uint32_t>(index / receivers);
  return static_cast<std::uint32_t>((senders_everywhere ? rank * senders : 0) + index);
}

auto targets_of(const EdgeShape& shape, net::Rank rank, int sender, int nodes) -> std::vector<EdgeTarget> {
  if (shape.reach == Reach::first_node) return {{0, 0}};
  if (shape.reach == Reach::own_node) return {{rank, sender % shape.receivers}};
  std::vector<EdgeTarget> targets;
  for (net::Rank node = 0; node < nodes; ++node) {
    for (int i = 0; i < shape.receivers_on(node); ++i) targets.push_back({node, i});
  }
  return targets;
}

auto channel_of_receiver(net::ChannelId first, int index) -> net::ChannelId {
  if (index >= most_receivers) {
    throw UsageError(fmt::format("an operator has more than {} parallel instances on a node", most_receivers), {},
                     "Give .parallel(n) a smaller n.");
  }
  return first | static_cast<net::ChannelId>(index) << receiver_shift;
}

EdgeChannels::EdgeChannels(Node& node, net::ChannelId first, const EdgeShape& shape, std::size_t credits,
                           detail::ReadParcel read)
    : node_(node), first_(first), shape_(shape), credits_(credits), may_leave_node_(read != nullptr) {
  for (int i = 0; i < shape.receivers_on(node.rank()); ++i) {
    inlets_.push_back(std::make_shared<detail::AnyInlet>(node, channel_of_receiver(first, i),
                                                         shape.senders_to(node.rank(), i, node.count()), credits,
                                                         Granting::always, read));
  }
}

auto EdgeChannels::connect() -> std::vector<std::vector<detail::AnyOutlet>> {
  const auto senders = static_cast<std::size_t>(shape_.senders_on(node_.rank()));
  std::vector<std::vector<detail::AnyOutlet>> outlets(senders);
  // By receiver of each node: whom its credits are for.
  std::vector<std::vector<std::shared_ptr<detail::CreditReturn>>> returns(static_cast<std::size_t>(shape_.receivers));
  bool leaves_node = false;
  for (std::size_t sender = 0; sender < senders; ++sender) {
    const auto targets = targets_of(shape_, node_.rank(), static_cast<int>(sender), node_.count());
    outlets[sender].resize(targets.size());
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const auto& target = targets[i];
      const auto index = static_cast<std::size_t>(target.index);
      auto& outlet = outlets[sender][i];
      if (target.rank == node_.rank()) {
        outlet = detail::AnyOutlet(inlets_[index], credits_);
      } else if (may_leave_node_) {
        // What cannot be encoded stays on its node: whoever makes the edge has checked that.
        leaves_node = true;
        outlet = detail::AnyOutlet(node_, target.rank, channel_of_receiver(first_, target.index), credits_,
                                   static_cast<detail::SenderId>(sender));
        returns[index].resize(static_cast<std::size_t>(node_.count()) * senders);
        returns[index][static_cast<std::size_t>(target.rank) * senders + sender] = outlet.credit_return();
      }
    }
  }
  if (leaves_node) {
    for (int i = 0; i < shape_.receivers; ++i) {
      receive_credits(node_, channel_of_receiver(first_, i), std::move(returns[static_cast<std::size_t>(i)]), senders);
    }
  }
  return outlets;
}

}  // namespace tensair::runtime
