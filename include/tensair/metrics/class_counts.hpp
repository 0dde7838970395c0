#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <tensair/metrics/class_number.hpp>
#include <tensair/metrics/metric.hpp>
#include <vector>

namespace tensair::metrics {

/// An example of a class, kept to be taken out again when it leaves a window.
struct ClassExample {
  std::uint32_t truth = 0, prediction = 0;
  double weight = 1;
};

/// How often each class was true, was predicted, and both: what kappa, precision, recall and F1 follow from. An update
/// takes the same time for any number of classes.
class ClassCounts {
 public:
  struct Class {
    double actual = 0, predicted = 0, hits = 0;
  };

  void add(const ClassExample& example) {
    const std::size_t greater = std::max(example.truth, example.prediction);
    if (greater >= classes_.size()) classes_.resize(greater + 1);
    count(example, example.weight);
    total_ += example.weight;
    misses_ += miss(example);
  }
  /// Takes out one that has been added. Exact for weights as `window_weight` makes them.
  void replace(const ClassExample& gone, const ClassExample& example) {
    const std::size_t greater = std::max(example.truth, example.prediction);
    if (greater >= classes_.size()) classes_.resize(greater + 1);
    count(gone, -gone.weight);
    count(example, example.weight);
    // Both at once: each waits for the one before.
    total_ += example.weight - gone.weight;
    misses_ += miss(example) - miss(gone);
  }

  void merge(const ClassCounts& other) {
    if (classes_.size() < other.classes_.size()) classes_.resize(other.classes_.size());
    for (std::size_t i = 0; i < other.classes_.size(); ++i) {
      classes_[i].actual += other.classes_[i].actual;
      classes_[i].predicted += other.classes_[i].predicted;
      classes_[i].hits += other.classes_[i].hits;
    }
    total_ += other.total_;
    misses_ += other.misses_;
  }
  void scale(double factor) {
    for (auto& one : classes_) {
      one.actual *= factor;
      one.predicted *= factor;
      one.hits *= factor;
    }
    total_ *= factor;
    misses_ *= factor;
  }
  void reset() {
    std::fill(classes_.begin(), classes_.end(), Class{});
    total_ = misses_ = 0;
  }

  auto total() const -> double { return total_; }
  /// Of this, what was not right. (Not the others: beside them, few that are wrong would be lost to rounding.)
  auto misses() const -> double { return misses_; }
  /// By class number, up to the greatest seen.
  auto classes() const -> const std::vector<Class>& { return classes_; }
  /// Of a class not seen, nothing.
  auto of(ClassNumber number) const -> Class {
    return number.index() < classes_.size() ? classes_[number.index()] : Class{};
  }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& classes_& total_& misses_;
  }

 private:
  static auto miss(const ClassExample& example) -> double {
    return example.truth == example.prediction ? 0 : example.weight;
  }
  void count(const ClassExample& example, double weight) {
    classes_[example.truth].actual += weight;
    classes_[example.prediction].predicted += weight;
    classes_[example.truth].hits += example.truth == example.prediction ? weight : 0;
  }

  std::vector<Class> classes_;
  double total_ = 0, misses_ = 0;
};

/// What metrics of classes have in common; see `Metric`.
/// @tparam Counts  what they keep: it adds a `ClassExample`, and replaces one
template <class Counts>
class ClassMetric {
 public:
  using Example = ClassExample;

  void update(ClassNumber truth, ClassNumber prediction, double weight = 1) {
    counts_.add(example(truth, prediction, weight));
  }
  void reset() { counts_.reset(); }
  void merge(const ClassMetric& other) { counts_.merge(other.counts_); }
  void scale(double factor) { counts_.scale(factor); }

  // What a window of examples needs.
  static auto example(ClassNumber truth, ClassNumber prediction, double weight = 1) -> Example {
    return {static_cast<std::uint32_t>(truth.index()), static_cast<std::uint32_t>(prediction.index()),
            detail::checked_weight(weight)};
  }
  void add(const Example& example) { counts_.add(example); }
  void replace(const Example& gone, const Example& example) { counts_.replace(gone, example); }

  auto counts() const -> const Counts& { return counts_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& counts_;
  }

 protected:
  Counts counts_;
};

}  // namespace tensair::metrics
