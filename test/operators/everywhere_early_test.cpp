#include "support/everywhere_windows.hpp"

// Windows with more than one result give the same in the end on 1, 2 and 5 nodes, with 1 and 3 workers, in the
// simulation and over TCP.

using namespace tensair;
using namespace tensair::test;
using namespace tensair::test::windows_everywhere;
using namespace std::chrono_literals;

namespace {

/// Checks early results of windows: those that end in the window's value, and those that add up to it.
template <class W>
void check_early(W windows, const Sums& expected) {
  check_windows(expected, false, disorder, [&](auto all) { return std::move(all).window(windows).early(3); });
  check_windows(expected, true, disorder,
                [&](auto all) { return std::move(all).window(windows).early(3).discarding(); });
}

/// Checks windows of which nothing is late, though no disorder was expected: alone, and with early results.
template <class W>
void check_lateness(W windows, const Sums& expected) {
  check_windows(expected, false, 0us, [&](auto all) { return std::move(all).window(windows).allowed_lateness(1s); });
  check_windows(expected, false, 0us,
                [&](auto all) { return std::move(all).window(windows).early(3).allowed_lateness(1s); });
  check_windows(expected, true, 0us,
                [&](auto all) { return std::move(all).window(windows).early(3).discarding().allowed_lateness(1s); });
}

}  // namespace

TEST_CASE("early results of tumbling windows end in the window's value, or add up to it, everywhere",
          "[operators][window][everywhere]") {
  check_early(tumbling(50us), naive_tumbling(50));
}

TEST_CASE("early results of sliding windows end in the window's value, or add up to it, everywhere",
          "[operators][window][everywhere]") {
  check_early(sliding(50us, 20us), naive_sliding(50, 20));
}

TEST_CASE("early results of sessions end in the session's value, or add up to it, everywhere",
          "[operators][window][everywhere]") {
  const auto sessions = naive_sessions(15us);
  REQUIRE(sessions.size() > 50);
  check_early(session(15us), sessions);
}

TEST_CASE("early results of a time end in the window's value, or add up to it, everywhere",
          "[operators][window][everywhere]") {
  check_windows(naive_tumbling(50), false, disorder,
                [](auto all) { return std::move(all).window(tumbling(50us)).early(1us); });
  check_windows(naive_sessions(15us), true, disorder,
                [](auto all) { return std::move(all).window(session(15us)).early(1us).discarding(); });
}

TEST_CASE("with allowed lateness tumbling windows are whole in the end, with early results too, everywhere",
          "[operators][window][everywhere]") {
  check_lateness(tumbling(50us), naive_tumbling(50));
}

TEST_CASE("with allowed lateness sliding windows are whole in the end, with early results too, everywhere",
          "[operators][window][everywhere]") {
  check_lateness(sliding(50us, 20us), naive_sliding(50, 20));
}

TEST_CASE("with allowed lateness sessions are whole in the end, with early results too, everywhere",
          "[operators][window][everywhere]") {
  check_lateness(session(15us), naive_sessions(15us));
}
