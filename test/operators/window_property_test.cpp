#include <map>

#include "catch.hpp"
#include "support/window_results.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

/// Asks every window for its events.
auto naive(const Arrivals& events, int size, int slide, int offset) -> std::vector<SumResult> {
  std::vector<SumResult> all;
  for (std::int64_t start = offset - 400 * slide; start <= 300; start += slide) {
    std::map<int, std::int64_t> sums;
    for (const auto& event : events) {
      if (start <= event.time && event.time < start + size) sums[event.key] += event.value;
    }
    for (const auto& [key, sum] : sums) all.emplace_back(key, start, start + size, sum, start + size - 1);
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("a tumbling window has the sum of the events between its start and its end",
          "[operators][window][property]") {
  const auto property = [](const Arrivals& arrivals, const Place& place) {
    const int size = drawn(1, 60), offset = drawn(-50, 50);
    const auto windows = tumbling(std::chrono::microseconds{size}, std::chrono::microseconds{offset});
    RC_ASSERT(sums_of(arrivals, place, windows) == naive(arrivals, size, size, offset));
  };
  check_with_arrivals("for any events, size, offset and place", property);
}

TEST_CASE("each sliding window has the sum of the events between its start and its end",
          "[operators][window][property]") {
  const auto property = [](const Arrivals& arrivals, const Place& place) {
    const int size = drawn(1, 60), slide = drawn(1, 40), offset = drawn(-50, 50);
    const auto windows =
        sliding(std::chrono::microseconds{size}, std::chrono::microseconds{slide}, std::chrono::microseconds{offset});
    RC_ASSERT(sums_of(arrivals, place, windows) == naive(arrivals, size, slide, offset));
  };
  check_with_arrivals("for any events, size, slide and place", property);
}
