#pragma once

#include <array>
#include <tensair/drift/detector.hpp>
#include <vector>

namespace tensair {

namespace drift {
class Adwin;
}

/// Parameters of ADWIN. The defaults are MOA's.
struct adwin {
  using Detector = drift::Adwin;

  double delta = 0.002;    ///< how likely a false alarm may be at each test, in theory; in practice far less likely
  int clock = 32;          ///< tests after every so many values
  int min_window = 10;     ///< no test of a window that is not longer
  int min_part = 5;        ///< each part has at least this many values more than one
  bool two_sided = false;  ///< signal a mean that falls too; without, older values are dropped in silence

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("delta", self.delta, 1e-300, 1, "bound on the probability of a false alarm at a test");
    visit("clock", self.clock, 1, 1e9, "test after every so many values");
    visit("min_window", self.min_window, 0, 1e9, "no test of a window that is not longer");
    visit("min_part", self.min_part, 1, 1e6, "the least length of each part, less two");
    visit("two_sided", self.two_sided, 0, 1, "signal a mean that falls too");
  }
};

namespace drift {

/// ADWIN: a window that is as long as its mean has not changed (Bifet and Gavaldà, "Learning from time-changing data
/// with adaptive windowing", SDM 2007, ADWIN2). Whenever two parts of it have means too different for one mean, by the
/// variance form of Hoeffding's bound, it signals a drift and drops the oldest values until they agree.
///
/// Input: any number up to 1e100; the bound is meant for values in [0, 1]: scale others, or too many alarms are given.
/// Statistic: the difference between the means of the two parts, newer less older. There are no warnings. Memory:
/// O(log w), five or six sums for each power of two; time: constant but for every `clock`-th value, O(log w).
///
/// It follows changes in both directions and signals a mean that rises, as MOA's does; `two_sided` signals both. It
/// does not forget everything after a drift: some more signals follow while older values leave. Not for changes that
/// leave the mean as it was.
///
/// @code
/// tensair::drift::Adwin detector{{.delta = 0.01}};
/// if (detector.update(0.3) == tensair::DriftLevel::drift) std::printf("now about %g\n", detector.estimate());
/// @endcode
class Adwin {
 public:
  static constexpr std::string_view name = "adwin";
  using Parameters = adwin;

  /// @throws UsageError  a parameter is outside its range
  explicit Adwin(adwin parameters = {}) : parameters_(parameters) { check(parameters_); }

  /// @throws BadValue  not a number from -1e100 to 1e100
  auto update(double value) -> DriftLevel {
    expect_number(name, value);
    if (++since_test_ < parameters_.clock) [[likely]] {
      insert(value);
      return DriftLevel::none;
    }
    since_test_ = 0;
    const double before = estimate();
    insert(value);
    return test() && (parameters_.two_sided || estimate() > before) ? DriftLevel::drift : DriftLevel::none;
  }
  void reset() { *this = Adwin{parameters_}; }

  auto parameters() const -> const adwin& { return parameters_; }
  /// The window's length.
  auto count() const -> std::uint64_t { return width_; }
  /// The window's mean.
  auto estimate() const -> double { return width_ == 0 ? 0 : total_ / static_cast<double>(width_); }
  /// The window's variance.
  auto variance() const -> double { return width_ == 0 ? 0 : squares_ / static_cast<double>(width_); }
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    archive& rows_& width_& since_test_& total_& squares_& statistic_;
    if (!is_sound()) throw_damaged_state(name);
  }

 private:
  static constexpr std::size_t most = 5;  // buckets of one size

  // Buckets of one size, oldest first: what their values come to, and the sum of squares about their mean.
  struct Row {
    std::uint64_t size = 0;
    std::array<double, most + 1> totals{}, squares{};
  };

  void insert(double value);
  void merge_full_rows();
  void drop_oldest();
  auto test() -> bool;
  auto find_cut() -> bool;
  auto is_sound() const -> bool;

  adwin parameters_;
  std::vector<Row> rows_ = std::vector<Row>(1);  // row i has buckets of 2^i values
  std::uint64_t width_ = 0;
  int since_test_ = 0;
  double total_ = 0, squares_ = 0, statistic_ = 0;
};

}  // namespace drift
}  // namespace tensair
