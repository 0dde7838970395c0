#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <tensair/error.hpp>
#include <tensair/model/step_rule.hpp>
#include <utility>

namespace tensair {
namespace {

// A roll-back goes back between one and two of these: far enough to leave a few bad batches behind, and a copy of the
// model every so often costs less than a hundredth of the steps' own passes over it (more, where these touch few rows).
constexpr std::uint64_t steps_between_copies = 64;

// In double, because squares of floats overflow float; in lanes, because one sum's additions would wait for each other.
auto norm_of(std::span<const float> values) -> double {
  std::array<double, 8> sums{};
  std::size_t i = 0;
  for (; i + sums.size() <= values.size(); i += sums.size()) {
    for (std::size_t k = 0; k < sums.size(); ++k) {
      const auto value = static_cast<double>(values[i + k]);
      sums[k] += value * value;
    }
  }
  double sum = 0;
  for (; i < values.size(); ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  for (const double lane : sums) sum += lane;
  return std::sqrt(sum);
}

}  // namespace

// Infinities and NaN have all exponent bits set. Integers, because a float reduction would not be vectorised.
auto all_finite(std::span<const float> values) -> bool {
  constexpr std::uint32_t exponent = 0x7f80'0000U;
  std::uint32_t found = 0;
  for (const float value : values)
    found |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(value) & exponent) == exponent);
  return found == 0;
}

StepRule::StepRule(const ModelOptions& options, Learner& learner)
    : buffers_(learner.size() - learner.trained()),
      clip_norm_(options.clip_norm),
      clip_value_(options.clip_value),
      accumulate_(options.accumulate),
      schedule_(options.schedule ? options.schedule() : nullptr) {}

auto StepRule::problem_of(double loss, Learner& learner) const -> const char* {
  if (!std::isfinite(loss)) return "has a loss that is not finite";
  return learner.gradient_is_finite() ? nullptr : "has a gradient that is not finite";
}

auto StepRule::take(std::span<const float> gradient) -> bool {
  if (accumulate_ == 1) {
    ++taken_;
    return true;
  }
  if (taken_ == 0) {
    gradient_.assign(gradient.begin(), gradient.end());
  } else {
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient_[i] += gradient[i];
  }
  return ++taken_ == accumulate_;
}

auto StepRule::finish(std::span<const float> latest) -> std::span<const float> {
  if (takes_all()) {
    taken_ = 0;
    return latest;
  }
  std::span<const float> gradient = accumulate_ == 1 ? latest : std::span<const float>{gradient_};
  // A copy is made the first time that something has to be changed.
  const auto own = [&]() -> std::span<float> {
    if (gradient.data() != gradient_.data()) {
      gradient_.assign(gradient.begin(), gradient.end());
      gradient = gradient_;
    }
    return gradient_;
  };
  if (const int batches = std::exchange(taken_, 0); batches > 1) {
    const auto share = static_cast<float>(1.0 / batches);
    for (float& value : own()) value *= share;
  }
  const std::size_t trained = gradient.size() - buffers_;
  if (clip_value_ > 0) {
    const auto bound = static_cast<float>(clip_value_);
    for (float& value : own().first(trained)) value = std::clamp(value, -bound, bound);
  }
  if (clip_norm_ > 0) {
    const double norm = norm_of(gradient.first(trained));
    if (norm > clip_norm_) {
      const auto scale = static_cast<float>(clip_norm_ / norm);
      for (float& value : own().first(trained)) value *= scale;
    }
  }
  return gradient;
}

void StepRule::schedule(Optimizer& optimizer, const TrainingProgress& progress) {
  if (!schedule_) return;
  const double factor = schedule_->factor(progress);
  if (!(factor >= 0 && std::isfinite(factor))) {
    throw Error(fmt::format("a schedule makes the learning rate {} times what it was", factor),
                fmt::format("step {}", progress.steps + 1), "Its factors must be 0 or more, and finite.");
  }
  if (factor == factor_) return;
  optimizer.scale_rate(factor);
  factor_ = factor;
}

void StepRule::restore_schedule(std::span<const double> state) {
  if (schedule_) {
    schedule_->restore(state);
  } else if (!state.empty()) {
    throw Error("a checkpoint has a schedule's state, and the model has no schedule", "ModelOptions::schedule",
                "Train on with the one of the checkpoint.");
  }
}

void RollBack::note(Learner& learner, const Optimizer& optimizer) {
  if (steps_++ % steps_between_copies != 0) return;
  const auto parameters = learner.values();
  std::swap(older_, newer_);
  newer_.parameters.assign(parameters.begin(), parameters.end());
  newer_.optimizer = optimizer.state();
  if (older_.parameters.empty()) older_ = newer_;
}

void RollBack::restore(Learner& learner, Optimizer& optimizer) const {
  std::copy(older_.parameters.begin(), older_.parameters.end(), learner.parameters().begin());
  optimizer.restore(older_.optimizer);
}

}  // namespace tensair
