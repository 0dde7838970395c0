#pragma once

#include <tensair/drift/detector.hpp>

namespace tensair {

namespace drift {
class HddmA;
}

/// Parameters of HDDM_A. The defaults are MOA's; River's have `.two_sided = false`.
struct hddm_a {
  using Detector = drift::HddmA;

  double drift = 0.001;    ///< significance of a drift
  double warning = 0.005;  ///< significance of a warning
  bool two_sided = true;   ///< begin anew, without a signal, when the mean has fallen

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("drift", self.drift, 1e-300, 1, "significance of a drift");
    visit("warning", self.warning, 1e-300, 1, "significance of a warning");
    visit("two_sided", self.two_sided, 0, 1, "begin anew, without a signal, when the mean has fallen");
  }
};

namespace drift {

/// HDDM_A: the mean since the last drift beside that up to the place where it was lowest, compared by Hoeffding's bound
/// (Frías-Blanco et al., "Online and non-parametric drift detection methods based on Hoeffding's bounds", IEEE
/// Transactions on Knowledge and Data Engineering 27, 2015). Best at abrupt drift.
///
/// Input: numbers in [0, 1]: errors or a loss. Statistic: how far the mean is above the lowest one. Time and memory:
/// constant.
///
/// Signals a mean that rises. Slow at gradual drift: `hddm_w` weighs what is recent.
///
/// @code
/// tensair::drift::HddmA detector{{.drift = 0.01}};
/// if (detector.update(1) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class HddmA {
 public:
  static constexpr std::string_view name = "hddm_a";
  using Parameters = hddm_a;

  /// @throws UsageError  a parameter is outside its range
  explicit HddmA(hddm_a parameters = {});

  /// @throws BadValue  outside [0, 1]
  auto update(double value) -> DriftLevel;
  void reset() { *this = HddmA{parameters_}; }

  auto parameters() const -> const hddm_a& { return parameters_; }
  auto count() const -> std::uint64_t { return static_cast<std::uint64_t>(all_.count); }
  auto estimate() const -> double { return all_.count == 0 ? 0 : all_.sum / all_.count; }
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    for (auto* sample : {&all_, &lowest_, &highest_}) archive & sample->count & sample->sum & sample->bound;
    archive& statistic_;
    for (auto* sample : {&lowest_, &highest_}) sample->mean = sample->count == 0 ? 0 : sample->sum / sample->count;
    logarithms();
  }

 private:
  // What came up to some place.
  struct Sample {
    double count = 0, sum = 0, mean = 0;
    double bound = 0;  // its mean, less or more Hoeffding's bound, when it is an extreme
  };

  void logarithms();
  auto compare() -> DriftLevel;
  auto is_apart(double difference, const Sample& sample, double logarithm) const -> bool;

  hddm_a parameters_;
  double log_bound_ = 0, log_drift_ = 0, log_warning_ = 0;
  double calm_bound_ = 0, calm_lowest_ = 0, calm_highest_ = 0;  // halves of these, a little less
  Sample all_, lowest_, highest_;
  double statistic_ = 0;
};

}  // namespace drift
}  // namespace tensair
