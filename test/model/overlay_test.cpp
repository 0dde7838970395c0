#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <tensair/overlay.hpp>
#include <vector>

#include "catch.hpp"
#include "support/exchange_nodes.hpp"

using namespace tensair;
using tensair::test::parameters;
using Nodes = tensair::test::ExchangeNodes;

namespace {

auto ranks(int n) -> std::vector<net::Rank> {
  std::vector<net::Rank> all;
  for (int i = 0; i < n; ++i) all.push_back(i);
  return all;
}

// Hops to the farthest member; every member must be reached.
auto eccentricity(const Overlay& overlay, net::Rank from) -> int {
  std::map<net::Rank, int> hops{{from, 0}};
  std::deque<net::Rank> next{from};
  int most = 0;
  while (!next.empty()) {
    const auto here = next.front();
    next.pop_front();
    for (const auto there : overlay.neighbours(here)) {
      if (!hops.emplace(there, hops[here] + 1).second) continue;
      most = std::max(most, hops[there]);
      next.push_back(there);
    }
  }
  CHECK(hops.size() == overlay.members().size());
  return most;
}

}  // namespace

TEST_CASE("a tree reaches everybody within twice the logarithm, over four neighbours at most", "[model][overlay]") {
  for (int n = 2; n <= 1024; n = n < 64 ? n + 1 : n * 2) {
    INFO(n << " nodes");
    const Overlay tree{ranks(n), overlay::tree};
    int diameter = 0;
    for (const net::Rank rank : ranks(n)) {
      CHECK(tree.neighbours(rank).size() <= Overlay::children + 1);
      for (const net::Rank neighbour : tree.neighbours(rank)) {
        const auto back = tree.neighbours(neighbour);
        CHECK(std::find(back.begin(), back.end(), rank) != back.end());
      }
      if (n <= 64 || rank % 97 == 0 || rank == n - 1) diameter = std::max(diameter, eccentricity(tree, rank));
    }
    CHECK(diameter <= std::max(1.0, 2 * std::log(n) / std::log(Overlay::children)) + 1e-9);
  }
}

TEST_CASE("a mesh of up to eight nodes, a tree of more, unless somebody says otherwise", "[model][overlay]") {
  CHECK_FALSE(Overlay(ranks(8), overlay::automatic).passes_on());
  CHECK(Overlay(ranks(9), overlay::automatic).passes_on());
  CHECK(Overlay(ranks(3), overlay::tree).passes_on());
  CHECK(Overlay(ranks(30), overlay::mesh).neighbours(7).size() == 29);
  CHECK(Overlay({2, 5, 9}, overlay::mesh).neighbours(5) == std::vector<net::Rank>{2, 9});
  CHECK(Overlay({2, 5, 9}, overlay::mesh).neighbours(3).empty());
}

TEST_CASE("when a member goes, the others are still linked", "[model][overlay]") {
  Overlay tree{ranks(40), overlay::tree};
  for (const net::Rank gone : {0, 39, 1, 17, 5}) {
    tree = tree.without(gone);
    CHECK(tree.neighbours(gone).empty());
    CHECK(eccentricity(tree, tree.members().front()) > 0);
  }
  CHECK(tree.members().size() == 35);
}

TEST_CASE("every delta reaches every node once, in whatever order messages move", "[model][overlay]") {
  for (const int n : {2, 3, 9, 33}) {
    for (const auto shape : {overlay::mesh, overlay::tree}) {
      for (const std::uint64_t seed : {1, 2, 3}) {
        INFO(n << " nodes, " << (shape == overlay::mesh ? "mesh" : "tree") << ", seed " << seed);
        Nodes nodes{n, shape, seed, ranks(n)};
        std::mt19937_64 random{seed};
        constexpr std::uint64_t steps = 5;
        std::vector<std::uint64_t> published(static_cast<std::size_t>(n));
        for (std::uint64_t left = steps * static_cast<std::uint64_t>(n); left > 0;) {
          const auto i = random() % published.size();
          if (published[i] < steps) {
            nodes.publish(static_cast<int>(i));
            --left;
            if (++published[i] == steps) nodes.finish(static_cast<int>(i));
          }
          for (auto moves = random() % 8; moves > 0; --moves) nodes.wires().move_one();
          nodes.collect(static_cast<int>(random() % published.size()));
        }
        while (nodes.wires().move_one()) {
          // Whoever has been told that all have ended has all that they sent.
          const auto i = static_cast<int>(random() % published.size());
          if (!nodes.finished(i)) continue;
          nodes.collect(i);
          CHECK(nodes.has_all(i, steps));
        }
        for (int i = 0; i < n; ++i) {
          CHECK(nodes.finished(i));
          nodes.collect(i);
          CHECK(nodes.has_all(i, steps));
        }
      }
    }
  }
}

TEST_CASE("only some nodes may have replicas", "[model][overlay]") {
  for (const auto shape : {overlay::mesh, overlay::tree}) {
    Nodes nodes{12, shape, 1, {1, 2, 3, 5, 8, 11}};
    for (int i = 0; i < nodes.size(); ++i) {
      nodes.publish(i);
      nodes.finish(i);
    }
    while (nodes.wires().move_one()) continue;
    for (int i = 0; i < nodes.size(); ++i) {
      nodes.collect(i);
      CHECK(nodes.finished(i));
      CHECK(nodes.has_all(i, 1));
    }
  }
}

TEST_CASE("up to a thousand nodes: what one sends grows with a mesh, and not with a tree", "[model][overlay]") {
  // Every node publishes a step a tick, every link moves a message a tick: what cannot move is summed.
  const auto sent_a_step = [](int n, overlay shape) {
    Nodes nodes{n, shape, 1, ranks(n)};
    constexpr std::uint64_t steps = 16;  // more than hops, so that what all have published is under way everywhere
    for (std::uint64_t step = 0; step < steps; ++step) {
      for (int i = 0; i < n; ++i) nodes.publish(i);
      nodes.wires().tick();
    }
    const auto bytes = static_cast<double>(nodes.wires().most_sent()) / steps;
    while (nodes.wires().move_one()) continue;
    bool all = true;
    for (int i = 0; i < n; ++i) {
      nodes.collect(i);
      all = all && nodes.has_all(i, steps);
    }
    CHECK(all);
    return bytes;
  };
  constexpr double delta = parameters * sizeof(float);
  std::map<int, double> sent;
  for (const int n : {2, 8, 64, 256, 1024}) {
    const double tree = sent[n] = sent_a_step(n, overlay::tree);
    INFO(n << " nodes, " << tree << " bytes a step");
    // Four neighbours get a sum each, which also says for each replica in it who it was, and what it had done: 44
    // bytes.
    CHECK(tree <= 4 * (delta + 64 + 44.0 * n));
    if (n <= 64) CHECK(sent_a_step(n, overlay::mesh) >= (n - 1) * delta);
  }
  // The same messages with the CIFAR sample's deltas: only who is in a sum grows.
  constexpr double longer = 4 * (122'570 - parameters) * sizeof(float);
  CHECK(sent[1024] + longer <= 1.08 * (sent[64] + longer));
}
