#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "catch.hpp"
#include "support/dealt.hpp"
#include "support/events.hpp"
#include "support/everywhere.hpp"

// Each operator gives the same on 1, 2 and 5 nodes, with 1 and 3 workers, in the simulation and over TCP. What is
// expected comes from a loop over all events, and does not depend on the order in which they come.

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::microseconds disorder{40};

/// Some 600 events with five keys, each with a time of its own, out of order by less than 40 µs, some before 1970, with
/// gaps.
auto some_events() -> std::vector<Event> {
  std::vector<Event> all;
  for (int i = 0; i < 600; ++i)
    all.push_back({i * i % 5, i * 37 % 100 + 1, 3 * i + i / 100 * 60 - 100 - i * 7 % 13 * 3});
  std::set<std::int64_t> times;
  std::erase_if(all, [&](const Event& event) { return !times.insert(event.time).second; });
  return all;
}
const std::vector<Event> events = some_events();

auto source(Pipeline& pipeline, int parallel) {
  return pipeline.source(Dealt{events}).parallel(parallel);
}
auto timed(Pipeline& pipeline, int parallel) {
  return source(pipeline, parallel).assign_timestamps(time_of, bounded_out_of_orderness(disorder));
}

auto keyed(Pipeline& pipeline, int parallel) {
  return timed(pipeline, parallel).key_by(&Event::key).parallel(parallel);
}

using Sums = std::map<std::tuple<int, Window>, std::int64_t>;

auto naive_tumbling(std::int64_t size) -> Sums {
  Sums sums;
  for (const auto& event : events) {
    const auto start = (event.time + 1'000 * size) / size * size - 1'000 * size;
    sums[{event.key, {at(start), at(start + size)}}] += event.value;
  }
  return sums;
}

/// The last value of each key and window, or the sum of all its values, must be `expected` everywhere.
template <class Compose>
void check_windows(const Sums& expected, bool adds_up, Compose compose) {
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      Sums sums;
      run(topology, [&](Pipeline& pipeline) {
        compose(keyed(pipeline, parallel)).sum(&Event::value).sink([&](const auto& result) {
          auto& sum = sums[{result.key, result.window}];
          sum = adds_up ? sum + result.value : result.value;
        });
      });
      CHECK((sums == expected));
    }
  }
}

}  // namespace

TEST_CASE("early results end in the window's value, or add up to it, everywhere", "[operators][window][everywhere]") {
  const auto expected = naive_tumbling(50);
  check_windows(expected, false, [](auto all) { return std::move(all).window(tumbling(50us)).early(3); });
  check_windows(expected, true, [](auto all) { return std::move(all).window(tumbling(50us)).early(3).discarding(); });
  check_windows(expected, false, [](auto all) { return std::move(all).window(tumbling(50us)).early(1us); });
}

TEST_CASE("with allowed lateness the last value of each window is whole, everywhere",
          "[operators][window][everywhere]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    Sums last;
    std::size_t late = 0;
    run(topology, [&](Pipeline& pipeline) {
      source(pipeline, 2)
          .assign_timestamps(time_of)  // expects no disorder
          .key_by(&Event::key)
          .window(tumbling(50us))
          .allowed_lateness(1s)
          .late([&](const Event&) { ++late; })
          .sum(&Event::value)
          .sink([&](const auto& result) {
            last[{result.key, result.window}] = result.value;
          });
    });
    CHECK((last == naive_tumbling(50)));
    CHECK(late == 0);
  }
}

TEST_CASE("without it each event is in its window or late, never both, everywhere", "[operators][window][everywhere]") {
  const auto expected = naive_tumbling(50);
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
    CHECK(late.size() < events.size());
    for (const auto& event : late) {
      for (const auto& [where, sum] : expected) {
        const auto& [key, window] = where;
        if (key == event.key && window.contains(at(event.time))) sums[where] += event.value;
      }
    }
    CHECK((sums == expected));
  }
}

TEST_CASE("windows of numbers of records have those that follow in event time, everywhere",
          "[operators][window][everywhere]") {
  auto in_order = events;
  std::sort(in_order.begin(), in_order.end(), [](const Event& a, const Event& b) { return a.time < b.time; });
  std::map<int, std::vector<std::int64_t>> values;
  for (const auto& event : in_order) values[event.key].push_back(event.value);
  std::vector<KeyValue<int, std::int64_t>> by_four;
  for (const auto& [key, own] : values) {
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (i % 4 == 0) by_four.push_back({key, 0});
      by_four.back().value += own[i];
    }
  }
  check_everywhere(by_four, [](Pipeline& pipeline, int parallel) {
    return timed(pipeline, parallel)
        .key_by(&Event::key)
        .parallel(parallel)
        .window(tumbling_count(4))
        .sum(&Event::value);
  });
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
