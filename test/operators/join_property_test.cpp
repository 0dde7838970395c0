#include <algorithm>
#include <tuple>

#include "catch.hpp"
#include "support/arrivals.hpp"
#include "support/on_schedule.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

/// The numbers of a pair, and the time it came with.
using Match = std::tuple<int, int, std::int64_t>;

auto numbers_of(const JoinEvent& a, const JoinEvent& b) -> std::pair<int, int> {
  return {a.number, b.number};
}

/// A sink that notes what it is given.
auto into(std::vector<Match>& found) {
  return [&found](const std::pair<int, int>& pair, EventTime time) {
    found.emplace_back(pair.first, pair.second, time.time_since_epoch().count());
  };
}

/// Whatever the order.
template <class T>
void assert_same(std::vector<T>& found, std::vector<T>& expected) {
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  RC_ASSERT(found == expected);
}

}  // namespace

TEST_CASE("interval join gives the pairs of a nested loop", "[operators][join][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    const std::int64_t lower = drawn(-30, 30), upper = lower + drawn(0, 40);
    const auto inputs = join_inputs(left, right, place);

    std::vector<Match> expected, found;
    for (const auto& a : inputs.left) {
      for (const auto& b : inputs.right) {
        if (a.key == b.key && a.time + lower <= b.time && b.time <= a.time + upper)
          expected.emplace_back(a.number, b.number, std::max(a.time, b.time));
      }
    }
    run(inputs.topology, [&](Pipeline& pipeline) {
      auto [left_keyed, right_keyed] = inputs.streams(pipeline);
      std::move(left_keyed)
          .join(std::move(right_keyed))
          .between(std::chrono::microseconds{lower}, std::chrono::microseconds{upper})
          .with(numbers_of)
          .sink(into(found));
    });
    assert_same(found, expected);
  };
  check_with_two("for any events, bounds and place", property);
}

TEST_CASE("in an interval join a record behind the watermark has no partners, and any other has all of its own",
          "[operators][join][property]") {
  const auto property = [](const Arrivals& quick, const Arrivals& slow, const Place& place) {
    // The quick side has ended long before the slow one begins, and that one's records come one by one.
    // So its latest time is the watermark.
    const bool left_is_quick = drawn(0, 1) == 0;
    const std::int64_t lower = drawn(-30, 30), upper = lower + drawn(0, 40), bound = drawn(0, 20);
    const auto quick_events = join_events_of(quick), slow_events = join_events_of(slow);

    std::vector<Match> expected, found;
    std::int64_t watermark = INT64_MIN;
    for (const auto& b : slow_events) {
      for (const auto& a : quick_events) {
        const auto apart = left_is_quick ? b.time - a.time : a.time - b.time;
        if (b.time < watermark || a.key != b.key || apart < lower || upper < apart) continue;
        expected.emplace_back(left_is_quick ? a.number : b.number, left_is_quick ? b.number : a.number,
                              std::max(a.time, b.time));
      }
      watermark = std::max(watermark, b.time - bound);
    }

    std::vector<std::pair<std::chrono::milliseconds, JoinEvent>> at_once, one_by_one;
    for (const auto& event : quick_events) at_once.emplace_back(0, event);
    for (const auto& event : slow_events)
      one_by_one.emplace_back(std::chrono::seconds{1 + static_cast<int>(one_by_one.size())}, event);
    run(place.topology(), [&](Pipeline& pipeline) {
      const auto side = [&](bool is_quick) {
        const auto late_by = is_quick ? disorder_of(quick) : std::chrono::microseconds{bound};
        return pipeline.source(OnSchedule{is_quick ? at_once : one_by_one})
            .assign_timestamps(time_of, bounded_out_of_orderness(late_by))
            .key_by(&JoinEvent::key)
            .parallel(place.workers);
      };
      side(left_is_quick)
          .join(side(!left_is_quick))
          .between(std::chrono::microseconds{lower}, std::chrono::microseconds{upper})
          .with(numbers_of)
          .sink(into(found));
    });
    assert_same(found, expected);
  };
  check_with_two("for any events, bounds, watermarks and place", property);
}

TEST_CASE("a join without a window gives every pair of a key", "[operators][join][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    const auto inputs = join_inputs(left, right, place);
    std::vector<std::pair<int, int>> expected;
    for (const auto& a : inputs.left) {
      for (const auto& b : inputs.right) {
        if (a.key == b.key) expected.emplace_back(a.number, b.number);
      }
    }
    auto found = result_of<std::pair<int, int>>(inputs.topology, [&](Pipeline& pipeline) {
      return pipeline.source(Trickle{inputs.left, place.records_a_turn})
          .key_by(&JoinEvent::key)
          .join(pipeline.source(inputs.right).key_by(&JoinEvent::key).parallel(place.workers))
          .with([](const JoinEvent& a, const JoinEvent& b) { return std::pair(a.number, b.number); })
          .collect();
    });
    assert_same(found, expected);
  };
  check_with_two("for any events and place", property);
}
