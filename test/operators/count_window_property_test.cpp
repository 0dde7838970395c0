#include <map>

#include "catch.hpp"
#include "support/arrivals.hpp"
#include "support/trickle.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

/// A value of each window, by key and in the order of the windows.
using Values = std::map<int, std::vector<std::int64_t>>;

/// Looks back from every slide-th event of a key, and from where the next one would be at the end.
auto naive(const std::vector<Event>& events, std::size_t size, std::size_t slide) -> Values {
  std::map<int, std::vector<int>> values;
  for (const auto& event : events) values[event.key].push_back(event.value);
  Values sums;
  for (const auto& [key, own] : values) {
    for (std::size_t end = slide; end < own.size() + slide; end += slide) {
      std::int64_t sum = 0;
      for (std::size_t i = end - std::min(end, size); i < std::min(end, own.size()); ++i) sum += own[i];
      sums[key].push_back(sum);
    }
  }
  return sums;
}

/// Whether windows have the times of their last events. Those that the end of the stream cuts short may have later
/// ones.
auto have_times_of(const std::vector<Event>& events, std::size_t slide, const Values& found) -> bool {
  Values times;
  for (const auto& event : events) times[event.key].push_back(event.time);
  for (const auto& [key, own] : times) {
    const auto& windows = found.at(key);
    for (std::size_t i = 0; i < windows.size(); ++i) {
      const std::size_t end = (i + 1) * slide;
      if (end <= own.size() ? windows[i] != own[end - 1] : windows[i] < own.back()) return false;
    }
  }
  return true;
}

/// Takes down sums and times, and whether a watermark was ahead of a result.
struct TimedSink {
  Values *sums, *times;
  bool* behind;
  EventTime now = beginning_of_time;

  void operator()(const KeyValue<int, std::int64_t>& result, EventTime time) {
    (*sums)[result.key].push_back(result.value);
    (*times)[result.key].push_back(time.time_since_epoch().count());
    *behind = *behind || time < now;
  }
  void watermark(EventTime time) { now = time; }
};

/// Sizes and slides, tumbling often.
struct Shape {
  std::size_t slide = static_cast<std::size_t>(drawn(1, 7));
  std::size_t size = slide + static_cast<std::size_t>(std::max(0, drawn(0, 30) - 10));

  auto windows() const -> CountWindows { return slide == size ? tumbling_count(size) : sliding_count(size, slide); }
};

auto by_time(std::vector<Event> events) -> std::vector<Event> {
  std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.time < b.time; });
  return events;
}

}  // namespace

TEST_CASE("windows of a number of records have the last ones of their key", "[operators][window][property]") {
  const auto property = [](const Arrivals& arrivals, const Place& place) {
    const Shape shape;
    const auto events = events_of(arrivals);
    Values sums;
    run(place.topology(), [&](Pipeline& pipeline) {
      pipeline.source(events)
          .key_by(&Event::key)
          .parallel(place.workers)
          .window(shape.windows())
          .sum(&Event::value)
          .sink([&](const KeyValue<int, std::int64_t>& result) { sums[result.key].push_back(result.value); });
    });
    RC_ASSERT(sums == naive(events, shape.size, shape.slide));
  };
  check_with_arrivals("for any events, size, slide and place", property);
}

TEST_CASE("with event time, windows of a number of records have those that follow in time, however they come",
          "[operators][window][property]") {
  const auto property = [](const Arrivals& arrivals, const Place& place) {
    const Shape shape;
    // No two at the same time: which of them counts first is not said.
    constexpr std::int64_t apart = 1'000;
    auto events = events_of(arrivals);
    for (std::size_t i = 0; i < events.size(); ++i) events[i].time = events[i].time * apart + static_cast<int>(i);
    Values sums, times;
    bool behind = false;
    run(place.topology(), [&](Pipeline& pipeline) {
      pipeline.source(Trickle{events, place.records_a_turn})
          .parallel(place.workers)
          .assign_timestamps(time_of, bounded_out_of_orderness(apart * disorder_of(arrivals)))
          .key_by(&Event::key)
          .parallel(place.workers)
          .window(shape.windows())
          .sum(&Event::value)
          .sink(TimedSink{&sums, &times, &behind});
    });
    RC_ASSERT(sums == naive(by_time(events), shape.size, shape.slide));
    RC_ASSERT(have_times_of(by_time(events), shape.slide, times));
    RC_ASSERT(!behind);
  };
  check_with_arrivals("for any events, size, slide and place", property);
}

TEST_CASE("a record behind the watermark is in no window of a number of records, but late",
          "[operators][window][property]") {
  const auto property = [](const Arrivals& arrivals, const Place&) {
    const Shape shape;
    const int bound = drawn(0, 60);
    const auto events = events_of(arrivals);
    std::vector<Event> in_time;
    std::vector<int> late, expected_late;
    std::int64_t latest = -1'000;
    for (const auto& event : events) {
      if (event.time < latest - bound) {
        expected_late.push_back(event.value);
      } else {
        in_time.push_back(event);
      }
      latest = std::max(latest, event.time);
    }
    Values sums;
    run({}, [&](Pipeline& pipeline) {
      pipeline.source(events)
          .assign_timestamps(time_of, bounded_out_of_orderness(std::chrono::microseconds{bound}))
          .key_by(&Event::key)
          .window(shape.windows())
          .late([&](const Event& event) { late.push_back(event.value); })
          .sum(&Event::value)
          .sink([&](const KeyValue<int, std::int64_t>& result) { sums[result.key].push_back(result.value); });
    });
    RC_ASSERT(late == expected_late);
    RC_ASSERT(sums == naive(by_time(in_time), shape.size, shape.slide));
  };
  check_with_arrivals("for any events, size, slide and watermarks", property);
}
