#pragma once

#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <tensair/error.hpp>
#include <utility>

// Metrics: what is measured of a model, from what was true and what it had said.
//
// A metric is a value that examples are added to. Whatever can be asked of all examples since the beginning can be
// asked of the last n (`sliding`) or with the past forgotten little by little (`fading`), which is what tells how a
// model does *now* on a stream that changes (Gama, Sebastião and Rodrigues, "On evaluating stream learning algorithms",
// Machine Learning 90, 2013).
//
// A measure that is not defined (0/0: no example yet, a curve with examples of one class only, a correlation with a
// constant) is NaN, and NaN means nothing else: examples that are no numbers are refused when they come. Each metric
// says when that is.

namespace tensair::metrics {

/// What a metric says when it is not defined.
inline constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

/// Something measured from pairs of what was true and what was predicted.
///
/// `update(truth, prediction)` counts an example, `value()` is the measure of all so far (`undefined` where there is
/// none), `reset()` forgets the examples and keeps the settings, and `name()` names it in reports. A metric that can,
/// also has
///   update(truth, prediction, weight)  an example that counts `weight` times, at least 0 (1 is as without)
///   merge(other)                       as if the other's examples had come after one's own
///   scale(factor)                      all examples so far count `factor` times what they did; what `fading` needs
///   report(emit)                       calls `emit(name, value)` for each of several values, in place of `value()`
/// and a `serialize(archive, version)`, as whatever goes to other nodes.
///
/// @code
/// /// How often a thermometer's forecast is off by more than a degree.
/// class WayOff {
///  public:
///   void update(double truth, double prediction) { ++n_, off_ += std::abs(truth - prediction) > 1; }
///   auto value() const -> double { return n_ == 0 ? tensair::metrics::undefined : off_ / n_; }
///   void reset() { n_ = off_ = 0; }
///   auto name() const -> std::string { return "more than a degree off"; }
///  private:
///   double n_ = 0, off_ = 0;
/// };
/// static_assert(tensair::metrics::Metric<WayOff, double, double>);
/// @endcode
template <class M, class Truth, class Prediction>
concept Metric = std::copyable<M> && requires(M metric, const M& known, const Truth& truth, const Prediction& said) {
  metric.update(truth, said);
  known.value();
  metric.reset();
  { known.name() } -> std::convertible_to<std::string>;
};

/// A metric that takes weights.
template <class M, class Truth, class Prediction>
concept WeightedMetric = Metric<M, Truth, Prediction> &&
    requires(M metric, const Truth& truth, const Prediction& said, double weight) {
  metric.update(truth, said, weight);
};

namespace detail {

[[noreturn]] inline void refuse_weight() {
  throw Error("an example's weight is less than 0, infinite or no number", "metrics", "Give weights of at least 0.");
}

inline auto checked_weight(double weight) -> double {
  if (!(weight >= 0 && weight <= std::numeric_limits<double>::max())) refuse_weight();
  return weight;
}

[[noreturn]] inline void refuse_value() {
  throw Error("a truth or a prediction is not a finite number", "metrics",
              "Look for NaN in the input and in the model, or leave such examples out: on_error(skip).");
}

/// How far a prediction is off.
inline auto checked_error(double truth, double prediction) -> double {
  const double error = prediction - truth;
  if (!std::isfinite(error)) refuse_value();
  return error;
}

inline auto ratio(double part, double whole) -> double {
  return whole > 0 ? part / whole : undefined;
}

}  // namespace detail
}  // namespace tensair::metrics
