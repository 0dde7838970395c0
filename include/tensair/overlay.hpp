#pragma once

#include <tensair/net/message.hpp>
#include <vector>

namespace tensair {

/// The shape of the links that a model's deltas travel.
enum class overlay {
  automatic,  ///< a mesh of up to 8 nodes, a tree of more
  mesh,       ///< every node sends to every other; nothing is passed on
  tree,       ///< every node sends to a few, which pass on
};

/// Which nodes send deltas to which: a tree in which every node has four neighbours at most, or a mesh.
///
/// In a tree a delta that comes from one neighbour goes to all others, so it reaches every node once. What a node sends
/// does not grow with the number of nodes; a delta makes at most 2 log3 N hops. (The root has four children, all others
/// have three. With more children a tree of few nodes would be deeper than log N to that base.)
class Overlay {
 public:
  /// @param members  in the same order on every node
  Overlay(std::vector<net::Rank> members, overlay shape);

  auto members() const -> const std::vector<net::Rank>& { return members_; }
  /// Whether what a neighbour sends is passed on to the others.
  auto passes_on() const -> bool { return shape_ == overlay::tree; }
  /// Whom a member sends to; nobody, if it is none.
  auto neighbours(net::Rank member) const -> std::vector<net::Rank>;
  /// The overlay that is left when a member has gone, of the same shape.
  auto without(net::Rank member) const -> Overlay;

  static constexpr std::size_t largest_mesh = 8;
  static constexpr std::size_t children = 3;

 private:
  std::vector<net::Rank> members_;
  overlay shape_;
};

}  // namespace tensair
