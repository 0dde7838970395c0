#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <tensair/metrics/metric.hpp>
#include <vector>

// Windows of the last n examples, in three ways, none of which loses digits to subtraction:
//   counts (of classes)      the example that leaves is taken out again, which is exact: see `window_weight`.
//   sums (of errors)         nothing is taken out: see `Sliding` of what merges.
//   the area under a curve   a tree of the window's scores: see `roc_auc.hpp`.

namespace tensair::metrics {

namespace detail {

/// A metric whose examples can be taken out again exactly.
template <class M>
concept Subtractable = requires(M metric, const typename M::Example& example) {
  metric.add(example);
  metric.replace(example, example);
};

template <class M>
concept Mergeable = requires(M metric, const M& other) {
  metric.merge(other);
};

inline auto checked_window(std::size_t n) -> std::size_t {
  if (n == 0) throw UsageError("a sliding window of 0 examples", "metrics", "Give 1 or more.");
  return n;
}

/// A weight such that sums of it are exact whatever comes and goes, as long as they are below 2³³: a multiple of 2⁻²⁰.
/// Without that, what is left of a class that has gone would be a little more or less than nothing.
inline auto window_weight(double weight) -> double {
  constexpr double unit = 0x1p-20, most = 0x1p32;
  if (weight == 1) return weight;
  if (checked_weight(weight) > most)
    throw Error("a weight in a window is greater than 2³²", "metrics", "Only weights' ratios matter: divide all.");
  return std::nearbyint(weight / unit) * unit;
}

inline auto name_over(const std::string& metric, std::size_t n) -> std::string {
  return metric + " (last " + std::to_string(n) + ")";
}

/// Reports what a metric would, under other names.
template <class M, class Rename, class Emit>
void report_as(const M& metric, Rename rename, Emit emit) {
  if constexpr (requires { metric.report([](const std::string&, double) {}); }) {
    metric.report([&](const std::string& name, double value) { emit(rename(name), value); });
  } else {
    emit(rename(metric.name()), static_cast<double>(metric.value()));
  }
}

}  // namespace detail

/// A metric over the last n examples: what `sliding(n, metric)` returns.
template <class M>
class Sliding {
  static_assert(detail::Subtractable<M> || detail::Mergeable<M>,
                "sliding(n, metric): the metric can neither merge with another nor take an example out again");
};

template <detail::Subtractable M>
class Sliding<M> {
  using Example = typename M::Example;

 public:
  explicit Sliding(std::size_t n = 1, M metric = M{}) : size_(detail::checked_window(n)), metric_(std::move(metric)) {}

  template <class Truth, class Prediction>
  requires WeightedMetric<M, Truth, Prediction>
  void update(const Truth& truth, const Prediction& prediction, double weight = 1) {
    const Example example = M::example(truth, prediction, detail::window_weight(weight));
    if (kept_.size() < size_) {
      metric_.add(example);
      kept_.push_back(example);
      return;
    }
    metric_.replace(kept_[oldest_], example);
    kept_[oldest_] = example;
    if (++oldest_ == size_) oldest_ = 0;
  }
  auto value() const { return metric_.value(); }
  void reset() {
    kept_.clear();
    oldest_ = 0;
    metric_.reset();
  }
  auto name() const -> std::string { return detail::name_over(metric_.name(), size_); }
  template <class Emit>
  void report(Emit emit) const {
    detail::report_as(
        metric_, [this](const std::string& name) { return detail::name_over(name, size_); }, emit);
  }

  /// The metric of the window's examples.
  auto metric() const -> const M& { return metric_; }
  /// How many examples are in the window: n, or all if there were fewer.
  auto examples() const -> std::size_t { return kept_.size(); }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& size_& kept_& oldest_& metric_;
  }

 private:
  std::uint64_t size_;
  std::vector<Example> kept_;  // a ring, once it is full
  std::uint64_t oldest_ = 0;
  M metric_;
};

/// What merges needs no subtraction: the window is a queue made of two stacks (Tangwongsan et al., "General incremental
/// sliding-window aggregation", PVLDB 8, 2015). Of the older part each entry has the merge of itself and all younger
/// ones of that part, so what is left when the oldest leaves is there already; the younger part has one merge of all.
/// When the older part is empty the younger becomes it, entry by entry: two merges an example over time, n at once.
template <detail::Mergeable M>
requires(!detail::Subtractable<M>) class Sliding<M> {
 public:
  explicit Sliding(std::size_t n = 1, M metric = M{}) : size_(detail::checked_window(n)), empty_(std::move(metric)) {
    empty_.reset();
    young_ = empty_;
  }

  template <class Truth, class Prediction>
  requires Metric<M, Truth, Prediction>
  void update(const Truth& truth, const Prediction& prediction) { push(truth, prediction); }
  template <class Truth, class Prediction>
  requires WeightedMetric<M, Truth, Prediction>
  void update(const Truth& truth, const Prediction& prediction, double weight) { push(truth, prediction, weight); }

  auto value() const { return metric().value(); }
  void reset() {
    kept_.clear();
    oldest_ = old_ = 0;
    young_ = empty_;
  }
  auto name() const -> std::string { return detail::name_over(empty_.name(), size_); }
  template <class Emit>
  void report(Emit emit) const {
    detail::report_as(
        metric(), [this](const std::string& name) { return detail::name_over(name, size_); }, emit);
  }

  /// The metric of the window's examples.
  auto metric() const -> M {
    if (old_ == 0) return young_;
    M all = kept_[oldest_];
    all.merge(young_);
    return all;
  }
  /// How many examples are in the window: n, or all if there were fewer.
  auto examples() const -> std::size_t { return kept_.size(); }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& size_& kept_& oldest_& old_& empty_& young_;
  }

 private:
  template <class... Example>
  void push(const Example&... example) {
    M one = empty_;
    one.update(example...);
    if (kept_.size() < size_) {
      kept_.push_back(one);
    } else {
      if (old_ == 0) grow_old();
      kept_[oldest_] = one;
      if (++oldest_ == size_) oldest_ = 0;
      --old_;
    }
    young_.merge(one);
  }
  // All that is in the full ring, from the youngest back.
  void grow_old() {
    const auto at = [this](std::uint64_t i) -> M& { return kept_[(oldest_ + i) % size_]; };
    for (std::uint64_t i = size_ - 1; i-- > 0;) at(i).merge(at(i + 1));
    old_ = size_;
    young_ = empty_;
  }

  std::uint64_t size_;
  std::vector<M> kept_;  // a ring, once it is full
  std::uint64_t oldest_ = 0, old_ = 0;
  M empty_, young_{};
};

/// The metric over the last n examples, as a metric of its own: a model's performance now. Until there are n, over all
/// of them. It keeps the examples, or some tens of bytes of each. Where classes are counted, weights are rounded to
/// multiples of 2⁻²⁰.
///
/// @code
/// auto recent = tensair::metrics::sliding(1'000, tensair::metrics::Kappa{});
/// recent.update(1, 1);
/// @endcode
/// @throws UsageError  n is 0
template <class M>
auto sliding(std::size_t n, M metric) -> Sliding<M> {
  return Sliding<M>(n, std::move(metric));
}

}  // namespace tensair::metrics
