#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace tensair {

/// Whether a model learns from what is sent to it. Predictions are answered in every mode.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored \
    "-Wshadow"  // g++ 12 sees `tensair::never` hidden, which an enumeration's scope cannot do
enum class Mode : std::uint8_t {
  always,     ///< every batch is trained on
  never,      ///< batches are taken and left aside; `evaluate` scores them
  automatic,  ///< until the model has converged; then batches are only scored, until the loss says that something has
              ///< changed
};
#pragma GCC diagnostic pop

/// What says that a loss has changed: made of anything that is called with a loss and returns whether it has, or that
/// has an `update(double)` which returns an enumeration with `drift`. It keeps state; a copy has its own.
///
/// @code
/// const tensair::DriftTest above = [](double loss) { return loss > 0.5; };
/// @endcode
class DriftTest {
 public:
  /// None.
  DriftTest() = default;
  template <std::predicate<double> F>
  requires(!std::same_as<F, DriftTest>) DriftTest(F test)  // NOLINT(google-explicit-constructor)
      : test_(std::move(test)) {}
  template <class Detector>
  requires requires(Detector detector, double loss) {
    { detector.update(loss) == decltype(detector.update(loss))::drift } -> std::convertible_to<bool>;
  }
  DriftTest(Detector detector)  // NOLINT(google-explicit-constructor)
      : test_([detector = std::move(detector)](double loss) mutable {
          const auto said = detector.update(loss);
          return said == decltype(said)::drift;
        }) {}

  explicit operator bool() const { return static_cast<bool>(test_); }
  auto operator()(double loss) -> bool { return test_(loss); }

 private:
  std::function<bool(double)> test_;
};

/// When `Mode::automatic` stops training, and when it starts again. Each replica judges by its own batches' mean
/// losses, in windows of so many batches, one after the other. It has converged when the mean loss of none of the last
/// `windows` windows is above the latest one's by more than the factor: when the loss falls no further (the rule of
/// TensAIR: Tosi, Venugopal and Theobald, "TensAIR: Real-Time Training of Neural Networks from Data-streams", 2024).
struct Convergence {
  std::size_t window = 50;  ///< batches, at least 1
  std::size_t windows = 5;  ///< at least 1
  double factor = 1.05;     ///< at least 1
  double rise = 1.5;  ///< without a detector: training starts again when a window's mean loss is so many times that
                      ///< of the window with which it stopped
  DriftTest drift{};  ///< asked about each batch's loss while training has stopped; begins anew each time
};

/// Why a replica began or ended to train.
enum class Cause : std::uint8_t {
  command,    ///< `net.mode(…)` or a control stream
  converged,  ///< all replicas have converged
  drift,      ///< a replica's losses have changed
};

/// A replica begins or ends to train, or gets another mode: what `net.mode_changes()` emits.
struct ModeChange {
  std::int32_t replica = 0;  ///< the one that changes, and
  std::int32_t node = 0;     ///< its node
  Mode mode = Mode::always;  ///< in force from here on
  bool training = true;      ///< whether the replica trains from here on
  Cause cause = Cause::command;
  std::int32_t by = 0;              ///< who said so: of a command the node, else the replica
  std::uint64_t number = 0;         ///< of what was said: grows with each decision, and is the same at all replicas
  std::uint64_t step = 0;           ///< steps that the replica had made
  std::uint64_t examples_seen = 0;  ///< examples, of all replicas, that its parameters contained
};

/// The rule of `Convergence`, for one sequence of losses.
class LossWindows {
 public:
  explicit LossWindows(const Convergence& rule);

  /// Whether a window is full with this loss; it then counts. Losses that are not finite are left out.
  auto add(double loss) -> bool;
  /// Whether there are enough full windows to judge by.
  auto enough() const -> bool { return filled_ == windows_; }
  /// Whether, by the full windows, the loss falls no further. False until there are enough of them.
  auto converged() const -> bool;
  /// The mean of the latest full window; NaN before the first.
  auto latest() const -> double { return latest_; }
  void clear();

  /// What it has come to know, for a checkpoint, and goes on from, if the rule has the same windows; else it begins
  /// anew.
  auto state() const -> std::vector<double>;
  void restore(std::span<const double> state);

 private:
  std::size_t window_, windows_;
  double factor_;
  double sum_ = 0;
  std::size_t count_ = 0;
  // The means of the windows before the latest, in a ring.
  static constexpr double none = std::numeric_limits<double>::quiet_NaN();
  double latest_ = none;
  std::vector<double> before_;
  std::size_t filled_ = 0, next_ = 0;
};

}  // namespace tensair
