#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support/on_schedule.hpp"
#include "support/window_joins.hpp"

// Joins in windows by the node's clock: in the simulation records come at the time that they have, away from the
// windows' edges, so that nested loops over them say what meets.

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

using Pairs = std::vector<std::pair<int, int>>;

/// Events with a key, and the millisecond at which they come.
auto coming(const std::vector<std::pair<int, int>>& keys_and_times) -> std::vector<JoinEvent> {
  std::vector<JoinEvent> all;
  for (const auto& [key, ms] : keys_and_times) all.push_back({key, static_cast<int>(all.size()), ms * 1'000});
  return all;
}
auto source_of(Pipeline& pipeline, const std::vector<JoinEvent>& events) {
  std::vector<std::pair<std::chrono::milliseconds, JoinEvent>> all;
  for (const auto& event : events) all.emplace_back(event.time / 1'000, event);
  return pipeline.source(OnSchedule{std::move(all)}).key_by(&JoinEvent::key);
}

/// What the join gives of streams that `streams(pipeline)` makes.
template <class Streams>
auto joined(const Topology& topology, SlidingWindows windows, int kind, Streams streams) -> Pairs {
  Pairs pairs;
  run(topology, [&](Pipeline& pipeline) {
    auto [left, right] = streams(pipeline);
    keep_pairs(std::move(left).join(std::move(right)).window(processing_time(windows)), kind,
               [&](const std::pair<int, int>& pair) { pairs.push_back(pair); });
  });
  return sorted(std::move(pairs));
}
auto naive(const std::vector<JoinEvent>& left, const std::vector<JoinEvent>& right,
           const std::vector<KeyWindow>& windows, int kind) -> Pairs {
  Pairs pairs;
  for (const auto& [a, b, time] : naive_join(left, right, windows, keeps_lone_left(kind), keeps_lone_right(kind)))
    pairs.emplace_back(a, b);
  return sorted(std::move(pairs));
}

}  // namespace

TEST_CASE("a join in windows in processing time gives the pairs of a window, on any number of nodes",
          "[operators][join][window_join][time]") {
  const auto left = coming({{1, 5}, {1, 25}, {1, 78}, {1, 112}, {2, 113}, {2, 203}});
  const auto right = coming({{1, 6}, {2, 7}, {1, 33}, {1, 48}, {1, 114}, {1, 115}, {2, 207}});
  for (const int slide : {20, 10}) {
    const auto windows = naive_windows({left, right}, 20'000, slide * 1'000, 0);
    for (const int kind : {0, 1, 2, 3}) {
      const auto expected = naive(left, right, windows, kind);
      REQUIRE(!expected.empty());
      for (const int nodes : {1, 2, 5}) {
        INFO("slide " << slide << " ms, kind " << kind << ", " << nodes << " nodes");
        CHECK(joined({nodes, 4, false}, sliding(20ms, slide * 1ms), kind, [&](Pipeline& pipeline) {
                return std::pair(source_of(pipeline, left), source_of(pipeline, right));
              }) == expected);
      }
    }
  }
}

TEST_CASE("a join in a window in processing time that never ends gives all pairs of a key, over TCP",
          "[operators][join][window_join][time]") {
  auto inputs = JoinInputs{some_join_events(200, 7, 30, 1), some_join_events(150, 9, 30, 2), 0, 2, {}};
  std::vector<KeyWindow> windows;
  for (int key = 0; key < 9; ++key) windows.push_back({key, -1'000'000, 1'000'000});
  for (const int kind : {0, 1, 2, 3}) {
    const auto expected = naive(inputs.left, inputs.right, windows, kind);
    REQUIRE(!expected.empty());
    for (const auto& topology : tcp_topologies()) {
      INFO("kind " << kind << ", " << topology.name());
      const auto always = 1h * 24 * 365 * 1'000;
      CHECK(joined(topology, sliding(always, always), kind,
                   [&](Pipeline& pipeline) { return inputs.streams(pipeline); }) == expected);
    }
  }
}
