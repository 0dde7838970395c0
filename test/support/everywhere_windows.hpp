#pragma once

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support/events.hpp"
#include "support/topologies.hpp"
#include "support/trickle.hpp"

// The events of the tests that windows give the same everywhere, and what a loop over all of them gives.

namespace tensair::test::windows_everywhere {

inline constexpr std::chrono::microseconds disorder{40};

/// Some 400 events with three keys, each with a time of its own, out of order by less than 40 µs, some before 1970,
/// with gaps. The disorder is drawn, so that it stays when the events are dealt out.
inline auto some_events() -> std::vector<Event> {
  std::mt19937 random{1};
  std::vector<Event> all;
  for (int i = 0; i < 600; ++i)
    all.push_back({i * i % 5, i * 37 % 100 + 1, 3 * i + i / 100 * 60 - 100 - static_cast<int>(random() % 40)});
  std::set<std::int64_t> times;
  std::erase_if(all, [&](const Event& event) { return !times.insert(event.time).second; });
  return all;
}
inline const std::vector<Event> events = some_events();
inline auto in_time_order() -> std::vector<Event> {
  auto all = events;
  std::sort(all.begin(), all.end(), [](const Event& a, const Event& b) { return a.time < b.time; });
  return all;
}

/// Gives a few events in a turn: what comes behind a watermark is late then.
inline auto source(Pipeline& pipeline, int parallel) {
  return pipeline.source(Trickle{events, 5}).parallel(parallel);
}
inline auto timed(Pipeline& pipeline, int parallel, std::chrono::microseconds bound = disorder) {
  return source(pipeline, parallel).assign_timestamps(time_of, bounded_out_of_orderness(bound));
}

/// By key and window.
using Sums = std::map<std::pair<int, Window>, std::int64_t>;

inline auto naive_sliding(std::int64_t size, std::int64_t slide) -> Sums {
  Sums sums;
  for (const auto& event : events) {
    for (std::int64_t start = -100 * slide; start <= event.time; start += slide) {
      if (event.time < start + size) sums[{event.key, {at(start), at(start + size)}}] += event.value;
    }
  }
  return sums;
}
inline auto naive_tumbling(std::int64_t size) -> Sums {
  return naive_sliding(size, size);
}
/// A key's events sorted by time, and cut where the gap is.
inline auto naive_sessions(std::chrono::microseconds gap) -> Sums {
  std::map<int, std::vector<std::pair<Window, std::int64_t>>> by_key;
  for (const auto& event : in_time_order()) {
    auto& own = by_key[event.key];
    if (own.empty() || own.back().first.end <= at(event.time)) own.push_back({{at(event.time), {}}, 0});
    own.back().first.end = at(event.time) + gap;
    own.back().second += event.value;
  }
  Sums sums;
  for (const auto& [key, own] : by_key) {
    for (const auto& [window, sum] : own) sums[{key, window}] = sum;
  }
  return sums;
}

/// Of all results of a key and window the last one, or the sum, must be `expected` everywhere. What was a session while
/// it was not yet all of it counts to the session that it became. Some windows must have more than one result.
template <class Compose>
void check_windows(const Sums& expected, bool adds_up, std::chrono::microseconds bound, Compose compose) {
  const auto whole = [&](int key, const Window& part) {
    for (const auto& [where, sum] : expected) {
      const auto& window = where.second;
      if (where.first == key && window.start <= part.start && part.end <= window.end) return window;
    }
    return part;
  };
  std::size_t results = 0, windows = 0;
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel << (adds_up ? ", adds up" : ""));
      Sums sums;
      std::map<std::pair<int, Window>, Window> last;
      run(topology, [&](Pipeline& pipeline) {
        compose(timed(pipeline, parallel, bound).key_by(&Event::key).parallel(parallel))
            .sum(&Event::value)
            .sink([&](const auto& result) {
              const auto where = std::pair(result.key, whole(result.key, result.window));
              sums[where] = adds_up ? sums[where] + result.value : result.value;
              last[where] = result.window;
              ++results;
            });
      });
      windows += expected.size();
      CHECK((sums == expected));
      const auto is_whole = [](const auto& one) { return one.first.second == one.second; };
      CHECK((adds_up || std::all_of(last.begin(), last.end(), is_whole)));
    }
  }
  CHECK(results > windows);
}

}  // namespace tensair::test::windows_everywhere
