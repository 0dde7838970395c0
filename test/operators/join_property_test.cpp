#include <algorithm>
#include <tuple>

#include "catch.hpp"
#include "support/arrivals.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

/// The numbers of a pair, and the time it came with.
using Match = std::tuple<int, int, std::int64_t>;

}  // namespace

TEST_CASE("interval join gives the pairs of a nested loop, without some if records are late",
          "[operators][join][property]") {
  check_with_two("for any events, bounds, watermarks and place",
                 [](const Arrivals& left, const Arrivals& right, const Place& place) {
                   const std::int64_t lower = drawn(-30, 30), upper = lower + drawn(0, 40);
                   auto inputs = join_inputs(left, right, place);
                   const bool some_are_late = drawn(0, 3) == 3;
                   if (some_are_late) inputs.disorder /= 4;

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
                         .with([](const JoinEvent& a, const JoinEvent& b) { return std::pair(a.number, b.number); })
                         .sink([&](const std::pair<int, int>& pair, EventTime time) {
                           found.emplace_back(pair.first, pair.second, time.time_since_epoch().count());
                         });
                   });
                   std::sort(expected.begin(), expected.end());
                   std::sort(found.begin(), found.end());
                   if (some_are_late) {
                     RC_ASSERT(std::includes(expected.begin(), expected.end(), found.begin(), found.end()));
                   } else {
                     RC_ASSERT(found == expected);
                   }
                 });
}

TEST_CASE("a join without a window gives every pair of a key", "[operators][join][property]") {
  check_with_two("for any events and place", [](const Arrivals& left, const Arrivals& right, const Place& place) {
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
    std::sort(expected.begin(), expected.end());
    std::sort(found.begin(), found.end());
    RC_ASSERT(found == expected);
  });
}
