#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace tensair::metrics::detail {

/// Scores of examples of two classes, in order, and for each score how many of either class lie below: a treap (Seidel
/// and Aragon, Algorithmica 16, 1996) whose nodes know how many they stand for. Adding, removing and counting take
/// O(log n) on average, whatever comes in which order. A node's number is the caller's: its place in a ring.
class ScoreTree {
 public:
  /// Examples of class 1, and of all.
  struct Count {
    std::uint32_t ones = 0, all = 0;
    auto zeros() const -> std::uint32_t { return all - ones; }
  };

  void add(std::uint32_t number, double score, bool one) {
    if (number >= nodes_.size()) nodes_.resize(number + std::size_t{1});
    Node& fresh = nodes_[number];
    fresh = {score, random(), none, none, {one ? 1U : 0U, 1}, one};
    std::uint32_t* place = &root_;
    while (*place != none && nodes_[*place].priority >= fresh.priority) {
      Node& node = nodes_[*place];
      node.count.ones += fresh.count.ones;
      ++node.count.all;
      place = comes_before(number, *place) ? &node.left : &node.right;
    }
    const auto [left, right] = split(*place, number);
    fresh.left = left;
    fresh.right = right;
    *place = number;
    recount(number);
  }

  void remove(std::uint32_t number) {
    const std::uint32_t one = nodes_[number].one ? 1 : 0;
    std::uint32_t* place = &root_;
    while (*place != number) {
      Node& node = nodes_[*place];
      node.count.ones -= one;
      --node.count.all;
      place = comes_before(number, *place) ? &node.left : &node.right;
    }
    *place = join(nodes_[number].left, nodes_[number].right);
  }

  auto score(std::uint32_t number) const -> double { return nodes_[number].score; }
  auto is_one(std::uint32_t number) const -> bool { return nodes_[number].one; }
  auto all() const -> Count { return count(root_); }

  /// With scores less than this one, and with scores that are not greater.
  auto below_and_up_to(double score) const -> std::pair<Count, Count> {
    Count below, up_to;
    for (std::uint32_t at = root_; at != none;) {
      const Node& node = nodes_[at];
      if (score < node.score) {
        at = node.left;
      } else if (node.score < score) {
        pass(below, node);
        pass(up_to, node);
        at = node.right;
      } else {
        // From here the two ways part: equal scores lie on both sides.
        const std::uint32_t here = at;
        for (std::uint32_t low = here; low != none;) {
          const Node& one = nodes_[low];
          const bool less = one.score < score;
          if (less) pass(below, one);
          low = less ? one.right : one.left;
        }
        for (std::uint32_t high = here; high != none;) {
          const Node& one = nodes_[high];
          const bool not_greater = !(score < one.score);
          if (not_greater) pass(up_to, one);
          high = not_greater ? one.right : one.left;
        }
        break;
      }
    }
    return {below, up_to};
  }

  void clear() {
    nodes_.clear();
    root_ = none;
  }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& nodes_& root_& state_;
  }

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  struct Node {
    double score = 0;
    std::uint32_t priority = 0;
    std::uint32_t left = none, right = none;
    Count count{};  // of it and all below it in the tree
    bool one = false;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
      archive& score& priority& left& right& count.ones& count.all& one;
    }
  };

  auto count(std::uint32_t at) const -> Count { return at == none ? Count{} : nodes_[at].count; }
  // A node and what is left of it.
  void pass(Count& sum, const Node& node) const {
    const Count left = count(node.left);
    sum.ones += left.ones + (node.one ? 1 : 0);
    sum.all += left.all + 1;
  }
  // Equal scores are in order of their numbers, so that each can be found again.
  auto comes_before(std::uint32_t a, std::uint32_t b) const -> bool {
    const double x = nodes_[a].score, y = nodes_[b].score;
    return x < y || (x == y && a < b);
  }
  void recount(std::uint32_t at) {
    Node& node = nodes_[at];
    const Count left = count(node.left), right = count(node.right);
    node.count = {left.ones + right.ones + (node.one ? 1U : 0U), left.all + right.all + 1};
  }
  auto split(std::uint32_t at, std::uint32_t number) -> std::pair<std::uint32_t, std::uint32_t> {
    if (at == none) return {none, none};
    if (comes_before(at, number)) {
      const auto [left, right] = split(nodes_[at].right, number);
      nodes_[at].right = left;
      recount(at);
      return {at, right};
    }
    const auto [left, right] = split(nodes_[at].left, number);
    nodes_[at].left = right;
    recount(at);
    return {left, at};
  }
  auto join(std::uint32_t left, std::uint32_t right) -> std::uint32_t {
    if (left == none) return right;
    if (right == none) return left;
    if (nodes_[left].priority >= nodes_[right].priority) {
      nodes_[left].right = join(nodes_[left].right, right);
      recount(left);
      return left;
    }
    nodes_[right].left = join(left, nodes_[right].left);
    recount(right);
    return right;
  }
  // Marsaglia's xorshift: the same tree each time.
  auto random() -> std::uint32_t {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::uint32_t>(state_ >> 32);
  }

  std::vector<Node> nodes_;
  std::uint32_t root_ = none;
  std::uint64_t state_ = 0x2545'f491'4f6c'dd1d;
};

}  // namespace tensair::metrics::detail
