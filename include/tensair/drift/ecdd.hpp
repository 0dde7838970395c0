#pragma once

#include <tensair/drift/detector.hpp>

namespace tensair {

namespace drift {
class Ecdd;
}

/// Parameters of ECDD. The defaults are MOA's.
struct ecdd {
  using Detector = drift::Ecdd;

  int min_values = 30;   ///< no signal before that many values less one
  double lambda = 0.2;   ///< the weight of the newest value in the moving average
  int run_length = 400;  ///< a false alarm every so many values, on average: 100, 400 or 1000

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("min_values", self.min_values, 0, 1e9, "no signal before that many values");
    visit("lambda", self.lambda, 1e-6, 1, "weight of the newest value in the moving average");
    visit("run_length", self.run_length, 100, 1000, "values between false alarms, on average: 100, 400 or 1000");
  }
};

namespace drift {

/// ECDD: a chart of the exponentially weighted moving average of a learner's errors beside their overall rate (Ross,
/// Adams, Tasoulis, Hand, "Exponentially weighted moving average charts for detecting concept drift", Pattern
/// Recognition Letters 33, 2012). It signals a drift when the average is more than L standard deviations above the
/// rate, a warning at half of that; L is a polynomial of the rate, which the paper gives for three rates of false
/// alarms at λ = 0.2. (MOA calls it EWMAChartDM.)
///
/// Input: 0 for right, 1 for wrong (or a loss in [0, 1]). Statistic: standard deviations above the rate. Time and
/// memory: constant.
///
/// The rate of false alarms is what has been asked for only at λ = 0.2 and error rates up to about 0.5. Not for drift
/// so slow that the overall rate follows it, and not where a run must last much longer than the run length.
///
/// @code
/// tensair::drift::Ecdd detector{{.run_length = 1000}};
/// if (detector.update(1) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class Ecdd {
 public:
  static constexpr std::string_view name = "ecdd";
  using Parameters = ecdd;

  /// @throws UsageError  a parameter is outside its range
  explicit Ecdd(ecdd parameters = {});

  /// @throws BadValue  outside [0, 1]
  auto update(double error) -> DriftLevel;
  void reset();

  auto parameters() const -> const ecdd& { return parameters_; }
  auto count() const -> std::uint64_t { return count_; }
  /// The error rate.
  auto estimate() const -> double { return count_ == 0 ? 0 : errors_ / static_cast<double>(count_); }
  /// The moving average.
  auto average() const -> double { return average_; }
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    archive& count_& errors_& average_& fading_& statistic_& drifted_;
    // As it is when it is written; when read, it may be one that the constructor refuses.
    if (!has_limits(parameters_.run_length)) throw_damaged_state(name);
  }

 private:
  static auto has_limits(int run_length) -> bool;

  ecdd parameters_;
  std::uint64_t count_ = 0;
  double errors_ = 0, average_ = 0;
  double fading_ = 1;  // (1 - λ)^2n
  double statistic_ = 0;
  bool drifted_ = false;
};

}  // namespace drift
}  // namespace tensair
