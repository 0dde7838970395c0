#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <tensair/runtime/node.hpp>
#include <vector>

#include "catch.hpp"
#include "support/events.hpp"

// What is counted on several nodes: each counts its own, and node 0's figures have the sum.

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

using Counters = std::vector<std::shared_ptr<runtime::Counter>>;

/// A source of nothing that knows a counter of each node: the figures of a simulated run cannot be asked for.
class KnowsCounter {
 public:
  using value_type = int;
  KnowsCounter(std::string name, Counters* by_node) : name_(std::move(name)), by_node_(by_node) {}
  void split(int, int) {}
  void open(runtime::Node& node) { (*by_node_)[static_cast<std::size_t>(node.rank())] = node.counter(name_); }
  auto poll() -> Poll<int> { return Poll<int>::end(); }

 private:
  std::string name_;
  Counters* by_node_;
};

/// What each node has under a name when a pipeline has run; over TCP that is what the figures have.
template <class Compose>
auto counts_by_node(const Topology& topology, const std::string& name, Compose compose) -> std::vector<std::uint64_t> {
  Counters counters(static_cast<std::size_t>(topology.nodes));
  const auto text = run(topology, [&](Pipeline& pipeline) {
    compose(pipeline);
    pipeline.source(KnowsCounter{name, &counters}).sink([](int) {});
  });
  std::vector<std::uint64_t> counts;
  for (const auto& counter : counters) counts.push_back(counter->value());
  if (topology.tcp) {
    const auto figures = nlohmann::json::parse(text);
    CHECK(figures.at("counts").at(name) == std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
    REQUIRE(figures.at("per_node").size() == counts.size());
    for (std::size_t node = 0; node < counts.size(); ++node)
      CHECK(figures["per_node"][node].at("counts").at(name) == counts[node]);
  }
  return counts;
}
/// 900 numbers, on a third of which the last operator fails.
auto some_fail(Pipeline& pipeline) {
  return pipeline.source(SharedNumbers{900})
      .parallel(2)
      .map([](int n) { return n % 3 == 0 ? throw std::invalid_argument("three") : n; })
      .name("some");
}
/// The same number on each node, so many in all.
auto evenly(std::uint64_t n, const Topology& topology) -> std::vector<std::uint64_t> {
  const auto nodes = static_cast<std::size_t>(topology.nodes);
  return std::vector(nodes, n / nodes);
}

}  // namespace

TEST_CASE("what is skipped on several nodes is counted on each", "[integration][on_error]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    const auto counts = counts_by_node(topology, "map «some»: skipped",
                                       [](Pipeline& pipeline) { some_fail(pipeline).on_error(skip).sink([](int) {}); });
    CHECK(counts == evenly(300, topology));
  }
}

TEST_CASE("letters from several nodes are counted where they are sent", "[integration][on_error]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    int letters = 0;
    const auto counts = counts_by_node(topology, "map «some»: dead letters", [&](Pipeline& pipeline) {
      some_fail(pipeline).on_error(dead_letter<int>([&](const DeadLetter<int>&) { ++letters; })).sink([](int) {});
    });
    CHECK(counts == evenly(300, topology));
    CHECK(letters == 300);
  }
}

TEST_CASE("timestamps too far ahead on several nodes are counted on each", "[integration][time]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    const auto counts =
        counts_by_node(topology, "assign_timestamps «when», timestamps too far ahead", [](Pipeline& pipeline) {
          pipeline.source(SharedNumbers{700})
              .assign_timestamps([](int n) { return at(n % 7 == 6 ? 1'000'000 : n); }, monotonous().at_most_ahead(15us))
              .name("when")
              .sink([](int) {});
        });
    CHECK(counts == evenly(100, topology));
  }
}

TEST_CASE("late records on several nodes are counted on each, and are those that no window has",
          "[integration][window]") {
  constexpr int count = 100'000;
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::uint64_t in_windows = 0;
    const auto counts = counts_by_node(topology, "window count «late»: late records", [&](Pipeline& pipeline) {
      pipeline
          .source(SharedNumbers{count})
          // Of the last source to come to its second half this is late for any window.
          .assign_timestamps([half = count / 2](int n) { return at(n < half ? 10'000'000 + n : n); })
          .key_by([](int n) { return n / 7 % 10; })
          .window(tumbling(1ms))
          .count()
          .name("late")
          .sink([&](const auto& result) { in_windows += result.value; });
    });
    CHECK(std::accumulate(counts.begin(), counts.end(), in_windows) == count);
    CHECK(std::count_if(counts.begin(), counts.end(), [](auto n) { return n > 0; }) >= std::min(topology.nodes, 2));
  }
}
