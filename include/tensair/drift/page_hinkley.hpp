#pragma once

#include <limits>
#include <tensair/drift/detector.hpp>

namespace tensair {

namespace drift {
class PageHinkley;
}

/// Parameters of the Page–Hinkley test. The defaults are those of MOA's sources; its releases up to now have
/// `.from_lowest = false`, River `.min_values = 31, .two_sided = true`.
struct page_hinkley {
  using Detector = drift::PageHinkley;

  int min_values = 30;      ///< no signal before that many values less one
  double delta = 0.005;     ///< how far from the mean is not yet a change, in units of the input
  double lambda = 50;       ///< how far the sum must be from its extreme, in units of the input
  double alpha = 0.9999;    ///< what is left of the sum with each value
  bool two_sided = false;   ///< see a mean that falls too
  bool from_lowest = true;  ///< compare the sum with its lowest, as published; without, with 0, as MOA's releases

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("min_values", self.min_values, 0, 1e9, "no signal before that many values");
    visit("delta", self.delta, 0, 1e100, "how far from the mean is not yet a change");
    visit("lambda", self.lambda, 0, 1e100, "how far the sum must be from its extreme");
    visit("alpha", self.alpha, 0, 1, "what is left of the sum with each value");
    visit("two_sided", self.two_sided, 0, 1, "see a mean that falls too");
    visit("from_lowest", self.from_lowest, 0, 1, "compare the sum with its lowest, not with 0 as MOA's releases");
  }
};

namespace drift {

/// The Page–Hinkley test: the fading sum of how far values are above their mean, less `delta` each, which should not
/// rise far above its lowest (Page, "Continuous inspection schemes", Biometrika 41, 1954; Hinkley, "Inference about the
/// change-point from cumulative sum tests", Biometrika 58, 1971). It signals a drift when it is `lambda` above.
///
/// Input: any number up to 1e100. Statistic: how far the sum is from its extreme. There are no warnings. Time and
/// memory: constant.
///
/// Robust, and late: with errors of 0 and 1 and the default, a drift takes hundreds of values to see. Scale `delta` and
/// `lambda` with the input.
///
/// @code
/// tensair::drift::PageHinkley detector{{.lambda = 20, .two_sided = true}};
/// if (detector.update(0.7) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class PageHinkley {
 public:
  static constexpr std::string_view name = "page_hinkley";
  using Parameters = page_hinkley;

  /// @throws UsageError  a parameter is outside its range
  explicit PageHinkley(page_hinkley parameters = {}) : parameters_(parameters) { check(parameters_); }

  /// @throws BadValue  not a number from -1e100 to 1e100
  auto update(double value) -> DriftLevel;
  void reset() { *this = PageHinkley{parameters_}; }

  auto parameters() const -> const page_hinkley& { return parameters_; }
  auto count() const -> std::uint64_t { return count_; }
  /// The mean.
  auto estimate() const -> double { return mean_; }
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    archive& count_& mean_& rising_& falling_& lowest_& highest_& statistic_& drifted_;
  }

 private:
  page_hinkley parameters_;
  // The count stands between the mean and the sums: compilers store neighbours at once, and the mean, which the next
  // value waits for, would wait for a sum.
  double mean_ = 0;
  std::uint64_t count_ = 0;
  double rising_ = 0, falling_ = 0;
  double lowest_ = std::numeric_limits<double>::max(), highest_ = std::numeric_limits<double>::lowest();
  double statistic_ = 0;
  bool drifted_ = false;
};

}  // namespace drift
}  // namespace tensair
