#include <algorithm>
#include <tensair/drift/cusum.hpp>

namespace tensair::drift {

auto Cusum::update(double value) -> DriftLevel {
  expect_number(name, value);
  if (drifted_) [[unlikely]]
    reset();
  mean_ += (value - mean_) / static_cast<double>(++count_);
  sum_ = std::max(0.0, sum_ + value - mean_ - parameters_.delta);
  // MOA counts from 1.
  if (static_cast<std::int64_t>(count_) + 1 < parameters_.min_values || !(sum_ > parameters_.lambda))
    return DriftLevel::none;
  statistic_ = sum_;
  drifted_ = true;
  return DriftLevel::drift;
}

}  // namespace tensair::drift
