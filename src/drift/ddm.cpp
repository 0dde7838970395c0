#include <cmath>
#include <tensair/drift/ddm.hpp>

namespace tensair::drift {

auto Ddm::update(double error) -> DriftLevel {
  expect_fraction(name, error);
  if (drifted_) [[unlikely]]
    reset();
  const auto n = static_cast<double>(++count_);
  rate_ += (error - rate_) / n;
  const double deviation = std::sqrt(rate_ * (1 - rate_) / n);
  // MOA counts from 1, so that `min_values` is reached one value early, and a drift needs one more than a warning.
  const auto seen = static_cast<std::int64_t>(count_) + 1;
  if (seen < parameters_.min_values) return DriftLevel::none;

  const double sum = rate_ + deviation;
  if (sum <= least_sum_) {
    least_rate_ = rate_;
    least_deviation_ = deviation;
    least_sum_ = sum;
  }
  const auto above = [&](double level) { return sum > least_rate_ + level * least_deviation_; };
  const bool drifts = seen > parameters_.min_values && above(parameters_.drift_level);
  if (!drifts && !above(parameters_.warning_level)) return DriftLevel::none;
  statistic_ = (sum - least_rate_) / least_deviation_;
  drifted_ = drifts;
  return drifts ? DriftLevel::drift : DriftLevel::warning;
}

}  // namespace tensair::drift
