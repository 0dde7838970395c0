#include <limits>
#include <map>
#include <queue>
#include <random>
#include <tuple>

#include "catch.hpp"
#include "support/dealt.hpp"
#include "support/streams.hpp"

// Graph algorithms as loops: what is known of a vertex goes to its neighbours until nothing changes.

using namespace tensair;
using test::Dealt;
using test::result_of;
using test::topologies;

namespace {

struct Edge {
  int from = 0, to = 0;
  long weight = 1;
};
/// Something is known of a vertex: the least label it is connected to, or a distance.
struct Claim {
  int vertex = 0;
  long value = 0;
};

auto random_graph(int vertices, int edges, unsigned seed) -> std::vector<Edge> {
  std::mt19937 random{seed};
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<Edge> all;
  for (int i = 0; i < edges; ++i) all.push_back({below(vertices), below(vertices), 1 + below(20)});
  return all;
}

auto both_ways(const std::vector<Edge>& edges) -> std::vector<Edge> {
  auto all = edges;
  for (const auto& edge : edges) all.push_back({edge.to, edge.from, edge.weight});
  return all;
}

/// The body: claims that lower a vertex' value go to its neighbours, as `next(claim, edge)`, and out of the loop.
template <class Next>
auto spread(int parallel, Next next) {
  return [=](auto loop, auto edges) {
    auto lower = std::move(loop)
                     .key_by(&Claim::vertex)
                     .parallel(parallel)
                     .template with_state<std::optional<long>>([](std::optional<long>& least, Claim claim) {
                       const bool lowers = !least || claim.value < *least;
                       if (lowers) least = claim.value;
                       return std::pair(claim, lowers);
                     })
                     .filter([](const auto& one) { return one.second; })
                     .map([](const auto& one) { return one.first; });
    auto further =
        lower.key_by(&Claim::vertex).join(std::move(edges).key_by(&Edge::from).parallel(parallel)).with(next);
    return Iteration{std::move(further), lower};
  };
}

/// The least value that came out of the loop for each vertex.
auto least(const std::vector<Claim>& claims) -> std::map<int, long> {
  std::map<int, long> all;
  for (const auto& claim : claims) {
    const auto [at, added] = all.emplace(claim.vertex, claim.value);
    if (!added) at->second = std::min(at->second, claim.value);
  }
  return all;
}

auto components_by_hand(int vertices, const std::vector<Edge>& edges) -> std::map<int, long> {
  std::vector<int> root(static_cast<std::size_t>(vertices));
  for (int v = 0; v < vertices; ++v) root[static_cast<std::size_t>(v)] = v;
  const auto find = [&](int v) {
    while (root[static_cast<std::size_t>(v)] != v) v = root[static_cast<std::size_t>(v)];
    return v;
  };
  for (const auto& edge : edges) {
    const int a = find(edge.from), b = find(edge.to);
    root[static_cast<std::size_t>(std::max(a, b))] = std::min(a, b);
  }
  std::map<int, long> all;
  for (int v = 0; v < vertices; ++v) all[v] = find(v);
  return all;
}

auto dijkstra(const std::vector<Edge>& edges, int start) -> std::map<int, long> {
  std::multimap<int, Edge> from;
  for (const auto& edge : edges) from.emplace(edge.from, edge);
  std::map<int, long> known;
  std::priority_queue<std::pair<long, int>> next;
  next.emplace(0, start);
  while (!next.empty()) {
    const auto [distance, vertex] = next.top();
    next.pop();
    if (!known.emplace(vertex, -distance).second) continue;
    const auto [first, last] = from.equal_range(vertex);
    for (auto it = first; it != last; ++it) next.emplace(distance - it->second.weight, it->second.to);
  }
  return known;
}

}  // namespace

TEST_CASE("connected components by a loop are those of a union-find", "[operators][iterate]") {
  constexpr int vertices = 60;
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      const auto edges = random_graph(vertices, 50, static_cast<unsigned>(topology.seed));
      std::vector<Claim> own;
      for (int v = 0; v < vertices; ++v) own.push_back({v, v});
      CHECK(least(result_of<Claim>(topology, [&](Pipeline& pipeline) {
              auto all_edges = pipeline.source(Dealt<Edge>(both_ways(edges)));
              return pipeline.source(Dealt<Claim>(own))
                  .iterate(spread(parallel,
                                  [](const Claim& claim, const Edge& edge) {
                                    return Claim{edge.to, claim.value};
                                  }),
                           std::move(all_edges))
                  .collect();
            })) == components_by_hand(vertices, edges));
    }
  }
}

TEST_CASE("shortest paths by relaxation in a loop are Dijkstra's", "[operators][iterate]") {
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      const auto edges = random_graph(50, 150, 7 + static_cast<unsigned>(topology.seed));
      CHECK(least(result_of<Claim>(topology, [&](Pipeline& pipeline) {
              auto all_edges = pipeline.source(edges);  // of node 0; used by name
              auto start = pipeline.source(std::vector{Claim{0, 0}});
              return std::move(start)
                  .iterate(spread(parallel,
                                  [](const Claim& claim, const Edge& edge) {
                                    return Claim{edge.to, claim.value + edge.weight};
                                  }),
                           all_edges)
                  .collect();
            })) == dijkstra(edges, 0));
    }
  }
}
