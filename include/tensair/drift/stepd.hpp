#pragma once

#include <tensair/drift/detector.hpp>
#include <vector>

namespace tensair {

namespace drift {
class Stepd;
}

/// Parameters of STEPD. The defaults are MOA's, and the paper's.
struct stepd {
  using Detector = drift::Stepd;

  int window = 30;        ///< how many values are recent
  double drift = 0.003;   ///< significance of a drift
  double warning = 0.05;  ///< significance of a warning
  bool as_moa = true;     ///< a drift too where all values so far are equal, and the test is not defined

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("window", self.window, 1, 1e6, "how many values are recent");
    visit("drift", self.drift, 0, 1, "significance of a drift");
    visit("warning", self.warning, 0, 1, "significance of a warning");
    visit("as_moa", self.as_moa, 0, 1, "a drift too where all values are equal and the test is not defined");
  }
};

namespace drift {

/// STEPD: whether a learner is right as often of late as before (Nishida and Yamauchi, "Detecting concept drift using
/// statistical testing", Discovery Science 2007): a test of equal proportions, with continuity correction, between the
/// last `window` values and all before them since the last drift.
///
/// Input: 0 for right, 1 for wrong. A number between is taken as MOA does, as itself when it comes and as 0 when it is
/// no longer recent, and says nothing. Statistic: the test's z. Time: constant; memory: a byte for each value of the
/// window.
///
/// Where all values have been equal, the test divides nothing by nothing. MOA then signals a drift, so on a stream
/// of constants every 60 values; `.as_moa = false` does not. Not for losses; it sees changes in both directions.
///
/// @code
/// tensair::drift::Stepd detector{{.window = 100, .as_moa = false}};
/// if (detector.update(1) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class Stepd {
 public:
  static constexpr std::string_view name = "stepd";
  using Parameters = stepd;

  /// @throws UsageError  a parameter is outside its range
  explicit Stepd(stepd parameters = {});

  /// @throws BadValue  outside [0, 1]
  auto update(double error) -> DriftLevel;
  void reset();

  auto parameters() const -> const stepd& { return parameters_; }
  auto count() const -> std::uint64_t { return older_ + recent_; }
  /// The error rate.
  auto estimate() const -> double {
    return count() == 0 ? 0 : (older_errors_ + recent_errors_) / static_cast<double>(count());
  }
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    archive& values_& next_& older_& recent_& older_errors_& recent_errors_& statistic_& drifted_;
    const auto window = static_cast<std::size_t>(parameters_.window);
    if (values_.size() != window || next_ >= window || recent_ > window) throw_damaged_state(name);
    limits();
  }

 private:
  void limits();

  stepd parameters_;
  double drift_z_ = 0, warning_z_ = 0;  // what z must exceed
  std::vector<std::uint8_t> values_;    // the recent ones, in a ring
  std::uint64_t next_ = 0, older_ = 0, recent_ = 0;
  double older_errors_ = 0, recent_errors_ = 0, statistic_ = 0;
  bool drifted_ = false;
};

}  // namespace drift
}  // namespace tensair
