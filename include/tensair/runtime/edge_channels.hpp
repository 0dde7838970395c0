#pragma once

#include <memory>
#include <tensair/runtime/channel.hpp>
#include <tensair/runtime/edge_shape.hpp>
#include <vector>

namespace tensair::runtime {

/// Receiver `index` on each node takes from a channel of its own.
/// @throws UsageError  more instances than channels can be numbered
auto channel_of_receiver(net::ChannelId first, int index) -> net::ChannelId;

/// One node's end of all channels of an edge: the inlets of the instances behind it that live here, and outlets for
/// those in front of it that do. Made while the graph is built; `connect` is called when everything is.
class EdgeChannels {
 public:
  /// How many items a sender may have under way to one receiver.
  struct Credits {
    std::size_t on_node, between_nodes;
  };

  /// @param method  of what goes to other nodes
  EdgeChannels(Node& node, net::ChannelId first, const EdgeShape& shape, Credits credits, detail::ReadParcel read,
               enum compression method);

  auto inlets() const -> const std::vector<std::shared_ptr<detail::AnyInlet>>& { return inlets_; }

  /// The outlets of all senders of this node: by sender, then by receiver, in the same order on every node.
  auto connect() -> std::vector<std::vector<detail::AnyOutlet>>;

 private:
  Node& node_;
  net::ChannelId first_;
  EdgeShape shape_;
  Credits credits_;
  enum compression compression_;
  bool may_leave_node_;
  std::vector<std::shared_ptr<detail::AnyInlet>> inlets_;
};

}  // namespace tensair::runtime
