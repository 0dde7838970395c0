#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <tensair/model/learner.hpp>
#include <tensair/model/optimizer.hpp>
#include <tensair/model/options.hpp>
#include <tensair/model/schedule.hpp>
#include <vector>

namespace tensair {

/// What is between a batch's gradient and the optimiser's step: whether the gradient can be used, the mean over
/// several batches, its bounds, and the learning rate. Each replica has its own. With default options it looks at the
/// gradient once and copies nothing.
class StepRule {
 public:
  /// @param learner  whose gradients it gets: of its buffers, which are their last values, none is bounded
  StepRule(const ModelOptions& options, Learner& learner);

  /// What is not finite about a batch: its loss, or the gradient that the learner has for it; null when all is well.
  auto problem_of(double loss, Learner& learner) const -> const char*;

  /// Whether each gradient is stepped with as it is: then `take` and `finish` do not look at it.
  auto takes_all() const -> bool { return accumulate_ == 1 && clip_norm_ == 0 && clip_value_ == 0; }
  /// Takes a batch's gradient. True when it completes a step's.
  auto take(std::span<const float> gradient) -> bool;
  /// Whether gradients wait for more batches to make a step with them.
  auto waits() const -> bool { return taken_ > 0; }
  /// The gradient to step with, of all batches since the last one: `latest`, the last batch's, where nothing has to be
  /// done to it. Begins the next.
  auto finish(std::span<const float> latest) -> std::span<const float>;
  /// Forgets gradients that wait.
  void discard() { taken_ = 0; }

  /// Sets the rate for the next step.
  void schedule(Optimizer& optimizer, const TrainingProgress& progress);
  auto schedule_state() const -> std::vector<double> { return schedule_ ? schedule_->state() : std::vector<double>{}; }
  void restore_schedule(std::span<const double> state);

 private:
  std::size_t buffers_;
  double clip_norm_, clip_value_;
  int accumulate_;
  std::unique_ptr<Schedule> schedule_;
  double factor_ = 1;
  int taken_ = 0;
  std::vector<float> gradient_;  // when it has to be changed
};

/// Parameters and optimiser state of some steps ago, to go back to.
class RollBack {
 public:
  /// After a good step: keeps a copy from time to time.
  void note(Learner& learner, const Optimizer& optimizer);
  void restore(Learner& learner, Optimizer& optimizer) const;

 private:
  struct Kept {
    std::vector<float> parameters;
    OptimizerState optimizer;
  };
  // Two, and the older one is gone back to: the newer may be of the step that led astray.
  Kept older_, newer_;
  std::uint64_t steps_ = 0;
};

/// Whether no value is an infinity or NaN.
auto all_finite(std::span<const float> values) -> bool;

}  // namespace tensair
