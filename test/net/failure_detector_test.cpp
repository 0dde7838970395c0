#include <tensair/net/failure_detector.hpp>

#include "catch.hpp"

using namespace std::chrono_literals;
using namespace tensair;
using tensair::net::FailureDetector;

namespace {

constexpr Duration beat = 500ms, patience = 5s;
constexpr Time start{1h};

/// When a detector that is asked every `step` from `from` on first suspects.
auto first_suspicion(FailureDetector& detector, Time from, Duration step = beat) -> Time {
  for (auto now = from + step; now < from + 1h; now += step) {
    if (detector.suspects(now)) return now;
  }
  return never;
}

}  // namespace

TEST_CASE("a silent peer is suspected when the patience has passed, and no later than a beat after", "[net][failure]") {
  FailureDetector detector{beat, patience, start};
  CHECK(first_suspicion(detector, start) == start + patience + beat);
}

TEST_CASE("a peer that is heard in time is never suspected", "[net][failure]") {
  FailureDetector detector{beat, patience, start};
  for (auto now = start; now < start + 1h; now += beat) {
    if ((now - start) % patience == 0s) detector.heard();
    REQUIRE(!detector.suspects(now));
  }
}

TEST_CASE("silence counts from the last time something was heard", "[net][failure]") {
  FailureDetector detector{beat, patience, start};
  CHECK(!detector.suspects(start + 500ms));
  CHECK(!detector.suspects(start + 1s));
  detector.heard();
  CHECK(first_suspicion(detector, start + 1s) == start + 1s + patience + beat);
}

TEST_CASE("a clock that jumps makes no peer suspect", "[net][failure]") {
  FailureDetector detector{beat, patience, start};
  SECTION("forwards, as after a suspended machine has woken") {
    CHECK(!detector.suspects(start + 24h));
    CHECK(first_suspicion(detector, start + 24h) == start + 24h + patience - 2 * beat + beat);
  }
  SECTION("backwards") {
    CHECK(!detector.suspects(start + 4s));
    CHECK(!detector.suspects(start - 24h));
    CHECK(first_suspicion(detector, start - 24h) <= start - 24h + patience + beat);
  }
}

TEST_CASE("a node that is late with its question does not blame its peer for the time", "[net][failure]") {
  FailureDetector detector{beat, patience, start};
  CHECK(first_suspicion(detector, start, 10s) == start + 60s);  // two beats of each ten seconds
}
