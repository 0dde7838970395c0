#include <cmath>
#include <tensair/model/mode.hpp>

#include "catch.hpp"

using namespace tensair;

namespace {

/// After how many losses the rule says that it has converged; -1: never.
auto converged_after(const Convergence& rule, const std::vector<double>& losses) -> int {
  LossWindows windows{rule};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (windows.add(losses[i]) && windows.converged()) return static_cast<int>(i) + 1;
  }
  return -1;
}

}  // namespace

TEST_CASE("a loss has converged when none of the last windows is above the latest by more than the factor", "[mode]") {
  const Convergence rule{.window = 2, .windows = 2, .factor = 1.1};
  // Means 8, 4, 2, 1, 1, 1: the first window that has only 1 in front of it is the sixth.
  CHECK(converged_after(rule, {8, 8, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1}) == 12);
  // Below the factor: 1.05 in front of 1 is no longer falling.
  CHECK(converged_after(rule, {8, 8, 1.05, 1.05, 1.05, 1.05, 1, 1}) == 8);
  CHECK(converged_after(rule, {8, 8, 1.2, 1.2, 1.2, 1.2, 1, 1}) == -1);
  // A window counts by its mean.
  CHECK(converged_after(rule, {0, 2, 2, 0, 1, 1}) == 6);
}

TEST_CASE("a loss that falls by more than the factor each window has not converged", "[mode]") {
  std::vector<double> losses;
  for (double loss = 1; losses.size() < 1'000; loss *= 0.9) losses.push_back(loss);
  CHECK(converged_after({.window = 1, .windows = 1, .factor = 1.1}, losses) == -1);
  CHECK(converged_after({.window = 1, .windows = 1, .factor = 1.2}, losses) == 2);
}

TEST_CASE("a loss that rises has converged: it falls no further", "[mode]") {
  CHECK(converged_after({.window = 1, .windows = 3, .factor = 1}, {1, 2, 3, 4}) == 4);
}

TEST_CASE("losses that are not finite are left out of windows", "[mode]") {
  CHECK(converged_after({.window = 2, .windows = 1, .factor = 1}, {1, NAN, 1, INFINITY, 1, 1}) == 6);
}

TEST_CASE("windows begin anew when they are cleared", "[mode]") {
  LossWindows windows{{.window = 1, .windows = 1, .factor = 1}};
  CHECK(windows.add(1));
  CHECK(windows.add(1));
  CHECK(windows.converged());
  windows.clear();
  CHECK_FALSE(windows.enough());
  CHECK(windows.add(1));
  CHECK_FALSE(windows.converged());
}

TEST_CASE("a detector and a function say that a loss has changed, and copies of them have states of their own",
          "[mode]") {
  enum class Found { none, warning, drift };
  struct Third {
    int seen = 0;
    auto update(double) -> Found { return ++seen == 3 ? Found::drift : seen == 2 ? Found::warning : Found::none; }
  };
  for (const auto& test : {DriftTest{Third{}}, DriftTest{[seen = 0](double) mutable { return ++seen == 3; }}}) {
    DriftTest one = test;
    CHECK_FALSE(one(0));
    CHECK_FALSE(one(0));  // a warning is none
    DriftTest other = test;
    CHECK(one(0));
    CHECK_FALSE(other(0));
  }
  CHECK_FALSE(DriftTest{});
}
