#include <cmath>
#include <tensair/drift/hddm_w.hpp>

namespace tensair::drift {

HddmW::HddmW(hddm_w parameters) : parameters_(parameters) {
  check(parameters_);
  logarithms();
}

void HddmW::logarithms() {
  log_drift_ = std::log(1 / parameters_.drift) / 2;
  log_warning_ = std::log(1 / parameters_.warning) / 2;
}

void HddmW::add(Sample& sample, double value) const {
  const double lambda = parameters_.lambda, rest = 1 - lambda;
  if (sample.squares == 0) {
    sample = {value, 1};
  } else {
    sample = {lambda * value + rest * sample.mean, lambda * lambda + rest * rest * sample.squares};
  }
}

auto HddmW::exceeds(const Sample& high, const Sample& low, double logarithm) const -> bool {
  if (high.squares == 0 || low.squares == 0 || high.mean <= low.mean) return false;
  return high.mean - low.mean > std::sqrt((high.squares + low.squares) * logarithm);
}

void HddmW::begin_anew() {
  const auto statistic = statistic_;
  reset();
  statistic_ = statistic;
}

auto HddmW::update(double value) -> DriftLevel {
  expect_fraction(name, value);
  ++count_;
  add(all_, value);
  const double bound = std::sqrt(all_.squares * log_drift_);
  if (all_.mean + bound < lowest_bound_) {
    lowest_bound_ = all_.mean + bound;
    lowest_ = all_;
    after_lowest_ = {};
  } else {
    add(after_lowest_, value);
  }
  auto level = DriftLevel::none;
  if (after_lowest_.mean > lowest_.mean) {
    if (exceeds(after_lowest_, lowest_, log_drift_)) {
      level = DriftLevel::drift;
    } else if (exceeds(after_lowest_, lowest_, log_warning_)) {
      level = DriftLevel::warning;
    }
  }
  if (level != DriftLevel::none) statistic_ = after_lowest_.mean - lowest_.mean;
  if (level == DriftLevel::drift) begin_anew();
  if (!parameters_.two_sided) return level;

  // After a drift MOA goes on here with the value that showed it, and so must this.
  if (level != DriftLevel::drift && all_.mean - bound > highest_bound_) {
    highest_bound_ = all_.mean - bound;
    highest_ = all_;
    after_highest_ = {};
  } else {
    add(after_highest_, value);
  }
  if (exceeds(highest_, after_highest_, log_drift_)) begin_anew();
  return level;
}

}  // namespace tensair::drift
