#include <cmath>
#include <tensair/drift/eddm.hpp>

namespace tensair::drift {

auto Eddm::update(double error) -> DriftLevel {
  expect_fraction(name, error);
  if (drifted_) [[unlikely]]
    reset();
  ++count_;
  // Between errors nothing is known anew: a warning lasts until the next one.
  if (error != 1) return warned_ ? DriftLevel::warning : DriftLevel::none;

  warned_ = false;
  const auto distance = static_cast<double>(count_ - last_error_);
  last_error_ = count_;
  errors_ += 1;
  const double before = mean_;
  mean_ += (distance - mean_) / errors_;
  squares_ += (distance - mean_) * (distance - before);
  const double span = mean_ + 2 * std::sqrt(squares_ / errors_);
  // MOA counts from 1.
  const bool enough = static_cast<std::int64_t>(count_) + 1 > parameters_.min_values;
  if (span > greatest_) {
    if (enough) greatest_ = span;
    return DriftLevel::none;
  }
  const double left = span / greatest_;
  if (!enough || errors_ <= parameters_.min_errors || !(left < parameters_.warning || left < parameters_.drift))
    return DriftLevel::none;
  statistic_ = left;
  drifted_ = left < parameters_.drift;
  warned_ = !drifted_;
  return drifted_ ? DriftLevel::drift : DriftLevel::warning;
}

}  // namespace tensair::drift
