#pragma once

#include <memory>
#include <tensair/runtime/channel.hpp>
#include <vector>

namespace tensair::runtime {

/// Which instances of the operator behind an edge an instance in front of it sends to.
enum class Reach {
  every_instance,             ///< all on all nodes
  first_node,                 ///< the only one, on node 0
  own_node,                   ///< one on its own node
  forward_or_every_instance,  ///< the one in its place, if there are as many behind as in front; else all
};

/// How many instances an edge connects.
struct EdgeShape {
  Reach reach = Reach::every_instance;
  bool senders_everywhere = true;    ///< on every node, or on node 0 alone
  bool receivers_everywhere = true;  ///< as above
  int senders = 1;                   ///< on each node that has some
  int receivers = 1;                 ///< as above

  /// How many instances in front of the edge there are on this node.
  auto senders_on(net::Rank rank) const -> int { return senders_everywhere || rank == 0 ? senders : 0; }
  auto receivers_on(net::Rank rank) const -> int { return receivers_everywhere || rank == 0 ? receivers : 0; }

  /// Whether each instance in front of the edge sends to one instance behind it that hears from no other: then the two
  /// can be one task, and nothing needs a channel.
  auto one_to_one(int nodes) const -> bool;
  /// How many instances the receiver `index` of a node hears from.
  auto senders_to(net::Rank rank, int index, int nodes) const -> std::size_t;
  /// The number of the sender `index` of a node among those that its receivers hear from.
  auto number_of(net::Rank rank, int index) const -> std::uint32_t;
};

/// Where the outlets of one sender lead: a node and a receiver there.
struct EdgeTarget {
  net::Rank rank;
  int index;
};
auto targets_of(const EdgeShape& shape, net::Rank rank, int sender, int nodes) -> std::vector<EdgeTarget>;

/// Receiver `index` on each node takes from a channel of its own.
/// @throws UsageError  more instances than channels can be numbered
auto channel_of_receiver(net::ChannelId first, int index) -> net::ChannelId;

/// One node's end of all channels of an edge: the inlets of the instances behind it that live here, and outlets for
/// those in front of it that do. Made while the graph is built; `connect` is called when everything is.
class EdgeChannels {
 public:
  EdgeChannels(Node& node, net::ChannelId first, const EdgeShape& shape, std::size_t credits, detail::ReadParcel read);

  auto inlets() const -> const std::vector<std::shared_ptr<detail::AnyInlet>>& { return inlets_; }

  /// The outlets of all senders of this node: by sender, then by receiver, in the same order on every node.
  auto connect() -> std::vector<std::vector<detail::AnyOutlet>>;

 private:
  Node& node_;
  net::ChannelId first_;
  EdgeShape shape_;
  std::size_t credits_;
  bool may_leave_node_;
  std::vector<std::shared_ptr<detail::AnyInlet>> inlets_;
};

}  // namespace tensair::runtime
