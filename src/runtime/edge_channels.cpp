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

}  // namespace tensair::runtime
