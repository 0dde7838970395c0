#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <tensair/error.hpp>
#include <tensair/model/schedule.hpp>
#include <utility>

namespace tensair {
namespace {

void require(bool good, const char* name, double value, const char* range) {
  if (!good) throw UsageError(fmt::format("{} is {}", name, value), "schedule", fmt::format("It must be {}.", range));
}
void require_steps(const char* name, std::uint64_t steps) {
  require(steps > 0, name, 0, "1 or more");
}

class FunctionSchedule final : public Schedule {
 public:
  explicit FunctionSchedule(std::function<double(const TrainingProgress&)> function) : function_(std::move(function)) {}
  auto factor(const TrainingProgress& progress) -> double override { return function_(progress); }

 private:
  std::function<double(const TrainingProgress&)> function_;
};

class WarmUp final : public Schedule {
 public:
  WarmUp(std::uint64_t steps, std::unique_ptr<Schedule> next) : steps_(steps), next_(std::move(next)) {}

  auto factor(const TrainingProgress& progress) -> double override {
    if (progress.steps < steps_) return static_cast<double>(progress.steps + 1) / static_cast<double>(steps_);
    if (!next_) return 1;
    TrainingProgress since = progress;
    since.steps -= steps_;
    return next_->factor(since);
  }
  auto state() const -> std::vector<double> override { return next_ ? next_->state() : std::vector<double>{}; }
  void restore(std::span<const double> state) override {
    if (next_) {
      next_->restore(state);
    } else {
      Schedule::restore(state);
    }
  }

 private:
  std::uint64_t steps_;
  std::unique_ptr<Schedule> next_;
};

class Plateau final : public Schedule {
 public:
  explicit Plateau(PlateauOptions options) : options_(options) {}

  auto factor(const TrainingProgress& progress) -> double override {
    sum_ += progress.loss;
    if (++count_ >= static_cast<double>(options_.window)) end_window(sum_ / count_);
    return factor_;
  }
  auto state() const -> std::vector<double> override { return {factor_, best_, bad_, sum_, count_}; }
  void restore(std::span<const double> state) override {
    if (state.size() != 5) return Schedule::restore(state);
    factor_ = state[0], best_ = state[1], bad_ = state[2], sum_ = state[3], count_ = state[4];
  }

 private:
  void end_window(double mean) {
    sum_ = count_ = 0;
    if (mean < best_ - options_.better * std::abs(best_) || best_ == std::numeric_limits<double>::infinity()) {
      best_ = mean;
      bad_ = 0;
    } else if (++bad_ > static_cast<double>(options_.patience)) {
      factor_ = std::max(options_.floor, factor_ * options_.gamma);
      bad_ = 0;
    }
  }

  PlateauOptions options_;
  double factor_ = 1, best_ = std::numeric_limits<double>::infinity(), bad_ = 0, sum_ = 0, count_ = 0;
};

// From `begin` to `end` along half a cosine, at `part` in [0, 1].
auto half_cosine(double begin, double end, double part) -> double {
  return end + (begin - end) * (1 + std::cos(std::numbers::pi * part)) / 2;
}

}  // namespace

void Schedule::restore(std::span<const double> state) {
  if (!state.empty())
    throw Error("a schedule is given another one's state", "schedule", "Train on with the one of the checkpoint.");
}

auto schedule(std::function<double(const TrainingProgress&)> factor) -> ScheduleFactory {
  return [factor = std::move(factor)] { return std::make_unique<FunctionSchedule>(factor); };
}

auto step_decay(std::uint64_t every, double gamma) -> ScheduleFactory {
  require_steps("step_decay's every", every);
  require(gamma > 0, "step_decay's gamma", gamma, "positive");
  return schedule([=](const TrainingProgress& at) { return std::pow(gamma, static_cast<double>(at.steps / every)); });
}

auto exponential_decay(double gamma) -> ScheduleFactory {
  require(gamma > 0, "exponential_decay's gamma", gamma, "positive");
  return schedule([=](const TrainingProgress& at) { return std::pow(gamma, static_cast<double>(at.steps)); });
}

auto cosine_decay(std::uint64_t steps, double floor) -> ScheduleFactory {
  require_steps("cosine_decay's steps", steps);
  require(floor >= 0 && floor <= 1, "cosine_decay's floor", floor, "0 to 1");
  return schedule([=](const TrainingProgress& at) {
    return half_cosine(1, floor, std::min(1.0, static_cast<double>(at.steps) / static_cast<double>(steps)));
  });
}

auto warm_up(std::uint64_t steps, ScheduleFactory next) -> ScheduleFactory {
  require_steps("warm_up's steps", steps);
  return [steps, next = std::move(next)] { return std::make_unique<WarmUp>(steps, next ? next() : nullptr); };
}

auto one_cycle(OneCycleOptions options) -> ScheduleFactory {
  require_steps("one_cycle's steps", options.steps);
  require(options.rising > 0 && options.rising < 1, "one_cycle's rising", options.rising, "between 0 and 1");
  require(options.start > 0, "one_cycle's start", options.start, "positive");
  require(options.end > 0, "one_cycle's end", options.end, "positive");
  return schedule([=](const TrainingProgress& at) {
    const double part = std::min(1.0, static_cast<double>(at.steps) / static_cast<double>(options.steps));
    if (part < options.rising) return half_cosine(options.start, 1, part / options.rising);
    return half_cosine(1, options.end, (part - options.rising) / (1 - options.rising));
  });
}

auto plateau(PlateauOptions options) -> ScheduleFactory {
  require_steps("plateau's window", options.window);
  require(options.gamma > 0 && options.gamma < 1, "plateau's gamma", options.gamma, "between 0 and 1");
  require(options.better >= 0, "plateau's better", options.better, "0 or more");
  require(options.floor >= 0, "plateau's floor", options.floor, "0 or more");
  return [options] { return std::make_unique<Plateau>(options); };
}

}  // namespace tensair
