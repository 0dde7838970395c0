#include <tensair/runtime/edge_shape.hpp>

namespace tensair::runtime {

auto EdgeShape::one_to_one() const -> bool {
  if (senders != receivers) return false;
  return reach != Reach::every_instance || senders.total() == 1;
}

auto EdgeShape::senders_to(net::Rank rank, int index) const -> std::size_t {
  if (reach != Reach::own_node) return static_cast<std::size_t>(senders.total());
  std::size_t count = 0;
  for (int sender = index; sender < senders.on(rank); sender += receivers.on(rank)) ++count;
  return count;
}

auto EdgeShape::number_of(net::Rank rank, int index) const -> std::uint32_t {
  if (reach == Reach::own_node) return static_cast<std::uint32_t>(index / receivers.on(rank));
  return static_cast<std::uint32_t>(senders.before(rank) + index);
}

auto targets_of(const EdgeShape& shape, net::Rank rank, int sender) -> std::vector<EdgeTarget> {
  if (shape.reach == Reach::own_node) return {{rank, sender % shape.receivers.on(rank)}};
  std::vector<EdgeTarget> targets;
  for (net::Rank node = 0; node < shape.receivers.nodes(); ++node) {
    for (int i = 0; i < shape.receivers.on(node); ++i) targets.push_back({node, i});
  }
  return targets;
}

}  // namespace tensair::runtime
