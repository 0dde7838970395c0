#pragma once

#include <tensair/metrics/metric.hpp>

namespace tensair::metrics {

/// The coefficient of determination: 1 less the squared errors' sum over that of somebody who always says the mean of
/// the truths. 1 is perfect, 0 is no better than that one, less is worse. Undefined while all truths were the same.
///
/// The sum of squares around a mean that is not known yet is moved by each value (Welford, Technometrics 4, 1962; Chan,
/// Golub and LeVeque, 1979, for merging), so that truths that are large beside their differences lose nothing.
///
/// @code
/// tensair::metrics::R2 r2;
/// for (const double x : {1.0, 2.0, 3.0}) r2.update(x, x + 0.1);
/// @endcode
/// @throws Error  truth or prediction is not finite
class R2 {
 public:
  void update(double truth, double prediction, double weight = 1) {
    const double error = detail::checked_error(truth, prediction);
    weight = detail::checked_weight(weight);
    if (weight == 0) return;
    total_ += weight;
    const double off = truth - mean_;
    mean_ += off * (weight / total_);
    squares_ += weight * off * (truth - mean_);
    errors_ += weight * error * error;
  }
  auto value() const -> double { return squares_ > 0 ? 1 - errors_ / squares_ : undefined; }
  void reset() { *this = {}; }
  auto name() const -> std::string { return "r2"; }

  void merge(const R2& other) {
    if (other.total_ == 0) return;
    const double total = total_ + other.total_;
    const double off = other.mean_ - mean_;
    const double share = other.total_ / total;
    squares_ += other.squares_ + off * off * (total_ * share);
    mean_ = total_ == 0 ? other.mean_ : mean_ + off * share;
    errors_ += other.errors_;
    total_ = total;
  }
  void scale(double factor) {
    total_ *= factor;
    squares_ *= factor;
    errors_ *= factor;
  }
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& total_& mean_& squares_& errors_;
  }

 private:
  double total_ = 0, mean_ = 0, squares_ = 0, errors_ = 0;
};

}  // namespace tensair::metrics
