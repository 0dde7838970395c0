#include <algorithm>
#include <cmath>
#include <tensair/drift/hddm_a.hpp>

namespace tensair::drift {

HddmA::HddmA(hddm_a parameters) : parameters_(parameters) {
  check(parameters_);
  logarithms();
}

// Why hardly a value costs a division or a root.
//
// MOA compares means with Hoeffding's bounds, sqrt(log / 2n). Nearly always neither is close to the other, and the same
// comparison of squares, multiplied by what is divided by, says so: `is_calm`. It is told a bound that is a little too
// low, by far more than rounding can be. Where that is not enough, the means are compared as MOA does, so that nothing
// is ever decided otherwise.

namespace {

constexpr double little = 0.999'999;
// Rounding is far below that little up to so many values, and with logarithms not less than this.
constexpr double most_values = 1e9, least_logarithm = 0.01;

auto a_little_less(double logarithm) -> double {
  return logarithm < least_logarithm ? 0 : logarithm / 2 * little;
}

// Whether a difference is certainly less than the root of `squared_bound`; not said of a bound of 0.
auto is_calm(double difference, double squared_bound) -> bool {
  const double positive = std::max(difference, 0.0);
  return positive * positive < squared_bound;
}

}  // namespace

void HddmA::logarithms() {
  log_bound_ = std::log(1 / parameters_.drift);
  log_drift_ = std::log(2 / parameters_.drift);
  log_warning_ = std::log(2 / parameters_.warning);
  calm_bound_ = a_little_less(log_bound_);
  calm_lowest_ = a_little_less(std::min(log_drift_, log_warning_));
  calm_highest_ = a_little_less(log_drift_);
}

// Whether the mean so far and that of its beginning, a sample, are too far apart to be those of one stream.
auto HddmA::is_apart(double difference, const Sample& sample, double logarithm) const -> bool {
  const double n = all_.count, n1 = sample.count;
  if (n1 == n || difference < 0) return false;
  const double m = (n - n1) / n1 * (1 / n);
  return difference >= std::sqrt(m / 2 * logarithm);
}

auto HddmA::update(double value) -> DriftLevel {
  expect_fraction(name, value);
  const double n = all_.count += 1, sum = all_.sum += value;
  const double calm = n * calm_bound_;
  const double n1 = lowest_.count, n2 = highest_.count;
  if (is_calm(lowest_.bound * n - sum, calm) && is_calm(sum - highest_.bound * n, calm) &&
      is_calm(sum * n1 - lowest_.sum * n, (n - n1) * n * n1 * calm_lowest_) &&
      is_calm(highest_.sum * n - sum * n2, (n - n2) * n * n2 * calm_highest_) && n < most_values)
    return DriftLevel::none;
  return compare();
}

// The mean's comparisons with its extremes, as MOA has them.
auto HddmA::compare() -> DriftLevel {
  const double mean = all_.sum / all_.count;
  const double bound = std::sqrt(1 / (2 * all_.count) * log_bound_);
  if (lowest_.count == 0 || lowest_.bound >= mean + bound) lowest_ = {all_.count, all_.sum, mean, mean + bound};
  if (highest_.count == 0 || highest_.bound <= mean - bound) highest_ = {all_.count, all_.sum, mean, mean - bound};

  auto level = DriftLevel::none;
  const double risen = mean - lowest_.mean;
  if (is_apart(risen, lowest_, log_drift_)) {
    level = DriftLevel::drift;
  } else if (is_apart(risen, lowest_, log_warning_)) {
    level = DriftLevel::warning;
  }
  if (level != DriftLevel::none) statistic_ = risen;
  if (level == DriftLevel::drift || (parameters_.two_sided && is_apart(highest_.mean - mean, highest_, log_drift_)))
    all_ = lowest_ = highest_ = {};
  return level;
}

}  // namespace tensair::drift
