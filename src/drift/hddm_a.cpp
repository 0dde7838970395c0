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

auto HddmA::update(double value) -> DriftLevel {
  expect_fraction(name, value);
  all_.count += 1;
  all_.sum += value;
  const double mean = all_.mean();
  const double bound = std::sqrt(1 / (2 * all_.count) * log_bound_);
  if (lowest_.count == 0 || lowest_.bound >= mean + bound) lowest_ = {all_.count, all_.sum, mean + bound};
  if (highest_.count == 0 || highest_.bound <= mean - bound) highest_ = {all_.count, all_.sum, mean - bound};

  // Whether two means are too far apart to be those of one stream: m is what remains of the counts in the bound.
  const auto between = [&](const Sample& sample) {
    return (all_.count - sample.count) / sample.count * (1 / all_.count);
  };
  auto level = DriftLevel::none;
  if (lowest_.count != all_.count) {
    const double m = between(lowest_), apart = mean - lowest_.mean();
    if (apart >= std::sqrt(m / 2 * log_drift_)) {
      level = DriftLevel::drift;
    } else if (apart >= std::sqrt(m / 2 * log_warning_)) {
      level = DriftLevel::warning;
    }
    if (level != DriftLevel::none) statistic_ = apart;
  }
  const auto has_fallen = [&] {
    return highest_.count != all_.count && highest_.mean() - mean >= std::sqrt(between(highest_) / 2 * log_drift_);
  };
  if (level == DriftLevel::drift || (parameters_.two_sided && has_fallen())) all_ = lowest_ = highest_ = {};
  return level;
}

}  // namespace tensair::drift
