#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <tensair/metrics/metric.hpp>

namespace tensair::metrics {

/// A metric of something else than the prediction itself: what `of(f, metric)` returns.
template <class F, class M>
class Of {
 public:
  explicit Of(F f = F{}, M metric = M{}) : f_(std::move(f)), metric_(std::move(metric)) {}

  template <class Truth, class Prediction>
  requires Metric<M, Truth, std::invoke_result_t<const F&, const Prediction&>>
  void update(const Truth& truth, const Prediction& prediction) { metric_.update(truth, std::invoke(f_, prediction)); }
  template <class Truth, class Prediction>
  requires WeightedMetric<M, Truth, std::invoke_result_t<const F&, const Prediction&>>
  void update(const Truth& truth, const Prediction& prediction, double weight) {
    metric_.update(truth, std::invoke(f_, prediction), weight);
  }
  auto value() const { return metric_.value(); }
  void reset() { metric_.reset(); }
  auto name() const -> std::string { return metric_.name(); }
  template <class Emit>
  requires requires(const M& metric, Emit emit) { metric.report(emit); }
  void report(Emit emit) const { metric_.report(std::move(emit)); }

  auto metric() const -> const M& { return metric_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& metric_;
  }

 private:
  [[no_unique_address]] F f_;
  M metric_;
};

/// The metric of `f(prediction)`, where a stream's predictions say more than one metric takes. Outermost: what slides
/// or fades is inside.
///
/// @code
/// using namespace tensair::metrics;
/// auto recent = of(most_likely, sliding(1'000, Kappa{}));
/// recent.update(2, std::vector{0.1, 0.2, 0.7});
/// @endcode
template <class F, class M>
auto of(F f, M metric) -> Of<F, M> {
  return Of<F, M>(std::move(f), std::move(metric));
}

/// The class with the greatest of a range of probabilities; of equal ones the first, of none 0.
struct MostLikely {
  template <class Probabilities>
  auto operator()(const Probabilities& all) const -> std::int64_t {
    return std::distance(std::begin(all), std::max_element(std::begin(all), std::end(all)));
  }
};
inline constexpr MostLikely most_likely{};

/// The probability of one class, of a range of one for each: for the curve of that class against the others.
struct ProbabilityOf {
  std::int64_t number = 1;

  /// @throws Error  there is none of that class
  template <class Probabilities>
  auto operator()(const Probabilities& all) const -> double {
    if (number < 0 || static_cast<std::size_t>(number) >= std::size(all))
      throw Error("there is no probability of class " + std::to_string(number), "metrics",
                  "Ask for a class that the model knows.");
    return static_cast<double>(*std::next(std::begin(all), static_cast<std::ptrdiff_t>(number)));
  }
};

}  // namespace tensair::metrics
