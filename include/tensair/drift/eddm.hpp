#pragma once

#include <tensair/drift/detector.hpp>

namespace tensair {

namespace drift {
class Eddm;
}

/// Parameters of EDDM. The defaults are MOA's, and the paper's.
struct eddm {
  using Detector = drift::Eddm;

  int min_values = 30;    ///< no signal before that many values less one
  int min_errors = 30;    ///< nor before more errors than that
  double warning = 0.95;  ///< what share of the greatest distance between errors is left
  double drift = 0.9;     ///< the same

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("min_values", self.min_values, 0, 1e9, "no signal before that many values");
    visit("min_errors", self.min_errors, 1, 1e9, "no signal before more errors than that");
    visit("warning", self.warning, 0, 1, "share of the greatest distance between errors: a warning below it");
    visit("drift", self.drift, 0, 1, "share of the greatest distance between errors: a drift below it");
  }
};

namespace drift {

/// EDDM: how far apart a learner's errors are, which should not shrink (Baena-García et al., "Early drift detection
/// method", IWKDDS 2006). It remembers where mean plus two standard deviations of the distance was greatest, and
/// signals when less than a share of that is left.
///
/// Input: 1 for wrong; anything else in [0, 1] is no error. Statistic: the share that is left. Time and memory:
/// constant.
///
/// Notices gradual drift earlier than `ddm`, at the price of many false alarms: on a stable stream it fires every few
/// hundred values. Not for losses that are not 0 or 1, and not where a false alarm is costly.
///
/// @code
/// tensair::drift::Eddm detector{{.drift = 0.85}};
/// if (detector.update(1) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class Eddm {
 public:
  static constexpr std::string_view name = "eddm";
  using Parameters = eddm;

  /// @throws UsageError  a parameter is outside its range
  explicit Eddm(eddm parameters = {}) : parameters_(parameters) { check(parameters_); }

  /// @throws BadValue  outside [0, 1]
  auto update(double error) -> DriftLevel;
  void reset() { *this = Eddm{parameters_}; }

  auto parameters() const -> const eddm& { return parameters_; }
  auto count() const -> std::uint64_t { return count_; }
  /// The share of errors.
  auto estimate() const -> double { return count_ == 0 ? 0 : errors_ / static_cast<double>(count_); }
  /// How many values an error comes after the one before, on average.
  auto mean_distance() const -> double { return mean_; }
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    archive& count_& last_error_& errors_& mean_& squares_& greatest_& statistic_& warned_& drifted_;
  }

 private:
  eddm parameters_;
  std::uint64_t count_ = 0, last_error_ = 0;
  double errors_ = 0, mean_ = 0, squares_ = 0, greatest_ = 0, statistic_ = 0;
  bool warned_ = false, drifted_ = false;
};

}  // namespace drift
}  // namespace tensair
