#pragma once

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "support/arrivals.hpp"
#include "support/trickle.hpp"

namespace tensair::test {

/// Key, start, end and sum of a window's result, and the time it came with.
using SumResult = std::tuple<int, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

inline auto timed(Pipeline& pipeline, const std::vector<Event>& events, const Place& place,
                  std::chrono::microseconds bound) {
  return pipeline.source(Trickle{events, place.records_a_turn})
      .parallel(place.workers)
      .assign_timestamps(time_of, bounded_out_of_orderness(bound));
}

/// Takes down what windows emit, and whether a watermark was ahead of it.
struct SumSink {
  std::vector<SumResult>* results;
  bool* behind;
  EventTime now = beginning_of_time;

  void operator()(const WindowResult<int, std::int64_t>& result, EventTime time) {
    const auto count = [](EventTime of) { return of.time_since_epoch().count(); };
    results->emplace_back(result.key, count(result.window.start), count(result.window.end), result.value, count(time));
    *behind = *behind || time < now;
  }
  void watermark(EventTime time) { now = time; }
};

/// The sums by key and window of events of which none is late, sorted; nothing if one came behind its watermark.
template <class W>
auto sums_of(const Arrivals& arrivals, const Place& place, W windows) -> std::vector<SumResult> {
  std::vector<SumResult> results;
  bool behind = false;
  run(place.topology(), [&](Pipeline& pipeline) {
    timed(pipeline, events_of(arrivals), place, disorder_of(arrivals))
        .key_by(&Event::key)
        .parallel(place.workers)
        .window(windows)
        .sum(&Event::value)
        .sink(SumSink{&results, &behind});
  });
  std::sort(results.begin(), results.end());
  if (behind) results.clear();
  return results;
}

}  // namespace tensair::test
