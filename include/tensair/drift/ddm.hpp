#pragma once

#include <limits>
#include <tensair/drift/detector.hpp>

namespace tensair {

namespace drift {
class Ddm;
}

/// Parameters of DDM. The defaults are MOA's.
struct ddm {
  using Detector = drift::Ddm;

  int min_values = 30;       ///< no signal before that many values less one
  double warning_level = 2;  ///< standard deviations above the lowest error rate
  double drift_level = 3;    ///< the same

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("min_values", self.min_values, 0, 1e9, "no signal before that many values");
    visit("warning_level", self.warning_level, 0, 1e9, "standard deviations above the lowest error rate: a warning");
    visit("drift_level", self.drift_level, 0, 1e9, "standard deviations above the lowest error rate: a drift");
  }
};

namespace drift {

/// DDM: the error rate of a learner, which should not rise (Gama, Medas, Castillo, Rodrigues, "Learning with drift
/// detection", SBIA 2004). It remembers where rate plus standard deviation was lowest, and signals when they are some
/// standard deviations above.
///
/// Input: 0 for right, 1 for wrong (or a loss in [0, 1]). Statistic: standard deviations above the lowest rate. Time
/// and memory: constant.
///
/// Not for gradual drift, nor long after the stream has begun: the rate is that of all values since the last drift, so
/// the longer a concept has lasted, the later it notices. It does not see errors become fewer. `rddm` forgets.
///
/// @code
/// tensair::drift::Ddm detector{{.drift_level = 2.5}};
/// if (detector.update(1) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class Ddm {
 public:
  static constexpr std::string_view name = "ddm";
  using Parameters = ddm;

  /// @throws UsageError  a parameter is outside its range
  explicit Ddm(ddm parameters = {}) : parameters_(parameters) { check(parameters_); }

  /// @throws BadValue  outside [0, 1]
  auto update(double error) -> DriftLevel;
  void reset() { *this = Ddm{parameters_}; }

  auto parameters() const -> const ddm& { return parameters_; }
  auto count() const -> std::uint64_t { return count_; }
  /// The error rate.
  auto estimate() const -> double { return count_ == 0 ? 0 : rate_; }
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    archive& count_& rate_& least_sum_& least_rate_& least_deviation_& statistic_& drifted_;
  }

 private:
  ddm parameters_;
  std::uint64_t count_ = 0;
  double rate_ = 1;
  double least_sum_ = std::numeric_limits<double>::max();
  double least_rate_ = least_sum_, least_deviation_ = least_sum_;
  double statistic_ = 0;
  bool drifted_ = false;
};

}  // namespace drift
}  // namespace tensair
