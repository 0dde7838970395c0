#include <map>
#include <utility>

#include "catch.hpp"
#include "support/window_results.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

/// What comes out of one task, in order: the sessions of each key as start, end and sum; and the values of late events.
struct Found {
  std::map<int, std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t>>> sessions;
  std::vector<int> late;

  void sort() {
    for (auto& [key, own] : sessions) std::sort(own.begin(), own.end());
  }
  friend auto operator==(const Found&, const Found&) -> bool = default;
};

auto naive(const std::vector<Event>& events, int gap, std::int64_t lateness, std::int64_t bound) -> Found {
  struct Session {
    int key;
    std::int64_t start, end, sum;
    bool fired;
  };
  std::vector<Session> open;
  Found outcome;
  std::int64_t watermark = INT64_MIN;
  const auto gone = [&](const Session& one) { return one.end + lateness <= watermark; };
  const auto fire = [&] {
    for (auto& one : open) {
      if (one.end > watermark || std::exchange(one.fired, true)) continue;
      outcome.sessions[one.key].emplace_back(one.start, one.end, one.sum);
    }
    open.erase(std::remove_if(open.begin(), open.end(), gone), open.end());
  };
  for (const auto& event : events) {
    Session all{event.key, event.time, event.time + gap, event.value, false};
    const auto joins = [&](const Session& one) {
      return one.key == event.key && one.start < event.time + gap && event.time < one.end;
    };
    if (std::none_of(open.begin(), open.end(), joins) && gone(all)) {
      outcome.late.push_back(event.value);
      continue;
    }
    for (const auto& one : open) {
      if (!joins(one)) continue;
      all.start = std::min(all.start, one.start);
      all.end = std::max(all.end, one.end);
      all.sum += one.sum;
    }
    open.erase(std::remove_if(open.begin(), open.end(), joins), open.end());
    open.push_back(all);
    fire();
    watermark = std::max(watermark, event.time - bound);
    fire();
  }
  watermark = INT64_MAX / 2;
  fire();
  outcome.sort();
  return outcome;
}

}  // namespace

TEST_CASE("a session fires at the watermark, again when an event in the allowed lateness makes it longer or two one",
          "[operators][window][property]") {
  const auto property = [](const Arrivals& arrivals, const Place&) {
    const auto events = events_of(arrivals);
    const int gap = drawn(1, 60), lateness = drawn(0, 60), bound = drawn(0, 60);
    Found outcome;
    run({}, [&](Pipeline& pipeline) {
      timed(pipeline, events, {}, std::chrono::microseconds{bound})
          .key_by(&Event::key)
          .window(session(std::chrono::microseconds{gap}))
          .allowed_lateness(std::chrono::microseconds{lateness})
          .late([&](const Event& event) { outcome.late.push_back(event.value); })
          .sum(&Event::value)
          .sink([&](const WindowResult<int, std::int64_t>& result) {
            outcome.sessions[result.key].emplace_back(result.window.start.time_since_epoch().count(),
                                                      result.window.end.time_since_epoch().count(), result.value);
          });
    });
    outcome.sort();
    RC_ASSERT(outcome == naive(events, gap, lateness, bound));
  };
  check_with_arrivals("for any events, gap, lateness and watermarks", property);
}
