#include <cmath>
#include <random>
#include <tensair/drift/features.hpp>
#include <vector>

#include "catch.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Rows of normal numbers: two of three features go together with that correlation, the third is shifted.
struct Rows {
  std::mt19937 random{1};
  double correlation = 0.8, shift = 0;

  auto next() -> std::vector<double> {
    auto draw = std::normal_distribution<double>{};
    const double a = draw(random), b = draw(random), c = draw(random);
    return {a, correlation * a + std::sqrt(1 - correlation * correlation) * b, c + shift};
  }
};

/// How many blocks of so many signal a drift.
template <class D>
auto drifts(D& detector, Rows& rows, int blocks, int window) -> int {
  int count = 0;
  for (int i = 0; i < blocks * window; ++i) count += detector.update(rows.next()) == DriftLevel::drift;
  return count;
}

}  // namespace

TEST_CASE("the feature-wise KS test sees a feature that moves, and which", "[drift][features]") {
  Rows rows;
  drift::KsFeatures detector{3};
  CHECK(drifts(detector, rows, 20, 500) == 0);
  rows.shift = 0.5;
  CHECK(drifts(detector, rows, 1, 500) == 1);
  REQUIRE(detector.p_values().size() == 3);
  CHECK(detector.p_values()[2] < 1e-6);
  CHECK(detector.p_values()[0] > 1e-3);
  CHECK(detector.p_values()[1] > 1e-3);
  // What is now is the reference.
  CHECK(drifts(detector, rows, 20, 500) == 0);
}

TEST_CASE("the KS test's p-value is scipy's", "[drift][features]") {
  // scipy 1.17.1: ks_2samp(range(20), [i + 7.5 for i in range(20)]).pvalue
  drift::KsFeatures detector{1, {.window = 20, .alpha = 1e-9, .warning = 1e-8}};
  for (int i = 0; i < 20; ++i) detector.update(std::vector{static_cast<double>(i)});
  for (int i = 0; i < 20; ++i) detector.update(std::vector{static_cast<double>(i) + 8 - 0.5});
  CHECK(detector.p_value() == Approx(0.08105771161340149));
}

TEST_CASE("MMD sees features that no longer go together, which the KS test does not", "[drift][features]") {
  Rows rows;
  drift::Mmd discrepancy{3};
  drift::KsFeatures single{3};
  CHECK(drifts(discrepancy, rows, 20, 500) == 0);
  CHECK(drifts(single, rows, 20, 500) == 0);
  rows.correlation = -0.2;
  CHECK(drifts(discrepancy, rows, 1, 500) == 1);
  CHECK(discrepancy.p_value() < 1e-4);
  CHECK(discrepancy.bandwidth() > 0);
  CHECK(drifts(single, rows, 5, 500) == 0);
}

TEST_CASE("false alarms are as rare as asked for", "[drift][features]") {
  // 400 blocks at 5 %: 20 expected. 40 or more have a probability of 2e-5; each reference serves many blocks, which
  // makes them less even.
  Rows rows;
  drift::Mmd discrepancy{3, {.window = 100, .alpha = 0.05, .warning = 0.1}};
  drift::KsFeatures single{3, {.window = 100, .alpha = 0.05, .warning = 0.1}};
  const int of_discrepancy = drifts(discrepancy, rows, 400, 100), of_single = drifts(single, rows, 400, 100);
  CHECK(of_discrepancy < 45);
  CHECK(of_discrepancy > 2);
  CHECK(of_single < 45);
  CHECK(of_single > 2);
}

TEST_CASE("rows that are all equal are no drift, and another is", "[drift][features]") {
  drift::Mmd discrepancy{2, {.window = 50}};
  drift::KsFeatures single{2, {.window = 50}};
  for (int i = 0; i < 500; ++i) {
    CHECK(discrepancy.update(std::vector{0.1, 3.0}) == DriftLevel::none);
    CHECK(single.update(std::vector{0.1, 3.0}) == DriftLevel::none);
  }
  auto last = DriftLevel::none, last_single = last;
  for (int i = 0; i < 50; ++i) {
    last = discrepancy.update(std::vector{0.1, 3.5});
    last_single = single.update(std::vector{0.1, 3.5});
  }
  CHECK(last == DriftLevel::drift);
  CHECK(last_single == DriftLevel::drift);
}

TEST_CASE("bad rows and parameters are refused", "[drift][features]") {
  drift::Mmd discrepancy{2};
  drift::KsFeatures single{2};
  CHECK_THROWS_WITH(discrepancy.update(std::vector{1.0}), ContainsSubstring("a row of 1 numbers"));
  CHECK_THROWS_AS(single.update(std::vector{1.0, 2.0, 3.0}), drift::BadValue);
  CHECK_THROWS_AS(discrepancy.update(std::vector{1.0, std::nan("")}), drift::BadValue);
  CHECK_THROWS_AS(single.update(std::vector{HUGE_VAL, 1.0}), drift::BadValue);
  CHECK_THROWS_AS((drift::Mmd{0}), UsageError);
  CHECK_THROWS_AS((drift::KsFeatures{2, {.window = 5}}), UsageError);
  CHECK_THROWS_AS((drift::Mmd{2, {.alpha = 0}}), UsageError);
  CHECK_THROWS_AS((drift::Mmd{2, {.frequencies = 0}}), UsageError);
}
