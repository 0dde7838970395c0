#include <map>
#include <utility>

#include "catch.hpp"
#include "support/window_results.hpp"

// Which events are late depends on what has come before. So where one task does it all, windows emit exactly what a
// loop over the events does.

using namespace tensair;
using namespace tensair::test;

namespace {

/// What comes out, in order: the sums of each key and window, by its start; and the values of late events.
struct Found {
  std::map<std::pair<int, std::int64_t>, std::vector<std::int64_t>> sums;
  std::vector<int> late;

  friend auto operator==(const Found&, const Found&) -> bool = default;
};

struct Shape {
  int size, slide, offset;
  std::int64_t lateness, bound;
};

auto naive(const std::vector<Event>& events, const Shape& shape) -> Found {
  struct Open {
    std::int64_t sum = 0;
    bool fired = false;
  };
  std::map<std::pair<int, std::int64_t>, Open> windows;
  Found outcome;
  std::int64_t watermark = INT64_MIN;
  const auto ended = [&](std::int64_t start) { return start + shape.size <= watermark; };
  const auto fire = [&] {
    for (auto& [where, window] : windows) {
      if (ended(where.second) && !std::exchange(window.fired, true)) outcome.sums[where].push_back(window.sum);
    }
  };
  for (const auto& event : events) {
    bool in_one = false, taken = false;
    for (std::int64_t start = shape.offset - 400 * shape.slide; start <= event.time; start += shape.slide) {
      if (event.time >= start + shape.size) continue;
      in_one = true;
      if (start + shape.size + shape.lateness <= watermark) continue;
      taken = true;
      auto& window = windows[{event.key, start}];
      window.sum += event.value;
      window.fired = false;
    }
    if (in_one && !taken) outcome.late.push_back(event.value);
    fire();
    watermark = std::max(watermark, event.time - shape.bound);
    fire();
  }
  watermark = INT64_MAX;
  fire();
  return outcome;
}

template <class W>
auto outcome_of(const std::vector<Event>& events, const Shape& shape, W windows) -> Found {
  Found outcome;
  run({}, [&](Pipeline& pipeline) {
    timed(pipeline, events, {}, std::chrono::microseconds{shape.bound})
        .key_by(&Event::key)
        .window(windows)
        .allowed_lateness(std::chrono::microseconds{shape.lateness})
        .late([&](const Event& event) { outcome.late.push_back(event.value); })
        .sum(&Event::value)
        .sink([&](const WindowResult<int, std::int64_t>& result) {
          outcome.sums[{result.key, result.window.start.time_since_epoch().count()}].push_back(result.value);
        });
  });
  return outcome;
}

}  // namespace

TEST_CASE("tumbling windows fire at the watermark, again for each event in the allowed lateness, and then it is late",
          "[operators][window][property]") {
  const auto property = [](const Arrivals& arrivals, const Place&) {
    const auto events = events_of(arrivals);
    const int size = drawn(1, 60);
    const Shape shape{size, size, drawn(-50, 50), drawn(0, 60), drawn(0, 60)};
    const auto windows = tumbling(std::chrono::microseconds{size}, std::chrono::microseconds{shape.offset});
    RC_ASSERT(outcome_of(events, shape, windows) == naive(events, shape));
  };
  check_with_arrivals("for any events, size, lateness and watermarks", property);
}

TEST_CASE("each sliding window fires at the watermark, and again for each event in its allowed lateness",
          "[operators][window][property]") {
  const auto property = [](const Arrivals& arrivals, const Place&) {
    const auto events = events_of(arrivals);
    const Shape shape{drawn(1, 60), drawn(1, 40), drawn(-50, 50), drawn(0, 60), drawn(0, 60)};
    const auto windows = sliding(std::chrono::microseconds{shape.size}, std::chrono::microseconds{shape.slide},
                                 std::chrono::microseconds{shape.offset});
    RC_ASSERT(outcome_of(events, shape, windows) == naive(events, shape));
  };
  check_with_arrivals("for any events, size, slide, lateness and watermarks", property);
}
