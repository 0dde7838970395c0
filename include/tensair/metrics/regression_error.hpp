#pragma once

#include <cmath>
#include <tensair/metrics/metric.hpp>

namespace tensair::metrics {

namespace detail {

/// The mean over examples of `Of::one(prediction - truth)`, and `Of::all` of it.
template <class Of>
class MeanOfErrors {
 public:
  void update(double truth, double prediction, double weight = 1) {
    weight = checked_weight(weight);
    sum_ += weight * Of::one(checked_error(truth, prediction));
    total_ += weight;
  }
  auto value() const -> double { return Of::all(ratio(sum_, total_)); }
  void reset() { *this = {}; }
  auto name() const -> std::string { return Of::name; }

  void merge(const MeanOfErrors& other) {
    sum_ += other.sum_;
    total_ += other.total_;
  }
  void scale(double factor) {
    sum_ *= factor;
    total_ *= factor;
  }
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& sum_& total_;
  }

 private:
  double sum_ = 0, total_ = 0;
};

struct Absolute {
  static constexpr auto name = "mean absolute error";
  static auto one(double error) -> double { return std::abs(error); }
  static auto all(double mean) -> double { return mean; }
};
struct Squared {
  static constexpr auto name = "mean squared error";
  static auto one(double error) -> double { return error * error; }
  static auto all(double mean) -> double { return mean; }
};
struct RootOfSquared {
  static constexpr auto name = "root mean squared error";
  static auto one(double error) -> double { return error * error; }
  static auto all(double mean) -> double { return std::sqrt(mean); }
};

}  // namespace detail

/// The mean of |prediction - truth|, in the truth's unit. Undefined before the first example.
///
/// @code
/// tensair::metrics::MeanAbsoluteError error;
/// error.update(20.5, 21.0);
/// @endcode
/// @throws Error  truth or prediction is not finite
using MeanAbsoluteError = detail::MeanOfErrors<detail::Absolute>;

/// The mean of (prediction - truth)², in the truth's unit squared. Undefined before the first example.
/// @throws Error  truth or prediction is not finite
using MeanSquaredError = detail::MeanOfErrors<detail::Squared>;

/// The root of the mean of (prediction - truth)², in the truth's unit. Undefined before the first example.
///
/// @code
/// auto recent = tensair::metrics::fading(0.999, tensair::metrics::RootMeanSquaredError{});
/// recent.update(20.5, 21.0);
/// @endcode
/// @throws Error  truth or prediction is not finite
using RootMeanSquaredError = detail::MeanOfErrors<detail::RootOfSquared>;

}  // namespace tensair::metrics
