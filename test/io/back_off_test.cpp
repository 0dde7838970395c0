#include <optional>
#include <tensair/io/back_off.hpp>
#include <vector>

#include "catch.hpp"

using namespace tensair;
using namespace std::chrono_literals;

namespace {

/// The delays of tries that take no time, until it gives up.
auto delays(BackOff back_off) -> std::vector<Duration> {
  std::vector<Duration> all;
  Duration elapsed{0};
  while (const auto delay = back_off.next(elapsed)) {
    all.push_back(*delay);
    elapsed += *delay;
  }
  return all;
}

}  // namespace

TEST_CASE("delays between tries double up to the longest, until time is up", "[io]") {
  CHECK((delays({100ms, 1s, 5s}) == std::vector<Duration>{100ms, 200ms, 400ms, 800ms, 1s, 1s, 1s}));
  CHECK((delays({3s, 4s, 11s}) == std::vector<Duration>{3s, 4s, 4s}));
  CHECK(delays({100ms, 1s, 99ms}).empty());
  CHECK((delays({2s, 1s, 2s}) == std::vector<Duration>{1s, 1s}));
}

TEST_CASE("time that tries take is not waited for again", "[io]") {
  BackOff back_off{100ms, 10s, 30s};
  CHECK(back_off.next(29s) == 100ms);
  CHECK(back_off.next(29'800ms) == 200ms);
  CHECK_FALSE(back_off.next(29'601ms));
  CHECK_FALSE(back_off.next(31s));
}

TEST_CASE("a back-off without end does not overflow", "[io]") {
  BackOff back_off{Duration{1}, Duration::max(), Duration::max()};
  Duration last{0};
  for (int i = 0; i < 62; ++i) {
    const auto delay = back_off.next(0ms);
    REQUIRE(delay.has_value());
    REQUIRE(*delay > last);
    last = *delay;
  }
  for (int i = 0; i < 10; ++i) REQUIRE(back_off.next(0ms) >= last);
}
