#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <tensair/metrics/class_number.hpp>
#include <tensair/metrics/detail/score_tree.hpp>
#include <tensair/metrics/sliding.hpp>
#include <vector>

namespace tensair::metrics {

namespace detail {

inline auto is_positive(ClassNumber truth) -> bool {
  if (truth.index() > 1)
    throw Error("class " + std::to_string(truth.index()) + " among two", "metrics",
                "The curve is of two classes, 0 and 1: ask for one class against all others.");
  return truth.index() == 1;
}

/// Sorts scores from 0 to 1 into bins that keep their order. Towards 0 and towards 1, where a sure model's scores are,
/// bins become narrow as floating-point numbers do: 128 to each halving of the distance, down to 2⁻²⁴.
class ScoreBins {
 public:
  static constexpr int mantissa_bits = 7, octaves = 23;
  static constexpr std::size_t half = (std::size_t{octaves} << mantissa_bits) + 1;
  static constexpr std::size_t count = 2 * half + 1;

  static auto of(double score) -> std::size_t {
    if (!(score >= 0 && score <= 1))
      throw Error(
          "a score is not from 0 to 1", "metrics",
          "Give probabilities: sigmoid of a model's output keeps the order, and the curve depends on nothing else.");
    return score < 0.5 ? distance_bin(score) : count - 1 - distance_bin(1 - score);
  }

 private:
  // Of a distance from 0 to 1/2; that of 1/2 is `half`, in the middle of all.
  static auto distance_bin(double distance) -> std::size_t {
    constexpr auto bin = [](double value) { return std::bit_cast<std::uint64_t>(value) >> (52 - mantissa_bits); };
    constexpr std::uint64_t first = std::bit_cast<std::uint64_t>(0x1p-24) >> (52 - mantissa_bits);
    const std::uint64_t own = bin(distance);
    return own < first ? 0 : own - first + 1;
  }
};

}  // namespace detail

/// The area under the ROC curve of two classes, 0 (or false) and 1 (or true), from scores from 0 to 1: the probability
/// that an example of class 1 has a greater score than one of class 0, where equal scores count half (Hanley and
/// McNeil, Radiology 143, 1982). 1/2 is chance. Undefined until both classes have come.
///
/// Over all examples and fading, memory is bounded: scores are sorted into 5,891 bins (94 KiB), and those in one bin
/// count as equal. `error_bound()` says how much that can matter: half the share of pairs that a bin cannot tell apart.
/// Over a window, `sliding(n, RocAuc{})`, it is exact, for scores of any size.
///
/// @code
/// tensair::metrics::RocAuc area;
/// area.update(true, 0.8);
/// area.update(false, 0.3);
/// std::printf("%.2f within %.2f\n", area.value(), area.error_bound());  // 1.00 within 0.00
/// @endcode
/// @throws Error  a score that is not from 0 to 1; a third class
class RocAuc {
 public:
  void update(ClassNumber truth, double score, double weight = 1) {
    weight = detail::checked_weight(weight);
    const bool positive = detail::is_positive(truth);
    const std::size_t bin = detail::ScoreBins::of(score);
    if (bins_.empty()) bins_.resize(detail::ScoreBins::count);
    (positive ? bins_[bin].ones : bins_[bin].zeros) += weight;
  }
  auto value() const -> double {
    double below = 0, ones = 0, pairs = 0;
    for (const Bin& bin : bins_) {
      pairs += bin.ones * (below + bin.zeros / 2);
      below += bin.zeros;
      ones += bin.ones;
    }
    return detail::ratio(pairs, ones * below);
  }
  /// The exact area differs from `value()` by no more than this.
  auto error_bound() const -> double {
    double zeros = 0, ones = 0, pairs = 0;
    for (const Bin& bin : bins_) {
      pairs += bin.ones * bin.zeros;
      zeros += bin.zeros;
      ones += bin.ones;
    }
    return detail::ratio(pairs / 2, ones * zeros);
  }
  void reset() { bins_.clear(); }
  auto name() const -> std::string { return "roc auc"; }

  void merge(const RocAuc& other) {
    if (bins_.size() < other.bins_.size()) bins_.resize(other.bins_.size());
    for (std::size_t i = 0; i < other.bins_.size(); ++i) {
      bins_[i].zeros += other.bins_[i].zeros;
      bins_[i].ones += other.bins_[i].ones;
    }
  }
  void scale(double factor) {
    for (Bin& bin : bins_) {
      bin.zeros *= factor;
      bin.ones *= factor;
    }
  }
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& bins_;
  }

 private:
  struct Bin {
    double zeros = 0, ones = 0;  // weights of the examples of class 0 and 1

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
      archive& zeros& ones;
    }
  };
  std::vector<Bin> bins_;
};

/// The area over the last n examples, exact (prequential AUC: Brzezinski and Stefanowski, Knowledge and Information
/// Systems 52, 2017). The pairs in order are counted when an example comes or goes, in O(log n); the value is at hand.
/// Examples have no weights here.
template <>
class Sliding<RocAuc> {
 public:
  explicit Sliding(std::size_t n = 1, const RocAuc& /*settings: there are none*/ = {})
      : size_(static_cast<std::uint32_t>(detail::checked_window(n))) {
    if (n > most) throw UsageError("an area over a window of " + std::to_string(n), "metrics", "Give at most 2³⁰.");
  }

  /// @throws Error  a score that is no number, a third class, a weight other than 1
  void update(ClassNumber truth, double score, double weight = 1) {
    const bool one = detail::is_positive(truth);
    if (std::isnan(score)) detail::refuse_value();
    if (weight != 1)
      throw Error("the area over a window takes no weights", "metrics",
                  "Take fading(alpha, RocAuc{}), or weigh all 1.");
    if (kept_ == size_) {
      const bool gone = tree_.is_one(next_);
      const double its_score = tree_.score(next_);
      tree_.remove(next_);
      half_pairs_ -= half_pairs_with(gone, its_score);
    } else {
      ++kept_;
    }
    half_pairs_ += half_pairs_with(one, score);
    tree_.add(next_, score, one);
    if (++next_ == size_) next_ = 0;
  }
  auto value() const -> double {
    const auto all = tree_.all();
    return detail::ratio(static_cast<double>(half_pairs_),
                         2 * static_cast<double>(all.ones) * static_cast<double>(all.zeros()));
  }
  void reset() {
    tree_.clear();
    half_pairs_ = 0;
    kept_ = next_ = 0;
  }
  auto name() const -> std::string { return detail::name_over("roc auc", size_); }
  /// How many examples are in the window: n, or all if there were fewer.
  auto examples() const -> std::size_t { return kept_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& size_& kept_& next_& half_pairs_& tree_;
  }

 private:
  static constexpr std::size_t most = std::size_t{1} << 30;

  // Twice the pairs in order that such an example makes with those in the tree; equal scores are one.
  auto half_pairs_with(bool one, double score) const -> std::uint64_t {
    const auto [below, up_to] = tree_.below_and_up_to(score);
    if (one) return std::uint64_t{below.zeros()} + up_to.zeros();
    const std::uint64_t ones = tree_.all().ones;
    return 2 * ones - below.ones - up_to.ones;
  }

  std::uint32_t size_, kept_ = 0, next_ = 0;
  std::uint64_t half_pairs_ = 0;
  detail::ScoreTree tree_;
};

}  // namespace tensair::metrics
