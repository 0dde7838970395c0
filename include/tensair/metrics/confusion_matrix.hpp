#pragma once

#include <bit>
#include <tensair/metrics/class_counts.hpp>

namespace tensair::metrics {

/// How often each class was predicted where each class was true.
class ConfusionCounts {
 public:
  void add(const ClassExample& example) { cell(example) += example.weight; }
  /// Takes out one that has been added. Exact for weights as `window_weight` makes them.
  void replace(const ClassExample& gone, const ClassExample& example) {
    add(example);
    cell(gone) -= gone.weight;
  }

  void merge(const ConfusionCounts& other) {
    for (std::size_t truth = 0; truth < other.classes_; ++truth) {
      for (std::size_t said = 0; said < other.classes_; ++said) {
        const double weight = other.at(truth, said);
        if (weight != 0) add({static_cast<std::uint32_t>(truth), static_cast<std::uint32_t>(said), weight});
      }
    }
  }
  void scale(double factor) {
    for (auto& one : cells_) one *= factor;
  }
  void reset() { *this = {}; }

  auto classes() const -> std::size_t { return classes_; }
  auto at(std::size_t truth, std::size_t said) const -> double {
    return truth < classes_ && said < classes_ ? cells_[truth * stride_ + said] : 0;
  }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& cells_& classes_& stride_;
  }

 private:
  auto cell(const ClassExample& example) -> double& {
    const std::size_t greater = std::max(example.truth, example.prediction);
    if (greater >= classes_) grow(greater + 1);
    return cells_[example.truth * stride_ + example.prediction];
  }
  void grow(std::size_t classes) {
    constexpr std::size_t most = 4096;  // 128 MiB
    if (classes > most)
      throw Error("a confusion matrix of " + std::to_string(classes) + " classes", "metrics",
                  "It has at most " + std::to_string(most) + ": group them, or take precision, recall and F1.");
    if (classes > stride_) {
      const std::size_t stride = std::bit_ceil(classes);
      std::vector<double> cells(stride * stride);
      for (std::size_t row = 0; row < classes_; ++row)
        std::copy_n(cells_.begin() + static_cast<std::ptrdiff_t>(row * stride_), classes_,
                    cells.begin() + static_cast<std::ptrdiff_t>(row * stride));
      cells_ = std::move(cells);
      stride_ = stride;
    }
    classes_ = classes;
  }

  std::vector<double> cells_;  // stride_ to a row, so that not every new class moves all
  std::uint64_t classes_ = 0, stride_ = 0;
};

/// The confusion matrix: `count(truth, prediction)` is how often that came together. Its size follows from the greatest
/// class seen, at most 4,096.
///
/// @code
/// tensair::metrics::ConfusionMatrix matrix;
/// matrix.update(2, 1);
/// std::printf("%.0f\n", matrix.count(2, 1));  // 1
/// @endcode
/// @throws Error  more than 4,096 classes
class ConfusionMatrix : public ClassMetric<ConfusionCounts> {
 public:
  /// Classes up to the greatest seen.
  auto classes() const -> std::size_t { return counts_.classes(); }
  /// Examples (their weights) of class `truth` that were taken for `prediction`.
  auto count(ClassNumber truth, ClassNumber prediction) const -> double {
    return counts_.at(truth.index(), prediction.index());
  }

  /// All counts: a row for each class that was true, a column for each that was predicted.
  auto value() const -> std::vector<std::vector<double>> {
    std::vector<std::vector<double>> rows(classes(), std::vector<double>(classes()));
    for (std::size_t truth = 0; truth < classes(); ++truth) {
      for (std::size_t said = 0; said < classes(); ++said) rows[truth][said] = counts_.at(truth, said);
    }
    return rows;
  }
  /// A stream of measurements has those that are not 0, as "confusion 2 as 1".
  template <class Emit>
  void report(Emit emit) const {
    for (std::size_t truth = 0; truth < classes(); ++truth) {
      for (std::size_t said = 0; said < classes(); ++said) {
        const double count = counts_.at(truth, said);
        if (count != 0) emit("confusion " + std::to_string(truth) + " as " + std::to_string(said), count);
      }
    }
  }
  auto name() const -> std::string { return "confusion"; }

  static constexpr bool is_no_ratio = true;  ///< it depends on how much the examples weigh in all
};

}  // namespace tensair::metrics
