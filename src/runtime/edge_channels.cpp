#include <fmt/format.h>

#include <algorithm>
#include <tensair/error.hpp>
#include <tensair/runtime/edge_channels.hpp>

namespace tensair::runtime {
namespace {

// A channel's number has the operator in its low 16 bits, the receiver above, and two bits for credits and replies.
constexpr int receiver_shift = 16;
constexpr int most_receivers = 1 << 12;

}  // namespace

auto channel_of_receiver(net::ChannelId first, int index) -> net::ChannelId {
  if (index >= most_receivers) {
    throw UsageError(fmt::format("an operator has more than {} parallel instances on a node", most_receivers), {},
                     "Give .parallel(n) a smaller n.");
  }
  return first | static_cast<net::ChannelId>(index) << receiver_shift;
}

EdgeChannels::EdgeChannels(Node& node, net::ChannelId first, const EdgeShape& shape, Credits credits,
                           detail::ReadParcel read, enum compression method)
    : node_(node),
      first_(first),
      shape_(shape),
      credits_(credits),
      compression_(method),
      may_leave_node_(read != nullptr) {
  // A sender's credits are shared out among its receivers: what is under way must not grow with their number squared.
  const auto receivers = static_cast<std::size_t>(std::max(shape.receivers.total(), 1));
  credits_.between_nodes = std::max(credits.on_node, credits.between_nodes / receivers);
  for (int i = 0; i < shape.receivers.on(node.rank()); ++i) {
    inlets_.push_back(std::make_shared<detail::AnyInlet>(node, channel_of_receiver(first, i),
                                                         shape.senders_to(node.rank(), i), Granting::always, read));
    inlets_.back()->grant_together(credits_.between_nodes / 4);
  }
}

auto EdgeChannels::connect() -> std::vector<std::vector<detail::AnyOutlet>> {
  const auto senders = static_cast<std::size_t>(shape_.senders.on(node_.rank()));
  std::vector<std::vector<detail::AnyOutlet>> outlets(senders);
  // By receiver of each node: whom its credits are for.
  std::vector<std::vector<std::shared_ptr<detail::CreditReturn>>> returns(
      static_cast<std::size_t>(shape_.receivers.most()));
  bool leaves_node = false;
  for (std::size_t sender = 0; sender < senders; ++sender) {
    const auto targets = targets_of(shape_, node_.rank(), static_cast<int>(sender));
    outlets[sender].resize(targets.size());
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const auto& target = targets[i];
      const auto index = static_cast<std::size_t>(target.index);
      auto& outlet = outlets[sender][i];
      if (target.rank == node_.rank()) {
        outlet = detail::AnyOutlet(inlets_[index], credits_.on_node);
      } else if (may_leave_node_) {
        // What cannot be encoded stays on its node: whoever makes the edge has checked that.
        leaves_node = true;
        outlet = detail::AnyOutlet(node_, target.rank, channel_of_receiver(first_, target.index),
                                   credits_.between_nodes, static_cast<detail::SenderId>(sender), compression_);
        returns[index].resize(static_cast<std::size_t>(node_.count()) * senders);
        returns[index][static_cast<std::size_t>(target.rank) * senders + sender] = outlet.credit_return();
      }
    }
  }
  if (leaves_node) {
    for (int i = 0; i < shape_.receivers.most(); ++i) {
      receive_credits(node_, channel_of_receiver(first_, i), std::move(returns[static_cast<std::size_t>(i)]), senders);
    }
  }
  return outlets;
}

}  // namespace tensair::runtime
