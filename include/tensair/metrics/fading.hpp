#pragma once

#include <cstdio>
#include <tensair/metrics/sliding.hpp>

namespace tensair::metrics {

/// A metric that forgets: what `fading(alpha, metric)` returns.
///
/// What matters are the ratios of weights. So nothing in the metric is touched when an example comes: each new one
/// weighs 1/alpha times the one before. Long before that overflows all are scaled by a power of two, which rounds
/// nothing.
template <class M>
class Fading {
 public:
  explicit Fading(double alpha = 1, M metric = M{}) : alpha_(checked(alpha)), metric_(std::move(metric)) {}

  template <class Truth, class Prediction>
  requires WeightedMetric<M, Truth, Prediction>
  void update(const Truth& truth, const Prediction& prediction, double weight = 1) {
    double next = next_weight_;
    if (next > most) {
      metric_.scale(1 / most);
      next /= most;
    }
    metric_.update(truth, prediction, weight * next);
    weight_ = next;
    next_weight_ = next / alpha_;
  }
  auto value() const {
    return as_read([](const M& metric) { return metric.value(); });
  }
  void reset() {
    metric_.reset();
    weight_ = next_weight_ = 1;
  }
  auto name() const -> std::string { return rename(metric_.name()); }
  template <class Emit>
  void report(Emit emit) const {
    as_read([&](const M& metric) {
      detail::report_as(
          metric, [this](const std::string& name) { return rename(name); }, emit);
    });
  }

  /// The metric of all examples, of which the last weighs 1.
  auto metric() const -> M {
    M scaled = metric_;
    scaled.scale(1 / weight_);
    return scaled;
  }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& alpha_& weight_& next_weight_& metric_;
  }

 private:
  static constexpr double most = 0x1p64;

  static auto checked(double alpha) -> double {
    if (!(alpha >= 1 / most && alpha <= 1))
      throw UsageError("a fading factor that is not in (0, 1]", "metrics", "Give 0.999 or the like.");
    return alpha;
  }
  auto rename(const std::string& name) const -> std::string {
    char factor[32];
    std::snprintf(factor, sizeof factor, "%.6g", alpha_);
    return name + " (fading " + factor + ")";
  }
  // Few metrics are more than ratios.
  template <class Read>
  auto as_read(Read read) const {
    if constexpr (requires { requires M::is_no_ratio; }) {
      return read(metric());
    } else {
      return read(metric_);
    }
  }

  double alpha_;
  double weight_ = 1, next_weight_ = 1;  // of the last example and the next one
  M metric_;
};

/// The metric with fading factors (Gama, Sebastião and Rodrigues, Machine Learning 90, 2013): each example counts
/// `alpha` times as much as the one after it, the last one 1. So 1/(1 - alpha) examples count, and nothing is kept of
/// any. The same paper shows that such an estimate converges to that of a sliding window.
///
/// @code
/// auto recent = tensair::metrics::fading(0.999, tensair::metrics::Accuracy{});
/// recent.update(1, 1);
/// @endcode
/// @throws UsageError  alpha is not in (0, 1]
template <class M>
auto fading(double alpha, M metric) -> Fading<M> {
  static_assert(
      requires { metric.scale(0.5); }, "fading(alpha, metric): the metric cannot weigh its past, scale(factor)");
  return Fading<M>(alpha, std::move(metric));
}

}  // namespace tensair::metrics
