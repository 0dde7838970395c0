#pragma once

#include <random>
#include <tensair/drift/detector.hpp>
#include <vector>

namespace tensair {

namespace drift {
class Kswin;
}

/// Parameters of KSWIN. The defaults are River's, and the paper's.
struct kswin {
  using Detector = drift::Kswin;

  double alpha = 0.005;    ///< significance of a drift
  int window = 100;        ///< values that are kept
  int recent = 30;         ///< how many of them are recent, and how many older ones are drawn
  std::uint64_t seed = 1;  ///< of the draws; River's with the same seed draws the same

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("alpha", self.alpha, 0, 1, "significance of a drift");
    visit("window", self.window, 2, 1e6, "values that are kept");
    visit("recent", self.recent, 1, 5e5, "how many of them are recent");
    visit("seed", self.seed, 0, 4294967295, "of the draws");
  }
};

namespace drift {

/// KSWIN: whether the recent values have the same distribution as as many drawn from the older ones of a window (Raab,
/// Heusinger, Schleif, "Reactive soft prototype computing for concept drift streams", Neurocomputing 416, 2020), by the
/// two-sample Kolmogorov–Smirnov test with its exact distribution. The window is empty after a drift.
///
/// Input: any number up to 1e100. Statistic: the distance of the distribution functions. There are no warnings. Time:
/// O(r log r) a value for r recent ones, since each test draws anew: a microsecond or two with the default, by far the
/// slowest here. Memory: the window.
///
/// Sees changes that leave the mean as it was. At 5 ‰ a test and a test each value, it gives many false alarms: choose
/// `alpha` by how often one may come. Not for errors of 0 and 1, where the distribution is its mean.
///
/// @code
/// tensair::drift::Kswin detector{{.alpha = 1e-4}};
/// if (detector.update(0.3) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class Kswin {
 public:
  static constexpr std::string_view name = "kswin";
  using Parameters = kswin;

  /// @throws UsageError  a parameter is outside its range, or there are fewer older values than recent ones
  explicit Kswin(kswin parameters = {});

  /// @throws BadValue  not a number from -1e100 to 1e100
  auto update(double value) -> DriftLevel;
  void reset();

  auto parameters() const -> const kswin& { return parameters_; }
  auto count() const -> std::uint64_t { return size_; }
  /// The mean of the window.
  auto estimate() const -> double;
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    auto random = random_state();
    archive& ring_& next_& size_& random& statistic_& drifted_;
    restore(random);
  }

 private:
  using Random = std::mt19937;

  void begin();
  auto random_state() const -> std::string;
  void restore(const std::string& random);
  auto random_bits(int bits) -> std::uint32_t;
  auto below(std::uint32_t n) -> std::uint32_t;
  void draw_older();
  auto distance() -> int;

  kswin parameters_;
  int critical_ = 0;  // the distance, as a number of values, from which on there is a drift
  std::vector<double> ring_;
  std::uint64_t next_ = 0, size_ = 0;
  Random random_;
  double statistic_ = 0;
  bool drifted_ = false;
  std::vector<std::uint32_t> pool_;
  std::vector<double> drawn_, recent_;
};

}  // namespace drift
}  // namespace tensair
