#pragma once

#include <span>
#include <tensair/model/staleness.hpp>
#include <vector>

namespace tensair {

/// Corrects a gradient for what has changed since it was taken: `StalenessOptions::compensation`.
class DelayCompensation {
 public:
  explicit DelayCompensation(const StalenessOptions& options) : options_(options) {}

  auto is_on() const -> bool { return options_.compensation > 0; }

  /// Keeps the parameters at which a gradient is being taken.
  void taken_at(std::span<const float> parameters);

  /// The gradient, as it would be at `now` as far as it tells; valid until the next call.
  /// @param trained  how many of the values have gradients: the first ones; buffers behind them stay
  auto corrected(std::span<const float> gradient, std::span<const float> now, std::size_t trained)
      -> std::span<const float>;

 private:
  StalenessOptions options_;
  std::vector<float> then_, corrected_;
  std::vector<float> mean_square_;  // of the latest gradients, by parameter
};

}  // namespace tensair
