#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <tensair/drift/hddm_a.hpp>

#include "catch.hpp"

// HDDM_A decides mostly without the means and roots of its definition. Here it is as the definition says, value by
// value.

using namespace tensair;

namespace {

/// Hoeffding's test of a mean and that of its beginning, as Frías-Blanco et al. and MOA have it.
class Definition {
 public:
  explicit Definition(const hddm_a& parameters) : parameters_(parameters) {}

  auto update(double value) -> DriftLevel {
    n_ += 1;
    sum_ += value;
    const double bound = std::sqrt(1 / (2 * n_) * std::log(1 / parameters_.drift));
    const double mean = sum_ / n_;
    if (lowest_n_ == 0 || lowest_sum_ / lowest_n_ + bound_of(lowest_n_) >= mean + bound)
      lowest_n_ = n_, lowest_sum_ = sum_;
    if (highest_n_ == 0 || highest_sum_ / highest_n_ - bound_of(highest_n_) <= mean - bound)
      highest_n_ = n_, highest_sum_ = sum_;
    const double risen = mean - lowest_sum_ / lowest_n_, fallen = highest_sum_ / highest_n_ - mean;
    auto level = DriftLevel::none;
    if (apart(risen, lowest_n_, parameters_.drift)) {
      level = DriftLevel::drift;
    } else if (apart(risen, lowest_n_, parameters_.warning)) {
      level = DriftLevel::warning;
    }
    if (level == DriftLevel::drift || (parameters_.two_sided && apart(fallen, highest_n_, parameters_.drift)))
      *this = Definition{parameters_};
    return level;
  }

 private:
  auto bound_of(double n) const -> double { return std::sqrt(1 / (2 * n) * std::log(1 / parameters_.drift)); }
  auto apart(double difference, double n, double significance) const -> bool {
    if (n == n_) return false;
    const double m = (n_ - n) / n * (1 / n_);
    return difference >= std::sqrt(m / 2 * std::log(2 / significance));
  }

  hddm_a parameters_;
  double n_ = 0, sum_ = 0, lowest_n_ = 0, lowest_sum_ = 0, highest_n_ = 0, highest_sum_ = 0;
};

}  // namespace

TEST_CASE("HDDM_A decides as its definition does, with any parameters", "[drift]") {
  std::uint64_t drifts = 0, warnings = 0;
  auto random = std::mt19937_64{3};
  const auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  for (const auto& parameters : {hddm_a{}, hddm_a{.two_sided = false}, hddm_a{.drift = 0.05, .warning = 0.2},
                                 hddm_a{.drift = 0.01, .warning = 0.001}, hddm_a{.drift = 1}, hddm_a{.warning = 1},
                                 hddm_a{.drift = 1e-300, .warning = 1e-9}}) {
    for (const bool binary : {true, false}) {
      drift::HddmA detector{parameters};
      Definition definition{parameters};
      double rate = 0.2;
      std::uint64_t different = 0;
      for (int i = 0; i < 50'000; ++i) {
        if (random() % 1'500 == 0) rate = uniform();
        const double value = binary ? (uniform() < rate ? 1 : 0) : rate * uniform();
        const auto level = detector.update(value);
        different += level != definition.update(value) ? 1 : 0;
        drifts += level == DriftLevel::drift ? 1 : 0;
        warnings += level == DriftLevel::warning ? 1 : 0;
      }
      INFO("drift " << parameters.drift << " warning " << parameters.warning << (binary ? " binary" : ""));
      CHECK(different == 0);
    }
  }
  CHECK(drifts > 100);
  CHECK(warnings > 1'000);
}
