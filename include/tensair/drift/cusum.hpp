#pragma once

#include <tensair/drift/detector.hpp>

namespace tensair {

namespace drift {
class Cusum;
}

/// Parameters of CUSUM. The defaults are MOA's.
struct cusum {
  using Detector = drift::Cusum;

  int min_values = 30;   ///< no signal before that many values less one
  double delta = 0.005;  ///< how far above the mean is not yet a change, in units of the input
  double lambda = 50;    ///< how great the sum must become, in units of the input

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("min_values", self.min_values, 0, 1e9, "no signal before that many values");
    visit("delta", self.delta, 0, 1e100, "how far above the mean is not yet a change");
    visit("lambda", self.lambda, 0, 1e100, "how great the sum must become");
  }
};

namespace drift {

/// CUSUM: the sum of how far values are above their mean, less `delta` each, and never below 0 (Page, "Continuous
/// inspection schemes", Biometrika 41, 1954). It signals a drift when the sum exceeds `lambda`.
///
/// Input: any number up to 1e100. Statistic: the sum. There are no warnings. Time and memory: constant.
///
/// Sees only rises, and the mean follows them: a rise must be worth `lambda` before it has. With errors of 0 and 1 and
/// the default, that takes hundreds of values. Scale `delta` and `lambda` with the input.
///
/// @code
/// tensair::drift::Cusum detector{{.lambda = 20}};
/// if (detector.update(0.7) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class Cusum {
 public:
  static constexpr std::string_view name = "cusum";
  using Parameters = cusum;

  /// @throws UsageError  a parameter is outside its range
  explicit Cusum(cusum parameters = {}) : parameters_(parameters) { check(parameters_); }

  /// @throws BadValue  not a number from -1e100 to 1e100
  auto update(double value) -> DriftLevel;
  void reset() { *this = Cusum{parameters_}; }

  auto parameters() const -> const cusum& { return parameters_; }
  auto count() const -> std::uint64_t { return count_; }
  /// The mean.
  auto estimate() const -> double { return mean_; }
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    archive& count_& mean_& sum_& statistic_& drifted_;
  }

 private:
  cusum parameters_;
  std::uint64_t count_ = 0;
  double mean_ = 0, sum_ = 0, statistic_ = 0;
  bool drifted_ = false;
};

}  // namespace drift
}  // namespace tensair
