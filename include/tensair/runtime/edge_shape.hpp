#pragma once

#include <cstddef>
#include <cstdint>
#include <tensair/runtime/sites.hpp>
#include <vector>

namespace tensair::runtime {

/// Which instances of the operator behind an edge an instance in front of it sends to.
enum class Reach {
  every_instance,             ///< all on all nodes
  own_node,                   ///< one on its own node
  forward_or_every_instance,  ///< the one in its place, if the two sides have the same sites; else all
};

/// The instances that an edge connects.
struct EdgeShape {
  Reach reach = Reach::every_instance;
  Sites senders;
  Sites receivers;  ///< with `own_node`, some on every node that has senders

  /// Whether each instance in front of the edge sends to one instance behind it, on its node, that hears from no other:
  /// then the two can be one task, and nothing needs a channel.
  auto one_to_one() const -> bool;
  /// How many instances the receiver `index` of a node hears from.
  auto senders_to(net::Rank rank, int index) const -> std::size_t;
  /// The number of the sender `index` of a node among those that its receivers hear from.
  auto number_of(net::Rank rank, int index) const -> std::uint32_t;
};

/// Where the outlets of one sender lead: a node and a receiver there.
struct EdgeTarget {
  net::Rank rank;
  int index;
};
auto targets_of(const EdgeShape& shape, net::Rank rank, int sender) -> std::vector<EdgeTarget>;

}  // namespace tensair::runtime
