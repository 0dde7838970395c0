#include <algorithm>
#include <tensair/drift/page_hinkley.hpp>

namespace tensair::drift {

auto PageHinkley::update(double value) -> DriftLevel {
  expect_number(name, value);
  if (drifted_) [[unlikely]]
    reset();
  mean_ += (value - mean_) / static_cast<double>(++count_);
  const double off = value - mean_;
  rising_ = parameters_.alpha * rising_ + (off - parameters_.delta);
  lowest_ = std::min(lowest_, rising_);
  double apart = parameters_.from_lowest ? rising_ - lowest_ : rising_;
  if (parameters_.two_sided) {
    falling_ = parameters_.alpha * falling_ + (off + parameters_.delta);
    highest_ = std::max(highest_, falling_);
    apart = std::max(apart, parameters_.from_lowest ? highest_ - falling_ : -falling_);
  }
  // MOA counts from 1.
  if (static_cast<std::int64_t>(count_) + 1 < parameters_.min_values || !(apart > parameters_.lambda))
    return DriftLevel::none;
  statistic_ = apart;
  drifted_ = true;
  return DriftLevel::drift;
}

}  // namespace tensair::drift
