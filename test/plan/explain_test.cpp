#include <algorithm>
#include <chrono>
#include <sstream>
#include <string>
#include <tensair/pipeline.hpp>
#include <vector>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

struct Click {
  int page = 0;
  EventTime at;
};

// Clicks by page, those of pages that somebody watches.
void compose(Pipeline& pipeline) {
  auto watched = pipeline.source(std::vector<int>{1, 2, 3}).name("watched").key_by([](int page) { return page; });
  auto clicks = pipeline.source(SharedNumbers{100})
                    .name("clicks")
                    .parallel(2)
                    .filter([](int n) { return n > 0; })
                    .map([](int n) {
                      return Click{n, EventTime{}};
                    })
                    .name("parse");
  clicks.filter([](const Click& click) { return click.page < 0; }).name("of no page").on(1).sink([](const Click&) {});
  clicks.key_by(&Click::page)
      .name("by page")
      .join(std::move(watched))
      .with([](const Click& click, int) { return click.page; })
      .sink([](int) {});
}

auto placed_on(std::vector<NodeSpec> nodes, const std::function<void(Pipeline&)>& build, Pipeline& pipeline) {
  build(pipeline);
  pipeline.graph()->place(nodes);
}

}  // namespace

TEST_CASE("explain on one node", "[plan][explain]") {
  Pipeline pipeline;
  placed_on(
      std::vector<NodeSpec>(1),
      [](Pipeline& p) {
        p.source(numbers(3))
            .name("numbers")
            .map([](int n) { return n; })
            .key_by([](int n) { return n; })
            .count()
            .sink([](const auto&) {});
      },
      pipeline);
  CHECK(pipeline.graph()->explain() == R"(task 0 on node 0
  source «numbers»                                                Stream<int>
  map #1                       fused from source «numbers»        Stream<int>
  key_by #2                    key hash from map #1               Stream<int>
  count #3                     fused from key_by #2               Stream<KeyValue<int, unsigned lon…
  sink #4                      gather from count #3
)");
}

TEST_CASE("explain on three nodes: chains, edges, instances, places", "[plan][explain]") {
  Pipeline pipeline;
  placed_on(std::vector<NodeSpec>(3), compose, pipeline);
  const auto text = pipeline.graph()->explain();
  CHECK(text == R"(task 0 on node 0
  source «watched»                                                Stream<int>
  key_by #9                    fused from source «watched»        Stream<int>
task 1 on nodes 0–2, 2 instances each
  source «clicks»                                                 Stream<int>
  filter #2                    fused from source «clicks»         Stream<int>
  map «parse»                  fused from filter #2               Stream<Click>
  filter «of no page»          fork from map «parse»              Stream<Click>
  key_by «by page»             fork from map «parse»              Stream<Click>
task 2 on node 1, 2 instances
  on #5                        rebalance from filter «of no page» Stream<Click>
task 3 on node 1
  meet #6                      local from on #5                   Stream<Click>
  sink #7                      fused from meet #6
task 4 on nodes 0–2, 2 instances each
  join #10                     key hash from key_by «by page», key_by #9 Stream<int>
task 5 on node 0
  sink #11                     gather from join #10
)");
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    const auto letters = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; });
    CHECK(letters <= 100);
  }
}

TEST_CASE("no line of explain is longer than 100 columns, however scattered a task is", "[plan][explain]") {
  std::vector<NodeSpec> nodes(200);
  for (std::size_t rank = 0; rank < nodes.size(); rank += 2) nodes[rank].labels = {"even"};
  Pipeline pipeline;
  placed_on(
      nodes,
      [](Pipeline& p) {
        p.source(numbers(3))
            .key_by([](int n) { return n; })
            .count()
            .on("even")
            .map([](const auto& one) { return one.key; })
            .name(std::string(200, 'x'))
            .sink([](int) {});
      },
      pipeline);
  std::istringstream text{pipeline.graph()->explain()};
  std::size_t longest = 0;
  for (std::string line; std::getline(text, line);) {
    const auto columns =
        std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
    longest = std::max(longest, static_cast<std::size_t>(columns));
  }
  CHECK(longest == 100);
}

TEST_CASE("explain as a picture has the same tasks and edges", "[plan][explain]") {
  Pipeline pipeline;
  placed_on(
      std::vector<NodeSpec>(2),
      [](Pipeline& p) {
        p.source(SharedNumbers{3}).name("a \"b\"").rebalance().on(1).map([](int n) { return n; }).sink([](int) {});
      },
      pipeline);
  CHECK(pipeline.graph()->explain_dot() == R"(digraph tensair {
  rankdir=LR;
  node [shape=box];
  subgraph cluster_0 {
    label="task 0, nodes 0–1";
    o0 [label="source «a \"b\"»"];
  }
  subgraph cluster_1 {
    label="task 1, node 1";
    o1 [label="rebalance #1"];
    o2 [label="map #2"];
    o3 [label="sink #3"];
  }
  o0 -> o1 [label="rebalance"];
  o1 -> o2 [label="fused"];
  o2 -> o3 [label="fused"];
}
)");
}

TEST_CASE("explain says which edges compress, where records leave their node", "[plan][explain][compression]") {
  if (!is_available(compression::lz4) || !is_available(compression::zstd)) return;
  const auto build = [](Pipeline& p) {
    p.source(SharedNumbers{3})
        .name("numbers")
        .compress(compression::zstd)
        .map([](int n) { return n; })
        .rebalance()
        .key_by([](int n) { return n; })
        .count()
        .compress(compression::lz4)
        .sink([](const auto&) {});
  };
  Pipeline pipeline, alone;
  placed_on(std::vector<NodeSpec>(2), build, pipeline);
  CHECK(pipeline.graph()->explain() == R"(task 0 on nodes 0–1
  source «numbers»                                                Stream<int>
  map #1                       fused from source «numbers»        Stream<int>
task 1 on nodes 0–1
  rebalance #2                 rebalance, zstd from map #1        Stream<int>
task 2 on nodes 0–1
  key_by #3                    key hash, zstd from rebalance #2   Stream<int>
  count #4                     fused from key_by #3               Stream<KeyValue<int, unsigned lon…
task 3 on node 0
  sink #5                      gather, lz4 from count #4
)");
  CHECK_THAT(pipeline.graph()->explain_dot(), Catch::Matchers::ContainsSubstring("o4 -> o5 [label=\"gather, lz4\"]"));
  placed_on(std::vector<NodeSpec>(1), build, alone);
  CHECK_THAT(alone.graph()->explain(), !Catch::Matchers::ContainsSubstring("zstd"));
}
