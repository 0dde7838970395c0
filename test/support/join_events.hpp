#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <tensair/pipeline.hpp>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support/dealt.hpp"
#include "support/topologies.hpp"

namespace tensair::test {

struct JoinEvent {
  int key = 0;
  int number = 0;         // which of its side
  std::int64_t time = 0;  // µs
};

inline auto at(std::int64_t microseconds) -> EventTime {
  return EventTime{std::chrono::microseconds{microseconds}};
}
inline auto time_of(const JoinEvent& event) -> EventTime {
  return at(event.time);
}

/// Keys and steps of time that a property is tried with.
using Draws = std::vector<std::pair<int, int>>;

/// Events whose times go up by and large: none is more than `disorder` older than one before it.
inline auto join_events(const Draws& keys_and_steps, int keys, int disorder) -> std::vector<JoinEvent> {
  std::vector<JoinEvent> all;
  std::int64_t now = -20;
  for (const auto& [key, step] : keys_and_steps) {
    const auto drawn = static_cast<unsigned>(step);
    now += drawn % 8;
    const auto back = disorder == 0 ? 0 : drawn / 8 % static_cast<unsigned>(disorder + 1);
    all.push_back({static_cast<int>(static_cast<unsigned>(key) % static_cast<unsigned>(keys)),
                   static_cast<int>(all.size()), now - static_cast<std::int64_t>(back)});
  }
  return all;
}

/// The same of numbers from a small generator with a seed (Marsaglia's xorshift).
inline auto some_join_events(int n, int keys, int disorder, std::uint64_t seed) -> std::vector<JoinEvent> {
  std::uint64_t state = seed * 0x9e37'79b9'7f4a'7c15 + 1;
  Draws draws;
  for (int i = 0; i < 2 * n; ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    if (i % 2 == 0) draws.emplace_back(static_cast<int>(state >> 40), 0);
    draws.back().second = static_cast<int>(state >> 40);
  }
  return join_events(draws, keys, disorder);
}

/// The two sides of a join, and where it runs.
struct JoinInputs {
  std::vector<JoinEvent> left, right;
  int disorder = 0;
  int parallel = 1;
  Topology topology{};

  /// On 1, 2 or 5 simulated nodes with 1 or 3 instances each.
  static auto drawn(const Draws& left, const Draws& right) -> JoinInputs {
    const int disorder = *rc::gen::inRange(0, 20), keys = *rc::gen::inRange(1, 6);
    const int nodes = *rc::gen::element(1, 2, 5), parallel = *rc::gen::element(1, 3);
    const auto seed = static_cast<std::uint64_t>(*rc::gen::inRange(1, 1'000'000));
    return {join_events(left, keys, disorder),
            join_events(right, keys, disorder),
            disorder,
            parallel,
            {nodes, seed, false}};
  }

  /// Both sides with event time and keys; the left source has one instance a node, the right one two.
  auto streams(Pipeline& pipeline) const {
    const auto strategy = [&] { return bounded_out_of_orderness(std::chrono::microseconds{disorder}); };
    return std::pair(
        pipeline.source(Dealt{left}).assign_timestamps(time_of, strategy()).key_by(&JoinEvent::key).parallel(parallel),
        pipeline.source(Dealt{right}).parallel(2).assign_timestamps(time_of, strategy()).key_by(&JoinEvent::key));
  }
};

/// A window of a key: from `start` on, up to `end` without it.
struct KeyWindow {
  int key;
  std::int64_t start, end;

  auto has(const JoinEvent& event) const -> bool { return event.key == key && start <= event.time && event.time < end; }
};

/// All windows around the events, also those in which nothing lies.
inline auto naive_windows(const JoinInputs& inputs, std::int64_t size, std::int64_t slide, std::int64_t offset)
    -> std::vector<KeyWindow> {
  std::int64_t last = 0;
  for (const auto* side : {&inputs.left, &inputs.right}) {
    for (const auto& event : *side) last = std::max(last, event.time);
  }
  std::vector<KeyWindow> all;
  for (std::int64_t start = offset - slide * (200 / slide + 1); start <= last; start += slide) {
    for (int key = 0; key < 10; ++key) all.push_back({key, start, start + size});
  }
  return all;
}

/// The records of both sides of a key, sorted and cut where the gap is.
inline auto naive_sessions(const JoinInputs& inputs, std::int64_t gap) -> std::vector<KeyWindow> {
  std::map<int, std::set<std::int64_t>> times;
  for (const auto* side : {&inputs.left, &inputs.right}) {
    for (const auto& event : *side) times[event.key].insert(event.time);
  }
  std::vector<KeyWindow> all;
  for (const auto& [key, of_key] : times) {
    const auto first = all.size();
    for (const auto time : of_key) {
      if (all.size() == first || all.back().end <= time) all.push_back({key, time, time});
      all.back().end = time + gap;
    }
  }
  return all;
}

}  // namespace tensair::test
