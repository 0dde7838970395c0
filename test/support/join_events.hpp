#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <tensair/pipeline.hpp>
#include <utility>
#include <vector>

#include "support/events.hpp"
#include "support/topologies.hpp"
#include "support/trickle.hpp"

namespace tensair::test {

struct JoinEvent {
  int key = 0;
  int number = 0;         // which of its side
  std::int64_t time = 0;  // µs
};

/// Events of a small generator with a seed (Marsaglia's xorshift), whose times go up by and large: none is more than
/// `disorder` older than one before it.
inline auto some_join_events(int n, int keys, int disorder, std::uint64_t seed) -> std::vector<JoinEvent> {
  std::uint64_t state = seed * 0x9e37'79b9'7f4a'7c15 + 1;
  const auto below = [&](int limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<int>((state >> 33) % static_cast<std::uint64_t>(limit));
  };
  std::vector<JoinEvent> all;
  std::int64_t now = -20;
  for (int i = 0; i < n; ++i) {
    now += below(8);
    all.push_back({below(keys), i, now - below(disorder + 1)});
  }
  return all;
}

/// The two sides of a join, and where it runs.
struct JoinInputs {
  std::vector<JoinEvent> left, right;
  int disorder = 0;
  int parallel = 1;
  Topology topology{};
  int records_a_turn = 1'000;

  /// Both sides with event time and keys; the left source has one instance a node, the right one two.
  auto streams(Pipeline& pipeline) const {
    const auto strategy = [&] { return bounded_out_of_orderness(std::chrono::microseconds{disorder}); };
    return std::pair(pipeline.source(Trickle{left, records_a_turn})
                         .assign_timestamps(time_of, strategy())
                         .key_by(&JoinEvent::key)
                         .parallel(parallel),
                     pipeline.source(Trickle{right, records_a_turn})
                         .parallel(2)
                         .assign_timestamps(time_of, strategy())
                         .key_by(&JoinEvent::key));
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
  for (std::int64_t start = offset - slide * (300 / slide + 1); start <= last; start += slide) {
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
