#pragma once

#include <limits>
#include <tensair/drift/detector.hpp>

namespace tensair {

namespace drift {
class HddmW;
}

/// Parameters of HDDM_W. The defaults are MOA's.
struct hddm_w {
  using Detector = drift::HddmW;

  double drift = 0.001;    ///< significance of a drift
  double warning = 0.005;  ///< significance of a warning
  double lambda = 0.05;    ///< weight of the newest value
  bool two_sided = false;  ///< begin anew, without a signal, when the mean has fallen

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("drift", self.drift, 1e-300, 1, "significance of a drift");
    visit("warning", self.warning, 1e-300, 1, "significance of a warning");
    visit("lambda", self.lambda, 1e-9, 1, "weight of the newest value");
    visit("two_sided", self.two_sided, 0, 1, "begin anew, without a signal, when the mean has fallen");
  }
};

namespace drift {

/// HDDM_W: an exponentially weighted mean of what came since its lowest beside that lowest, compared by McDiarmid's
/// bound (Frías-Blanco et al., "Online and non-parametric drift detection methods based on Hoeffding's bounds", IEEE
/// Transactions on Knowledge and Data Engineering 27, 2015). Best at gradual drift.
///
/// Input: numbers in [0, 1]: errors or a loss. Statistic: how far the mean is above the lowest one. Time and memory:
/// constant.
///
/// Signals a mean that rises. A rise of less than about a quarter is not seen with the default: the bound of so short a
/// memory is wide. More false alarms than `hddm_a` with a greater `lambda`.
///
/// @code
/// tensair::drift::HddmW detector{{.lambda = 0.01}};
/// if (detector.update(1) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class HddmW {
 public:
  static constexpr std::string_view name = "hddm_w";
  using Parameters = hddm_w;

  /// @throws UsageError  a parameter is outside its range
  explicit HddmW(hddm_w parameters = {});

  /// @throws BadValue  outside [0, 1]
  auto update(double value) -> DriftLevel;
  void reset() { *this = HddmW{parameters_}; }

  auto parameters() const -> const hddm_w& { return parameters_; }
  auto count() const -> std::uint64_t { return count_; }
  /// The weighted mean.
  auto estimate() const -> double { return all_.squares == 0 ? 0 : all_.mean; }
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    for (auto* sample : {&all_, &lowest_, &after_lowest_, &highest_, &after_highest_})
      archive & sample->mean & sample->squares;
    archive& count_& lowest_bound_& highest_bound_& statistic_;
    logarithms();
  }

 private:
  // A weighted mean, and the sum of the squared weights; without values that is 0.
  struct Sample {
    double mean = 0, squares = 0;
  };

  void logarithms();
  void add(Sample& sample, double value) const;
  auto exceeds(const Sample& high, const Sample& low, double logarithm) const -> bool;
  void begin_anew();

  hddm_w parameters_;
  double log_drift_ = 0, log_warning_ = 0;  // halved
  Sample all_, lowest_, after_lowest_, highest_, after_highest_;
  std::uint64_t count_ = 0;
  double lowest_bound_ = std::numeric_limits<double>::max(), highest_bound_ = 0;
  double statistic_ = 0;
};

}  // namespace drift
}  // namespace tensair
