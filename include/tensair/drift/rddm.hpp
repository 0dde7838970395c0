#pragma once

#include <limits>
#include <tensair/drift/detector.hpp>
#include <vector>

namespace tensair {

namespace drift {
class Rddm;
}

/// Parameters of RDDM. The defaults are MOA's, and the paper's.
struct rddm {
  using Detector = drift::Rddm;

  int min_values = 129;          ///< no signal before that many values less one
  double warning_level = 1.773;  ///< standard deviations above the lowest error rate
  double drift_level = 2.258;    ///< the same
  int max_concept = 40'000;      ///< after so many values the oldest are forgotten
  int min_stable = 7'000;        ///< and so many are left
  int warning_limit = 1'400;     ///< a warning that lasts so many values is a drift

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("min_values", self.min_values, 0, 1e9, "no signal before that many values");
    visit("warning_level", self.warning_level, 0, 1e9, "standard deviations above the lowest error rate: a warning");
    visit("drift_level", self.drift_level, 0, 1e9, "standard deviations above the lowest error rate: a drift");
    visit("max_concept", self.max_concept, 1, 1e9, "after so many values the oldest are forgotten");
    visit("min_stable", self.min_stable, 1, 1e7, "how many values are left then");
    visit("warning_limit", self.warning_limit, 1, 1e9, "a warning that lasts so many values is a drift");
  }
};

namespace drift {

/// RDDM: DDM that forgets (Barros, Cabral, Gonçalves, Santos, "RDDM: reactive drift detection method", Expert Systems
/// with Applications 90, 2017). It begins anew with the values since the warning, makes a drift of a warning that lasts
/// too long, and in a long concept works out its rate from the last values only.
///
/// Input: 0 for right, 1 for wrong. A number between counts as itself when it comes, and as 0 when it is worked out
/// again, as in MOA. Statistic: standard deviations above the lowest rate. Time: constant, but for the values that are
/// gone through after a drift, at most `min_stable`. Memory: a byte for each of those.
///
/// Does not see errors become fewer. For values that are not 0 or 1 take `hddm_a` or `optwin`.
///
/// @code
/// tensair::drift::Rddm detector{{.drift_level = 3}};
/// if (detector.update(1) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class Rddm {
 public:
  static constexpr std::string_view name = "rddm";
  using Parameters = rddm;

  /// @throws UsageError  a parameter is outside its range
  explicit Rddm(rddm parameters = {});

  /// @throws BadValue  outside [0, 1]
  auto update(double error) -> DriftLevel;
  void reset() { *this = Rddm{parameters_}; }

  auto parameters() const -> const rddm& { return parameters_; }
  /// The values that the rate is that of.
  auto count() const -> std::uint64_t { return count_; }
  /// The error rate.
  auto estimate() const -> double { return count_ == 0 ? 0 : rate_; }
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    archive& values_& last_& kept_& count_& seen_& warned_since_& warned_at_;
    archive& rate_& least_sum_& least_rate_& least_deviation_& statistic_& rebuilds_& drifted_;
    const auto size = static_cast<std::uint64_t>(parameters_.min_stable);
    if (values_.size() != size || last_ >= size || kept_ > size || (warned_at_ >= size && warned_at_ != nowhere))
      throw_damaged_state(name);
  }

 private:
  static constexpr std::uint64_t nowhere = std::numeric_limits<std::uint64_t>::max();

  void rebuild();
  void forget_lowest();
  void note_lowest(double deviation);

  rddm parameters_;
  std::vector<std::uint8_t> values_;  // the last ones, in a ring
  std::uint64_t last_ = 0, kept_ = 0;
  std::uint64_t count_ = 0, seen_ = 0;
  std::uint64_t warned_since_ = nowhere, warned_at_ = nowhere;  // the value's number; its place in the ring
  double rate_ = 1;
  double least_sum_ = std::numeric_limits<double>::max();
  double least_rate_ = least_sum_, least_deviation_ = least_sum_;
  double statistic_ = 0;
  bool rebuilds_ = false, drifted_ = false;
};

}  // namespace drift
}  // namespace tensair
