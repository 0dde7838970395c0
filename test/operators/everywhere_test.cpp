#include <map>
#include <tuple>

#include "catch.hpp"
#include "support/everywhere.hpp"
#include "support/everywhere_windows.hpp"

// Each operator gives the same on 1, 2 and 5 nodes, with 1 and 3 workers, in the simulation and over TCP. What is
// expected comes from a loop over all events, and does not depend on the order in which they come. (Early results and
// allowed lateness are in everywhere_early_test.cpp, windows of numbers of records in everywhere_counts_test.cpp.)

using namespace tensair;
using namespace tensair::test;
using namespace tensair::test::windows_everywhere;
using namespace std::chrono_literals;

TEST_CASE("each event is in its window or late, never both, everywhere", "[operators][window][everywhere]") {
  const auto expected = naive_tumbling(50);
  std::size_t all_late = 0;
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    Sums sums;
    std::vector<Event> late;
    run(topology, [&](Pipeline& pipeline) {
      source(pipeline, 2)
          .assign_timestamps(time_of)
          .key_by(&Event::key)
          .window(tumbling(50us))
          .late([&](const Event& event) { late.push_back(event); })
          .sum(&Event::value)
          .sink([&](const auto& result) {
            sums[{result.key, result.window}] += result.value;
          });
    });
    all_late += late.size();
    for (const auto& event : late) {
      for (const auto& [where, sum] : expected) {
        const auto& [key, window] = where;
        if (key == event.key && window.contains(at(event.time))) sums[where] += event.value;
      }
    }
    CHECK((sums == expected));
  }
  CHECK(all_late > 0);
  CHECK(all_late < topologies().size() * events.size());
}

TEST_CASE("windows without keys have the records of all, everywhere", "[operators][window][everywhere]") {
  using Result = std::tuple<EventTime, EventTime, std::int64_t>;
  const auto check = [](auto windows, const std::map<Window, std::int64_t>& expected) {
    std::vector<Result> all;
    for (const auto& [window, sum] : expected) all.emplace_back(window.start, window.end, sum);
    check_everywhere(all, [&](Pipeline& pipeline, int parallel) {
      return timed(pipeline, parallel).window(windows).sum(&Event::value).map([](const auto& result) {
        return Result{result.window.start, result.window.end, result.value};
      });
    });
  };
  std::map<Window, std::int64_t> in_tumbling, in_sliding, in_sessions;
  for (const auto& event : events) {
    for (std::int64_t start = -1'000; start <= event.time; start += 20) {
      if (event.time < start + 50) in_sliding[{at(start), at(start + 50)}] += event.value;
      if (event.time < start + 20) in_tumbling[{at(start), at(start + 20)}] += event.value;
    }
  }
  std::map<std::int64_t, int> by_time;
  for (const auto& event : events) by_time[event.time] += event.value;
  Window open{};
  std::int64_t sum = 0;
  for (const auto& [time, value] : by_time) {
    if (sum != 0 && open.end <= at(time)) {
      in_sessions[open] = sum;
      sum = 0;
    }
    if (sum == 0) open.start = at(time);
    open.end = at(time + 4);
    sum += value;
  }
  in_sessions[open] = sum;
  REQUIRE(in_sessions.size() > 3);
  check(tumbling(20us), in_tumbling);
  check(sliding(50us, 20us), in_sliding);
  check(session(4us), in_sessions);
}
