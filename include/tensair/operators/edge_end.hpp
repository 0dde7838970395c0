#pragma once

#include <optional>
#include <tensair/operators/chunk.hpp>
#include <tensair/plan/graph.hpp>
#include <tensair/runtime/edge_channels.hpp>
#include <tensair/runtime/key_slots.hpp>
#include <vector>

namespace tensair::operators {

/// One node's end of an edge between tasks. It is of one type of items, which only `build` knows.
class EdgeEnd {
 public:
  /// @param numbered  the operator whose number the channels have, and no other's
  template <class Item>
  void build(runtime::Node& node, const plan::Operator& numbered, const runtime::EdgeShape& shape) {
    build(node, numbered, shape, runtime::detail::read_parcel<Item>, chunk_credits_between_nodes<Item>);
  }

  // From here on: once built.
  auto shape() const -> const runtime::EdgeShape& { return shape_; }
  /// How many tasks behind the edge there are on this node.
  auto inlets() const -> std::size_t { return channels_->inlets().size(); }
  template <class Item>
  auto inlet(std::size_t receiver) const -> runtime::Inlet<Item> {
    return runtime::Inlet<Item>(channels_->inlets()[receiver]);
  }
  /// How many outlets a receiver's inlet has.
  auto senders_to(std::size_t receiver) const -> std::size_t;

  /// Which of the receivers keeps a key.
  auto key_slots() -> const runtime::KeySlots&;

  /// Once for each sender, when the whole node is built.
  auto outlets_of(int sender) -> std::vector<runtime::detail::AnyOutlet>;

 private:
  void build(runtime::Node& node, const plan::Operator& numbered, const runtime::EdgeShape& shape,
             runtime::detail::ReadParcel read, std::size_t credits_between_nodes);

  runtime::EdgeShape shape_{};
  net::Rank rank_ = 0;
  std::optional<runtime::EdgeChannels> channels_{};
  std::vector<std::vector<runtime::detail::AnyOutlet>> outlets_{};
  std::optional<runtime::KeySlots> key_slots_{};
};

}  // namespace tensair::operators
