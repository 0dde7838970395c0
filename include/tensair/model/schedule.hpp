#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace tensair {

/// How far a replica has come, when a schedule is asked for a rate.
struct TrainingProgress {
  std::uint64_t steps = 0;     ///< of all replicas, that its parameters contain
  std::uint64_t examples = 0;  ///< and examples
  double loss = 0;             ///< of the batch that the next step is for
};

/// Says what an optimiser's learning rate is multiplied by, before each step. Each replica has its own, and asks it
/// once a step.
class Schedule {
 public:
  virtual ~Schedule() = default;
  /// The factor of the rate that the optimiser was made with.
  virtual auto factor(const TrainingProgress& progress) -> double = 0;

  /// What it remembers, for a checkpoint. Most look only at the progress, and remember nothing.
  virtual auto state() const -> std::vector<double> { return {}; }
  virtual void restore(std::span<const double> state);
};

/// Makes a replica's schedule.
using ScheduleFactory = std::function<std::unique_ptr<Schedule>()>;

/// A schedule of one's own, by step or by whatever happens: a function of the progress. It is called on each replica's
/// thread, so what it shares with the outside (an atomic that a drift detector sets) must bear that.
///
/// @code
/// pipeline.model("flowers", [] { return torch::nn::Linear(4, 3); }, {.schedule = tensair::schedule(
///   [](const tensair::TrainingProgress& at) { return at.examples < 10'000 ? 1.0 : 0.1; })});
/// @endcode
auto schedule(std::function<double(const TrainingProgress&)> factor) -> ScheduleFactory;

/// Multiplies the rate by `gamma` every `every` steps.
/// @throws UsageError  `every` is 0, or `gamma` is not positive
auto step_decay(std::uint64_t every, double gamma = 0.1) -> ScheduleFactory;

/// Multiplies the rate by `gamma` each step.
/// @throws UsageError  `gamma` is not positive
auto exponential_decay(double gamma) -> ScheduleFactory;

/// Half a cosine from 1 to `floor` in `steps` steps, and `floor` from then on (Loshchilov and Hutter, ICLR 2017,
/// without restarts).
/// @throws UsageError  `steps` is 0, or `floor` is outside [0, 1]
auto cosine_decay(std::uint64_t steps, double floor = 0) -> ScheduleFactory;

/// Rises evenly to 1: step s, from 1, has s / `steps`. Then `next`, which counts its steps from there.
/// @throws UsageError  `steps` is 0
auto warm_up(std::uint64_t steps, ScheduleFactory next = {}) -> ScheduleFactory;

struct OneCycleOptions {
  std::uint64_t steps = 0;     ///< of the whole cycle
  double rising = 0.3;         ///< the share of them in which the rate rises
  double start = 1.0 / 25;     ///< what it begins with
  double end = 1.0 / 250'000;  ///< and ends with
};

/// Up to 1 and down again, half a cosine each (Smith and Topin, "Super-convergence", 2019); the momentum stays.
/// @throws UsageError  `steps` is 0, `rising` is outside (0, 1), or a factor is not positive
auto one_cycle(OneCycleOptions options) -> ScheduleFactory;

struct PlateauOptions {
  std::uint64_t window = 100;  ///< steps (of this replica) whose mean loss is looked at
  std::uint64_t patience = 5;  ///< windows in a row that may pass without a better one
  double gamma = 0.5;          ///< what the rate is then multiplied by
  double better = 1e-4;        ///< a loss is better that is less by more than this share
  double floor = 0;            ///< the factor never falls below
};

/// Lowers the rate when the loss falls no longer.
/// @throws UsageError  `window` is 0, `gamma` is outside (0, 1), or another number is negative
auto plateau(PlateauOptions options = {}) -> ScheduleFactory;

}  // namespace tensair
