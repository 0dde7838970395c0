#pragma once

#include <tensair/net/message.hpp>
#include <utility>
#include <vector>

namespace tensair::runtime {

/// How many instances of an operator each node has.
class Sites {
 public:
  Sites() = default;
  /// @param by_rank  of every node of the cluster
  explicit Sites(std::vector<int> by_rank) : by_rank_(std::move(by_rank)) {}

  auto nodes() const -> int { return static_cast<int>(by_rank_.size()); }
  auto on(net::Rank rank) const -> int { return by_rank_[static_cast<std::size_t>(rank)]; }
  auto total() const -> int { return before(nodes()); }
  /// How many there are on nodes of lower rank: the number of a node's first instance among all.
  auto before(net::Rank rank) const -> int {
    int sum = 0;
    for (net::Rank node = 0; node < rank; ++node) sum += on(node);
    return sum;
  }
  /// The most on one node.
  auto most() const -> int {
    int most = 0;
    for (const int n : by_rank_) most = n > most ? n : most;
    return most;
  }
  auto operator==(const Sites&) const -> bool = default;

 private:
  std::vector<int> by_rank_;
};

}  // namespace tensair::runtime
