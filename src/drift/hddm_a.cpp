#include <cmath>
#include <tensair/drift/hddm_a.hpp>

namespace tensair::drift {

HddmA::HddmA(hddm_a parameters) : parameters_(parameters) {
  check(parameters_);
  logarithms();
}

void HddmA::logarithms() {
  log_bound_ = std::log(1 / parameters_.drift);
  log_drift_ = std::log(2 / parameters_.drift);
  log_warning_ = std::log(2 / parameters_.warning);
}

// Whether the mean so far and that of its beginning, a sample, are too far apart to be those of one stream.
auto HddmA::is_apart(double difference, const Sample& sample, double logarithm) const -> bool {
  const double n = all_.count, n1 = sample.count;
  if (n1 == n || difference < 0) return false;
  // The same without division and root. Mostly this is enough; what is close to equal is decided as MOA does.
  if (difference * difference * 2 * n1 * n < (n - n1) * logarithm * 0.999'999) return false;
  const double m = (n - n1) / n1 * (1 / n);
  return difference >= std::sqrt(m / 2 * logarithm);
}

auto HddmA::update(double value) -> DriftLevel {
  expect_fraction(name, value);
  all_.count += 1;
  all_.sum += value;
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
