#include <map>

#include "catch.hpp"
#include "support/window_results.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

/// Sorts the events of each key by time, and cuts where the gap is.
auto naive(const Arrivals& events, int gap) -> std::vector<SumResult> {
  std::map<int, std::multimap<std::int64_t, int>> values;
  for (const auto& event : events) values[event.key].emplace(event.time, event.value);
  std::vector<SumResult> all;
  for (const auto& [key, own] : values) {
    std::int64_t start = own.begin()->first, end = start, sum = 0;
    for (const auto& [time, value] : own) {
      if (time >= end && time > start) {
        all.emplace_back(key, start, end, sum, end - 1);
        start = time;
        sum = 0;
      }
      end = time + gap;
      sum += value;
    }
    all.emplace_back(key, start, end, sum, end - 1);
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("sessions are those of the sorted events, cut where the gap is", "[operators][window][property]") {
  const auto property = [](const Arrivals& arrivals, const Place& place) {
    const int gap = drawn(1, 60);
    RC_ASSERT(sums_of(arrivals, place, session(std::chrono::microseconds{gap})) == naive(arrivals, gap));
  };
  check_with_arrivals("for any events, gap and place", property);
}
