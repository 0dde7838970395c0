#pragma once

#include <memory>
#include <tensair/drift/detector.hpp>
#include <vector>

namespace tensair {

namespace drift {
class Optwin;
class OptwinCuts;
}  // namespace drift

/// Parameters of OPTWIN. The defaults are those of its authors' MOA program.
struct optwin {
  using Detector = drift::Optwin;

  double rho = 0.5;          ///< how great a change matters, in standard deviations
  double confidence = 0.99;  ///< of a drift, in the four tests that a change can be seen by together
  double warning = 0.98;     ///< confidence of a warning, in one test
  int min_window = 30;       ///< no signal from a shorter window
  int max_window = 25'000;   ///< older values are forgotten
  double noise = 1e-6;       ///< added to standard deviations, so that none is 0

  template <class Self, class Visit>
  static void each(Self& self, Visit&& visit) {
    visit("rho", self.rho, 1e-3, 100, "how great a change matters, in standard deviations");
    visit("confidence", self.confidence, 0.5, 1 - 1e-12, "confidence of a drift");
    visit("warning", self.warning, 0.5, 1 - 1e-12, "confidence of a warning");
    visit("min_window", self.min_window, 10, 1e7, "no signal from a shorter window");
    visit("max_window", self.max_window, 10, 1e7, "older values are forgotten");
    visit("noise", self.noise, 1e-100, 1e100, "added to standard deviations");
  }
};

namespace drift {

/// OPTWIN: cuts its window at the place where, for the window's length, a rise of ρ standard deviations is just certain
/// to be seen, and compares the two parts by a t-test of means and an F-test of variances (Tosi and Theobald, "OPTWIN:
/// drift identification with optimal sub-windows", ICDEW 2024). A drift is a newer part whose mean is higher, and
/// that by the first test or with more variance by the second. After a drift the window begins with the value that
/// showed it.
///
/// Input: any number up to 1e100; 0 and 1 for errors, or a loss. Statistic: the t-test's. Sums over the window are
/// exact whatever has come and gone. Time: constant; the first detector with its parameters computes its cuts as the
/// window grows, some 10 µs for each length, and shares them with all others of the process. Memory: `max_window`
/// values of 8 bytes, as far as the window has grown, and 32 bytes for each length once.
///
/// Does not signal a mean that falls, and does not start anew there. A smaller ρ sees less, later. Not for many
/// thousand keys with a long window each.
///
/// @code
/// tensair::drift::Optwin detector{{.rho = 0.1}};
/// if (detector.update(0.7) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class Optwin {
 public:
  static constexpr std::string_view name = "optwin";
  using Parameters = optwin;

  /// @throws UsageError  a parameter is outside its range, or max_window is less than min_window
  explicit Optwin(optwin parameters = {});

  /// @throws BadValue  not a number from -1e100 to 1e100
  auto update(double value) -> DriftLevel;
  void reset();

  auto parameters() const -> const optwin& { return parameters_; }
  /// The window's length.
  auto count() const -> std::uint64_t { return size_; }
  /// The mean of the newer part, or of a window that is not cut yet.
  auto estimate() const -> double;
  /// How many values the older part has.
  auto cut() const -> std::uint64_t { return cut_; }
  auto statistic() const -> double { return statistic_; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    head_of_state(archive, 1, parameters_);
    auto values = window();
    archive& values& cut_& origin_& statistic_;
    restore(std::move(values));
  }

 private:
  // A sum that values are added to and taken from, without the error that this makes in a plain one: what each addition
  // rounds off is kept apart (Neumaier, 1974).
  struct Sum {
    double high = 0, low = 0;
    void add(double value) {
      const double sum = high + value, part = sum - high;
      low += (high - (sum - part)) + (value - part);
      high = sum;
    }
    auto value() const -> double { return high + low; }
  };
  // Values are added up less the window's first one: those of a stream that hardly varies keep all their digits.
  struct Part {
    Sum sum, squares;
    void add(double value) {
      sum.add(value);
      squares.add(value * value);
    }
    void remove(double value) {
      sum.add(-value);
      squares.add(-(value * value));
    }
    auto deviation(double n) const -> double;
  };

  void insert(double value);
  void begin_anew(double value);
  void move_cut(std::uint64_t to);
  auto at(std::uint64_t i) const -> double;
  auto window() const -> std::vector<double>;
  void restore(std::vector<double> values);

  optwin parameters_;
  std::shared_ptr<OptwinCuts> cuts_;
  std::vector<double> ring_;  // its size is a power of two
  std::uint64_t first_ = 0, size_ = 0, cut_ = 0;
  double origin_ = 0;
  Part older_, newer_;
  double statistic_ = 0;
};

}  // namespace drift
}  // namespace tensair
