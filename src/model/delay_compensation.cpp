#include <cmath>
#include <tensair/model/delay_compensation.hpp>

namespace tensair {
namespace {

// The paper's, for its adaptive form.
constexpr float memory = 0.95F, smallest = 1e-7F;

}  // namespace

void DelayCompensation::taken_at(std::span<const float> parameters) {
  then_.assign(parameters.begin(), parameters.end());
}

auto DelayCompensation::corrected(std::span<const float> gradient, std::span<const float> now, std::size_t trained)
    -> std::span<const float> {
  corrected_.assign(gradient.begin(), gradient.end());
  const auto lambda = static_cast<float>(options_.compensation);
  const float* __restrict g = gradient.data();
  const float* __restrict w = now.data();
  const float* __restrict then = then_.data();
  float* __restrict out = corrected_.data();
  if (!options_.adaptive) {
    for (std::size_t i = 0; i < trained; ++i) out[i] = g[i] + lambda * g[i] * g[i] * (w[i] - then[i]);
    return corrected_;
  }
  mean_square_.resize(trained);
  float* __restrict square = mean_square_.data();
  for (std::size_t i = 0; i < trained; ++i) {
    square[i] = memory * square[i] + (1 - memory) * g[i] * g[i];
    out[i] = g[i] + lambda / std::sqrt(square[i] + smallest) * g[i] * g[i] * (w[i] - then[i]);
  }
  return corrected_;
}

}  // namespace tensair
