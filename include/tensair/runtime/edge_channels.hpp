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
template <class Item>
class EdgeChannels {
 public:
  TENSAIR_COLD EdgeChannels(Node& node, net::ChannelId first, const EdgeShape& shape, std::size_t credits)
      : node_(node), first_(first), shape_(shape), credits_(credits) {
    for (int i = 0; i < shape.receivers_on(node.rank()); ++i) {
      inlets_.push_back(std::make_shared<Inlet<Item>>(node, channel_of_receiver(first, i),
                                                      shape.senders_to(node.rank(), i, node.count()), credits));
    }
  }

  auto inlets() const -> const std::vector<std::shared_ptr<Inlet<Item>>>& { return inlets_; }

  /// The outlets of all senders of this node: by sender, then by receiver, in the same order on every node.
  TENSAIR_COLD auto connect() -> std::vector<std::vector<Outlet<Item>>> {
    const auto senders = static_cast<std::size_t>(shape_.senders_on(node_.rank()));
    std::vector<std::vector<Outlet<Item>>> outlets(senders);
    // By receiver of each node: whom its credits are for.
    std::vector<std::vector<std::shared_ptr<detail::CreditReturn>>> returns(static_cast<std::size_t>(shape_.receivers));
    bool leaves_node = false;
    for (std::size_t sender = 0; sender < senders; ++sender) {
      const auto targets = targets_of(shape_, node_.rank(), static_cast<int>(sender), node_.count());
      outlets[sender] = std::vector<Outlet<Item>>(targets.size());
      for (std::size_t i = 0; i < targets.size(); ++i) {
        const auto& target = targets[i];
        const auto index = static_cast<std::size_t>(target.index);
        if (target.rank == node_.rank()) {
          outlets[sender][i] = Outlet<Item>(inlets_[index], credits_);
          continue;
        }
        // An edge that leaves its node carries what can be encoded: whoever makes it has checked that.
        if constexpr (net::Encodable<Item>) {
          leaves_node = true;
          outlets[sender][i] = Outlet<Item>(node_, target.rank, channel_of_receiver(first_, target.index), credits_,
                                            static_cast<detail::SenderId>(sender));
          returns[index].resize(static_cast<std::size_t>(node_.count()) * senders);
          returns[index][static_cast<std::size_t>(target.rank) * senders + sender] = outlets[sender][i].credit_return();
        }
      }
    }
    if (leaves_node) {
      for (int i = 0; i < shape_.receivers; ++i) {
        receive_credits(node_, channel_of_receiver(first_, i), std::move(returns[static_cast<std::size_t>(i)]),
                        senders);
      }
    }
    return outlets;
  }

 private:
  Node& node_;
  net::ChannelId first_;
  EdgeShape shape_;
  std::size_t credits_;
  std::vector<std::shared_ptr<Inlet<Item>>> inlets_;
};

}  // namespace tensair::runtime
