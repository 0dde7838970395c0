#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tensair/error.hpp>
#include <tensair/model/optimizer.hpp>
#include <vector>

namespace tensair {
namespace {

void require(bool good, const char* name, double value, const char* range) {
  if (!good) throw UsageError(fmt::format("{} is {}", name, value), "optimiser", fmt::format("It must be {}.", range));
}

class Adam final : public Optimizer {
 public:
  Adam(AdamOptions options, std::size_t parameters) : options_(options), mean_(parameters), variance_(parameters) {}

  void step(std::span<float> parameters, std::span<const float> gradient) override {
    pass<false>(parameters, gradient, nullptr);
  }
  void tracked_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> change) override {
    pass<true>(parameters, gradient, change.data());
  }

 private:
  template <bool note_change>
  void pass(std::span<float> parameters, std::span<const float> gradient, float* __restrict change) {
    power1_ *= options_.beta1;
    power2_ *= options_.beta2;
    // Both bias corrections fold into two numbers a step: lr·m̂/(√v̂+ε) = rate·m/(√v·scale+ε).
    const auto rate = static_cast<float>(options_.lr / (1 - power1_));
    const auto scale = static_cast<float>(1 / std::sqrt(1 - power2_));
    const auto beta1 = static_cast<float>(options_.beta1), beta2 = static_cast<float>(options_.beta2);
    const auto rest1 = static_cast<float>(1 - options_.beta1), rest2 = static_cast<float>(1 - options_.beta2);
    const auto epsilon = static_cast<float>(options_.epsilon);
    float* __restrict p = parameters.data();
    const float* __restrict g = gradient.data();
    float* __restrict m = mean_.data();
    float* __restrict v = variance_.data();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      m[i] = beta1 * m[i] + rest1 * g[i];
      v[i] = beta2 * v[i] + rest2 * g[i] * g[i];
      const float before = p[i];
      p[i] -= rate * m[i] / (std::sqrt(v[i]) * scale + epsilon);
      if constexpr (note_change) change[i] = p[i] - before;
    }
  }

  AdamOptions options_;
  std::vector<float> mean_, variance_;
  double power1_ = 1, power2_ = 1;
};

class Sgd final : public Optimizer {
 public:
  Sgd(SgdOptions options, std::size_t parameters)
      : options_(options), velocity_(options.momentum > 0 ? parameters : 0) {}

  void step(std::span<float> parameters, std::span<const float> gradient) override {
    pass<false>(parameters, gradient, nullptr);
  }
  void tracked_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> change) override {
    pass<true>(parameters, gradient, change.data());
  }

 private:
  template <bool note_change>
  void pass(std::span<float> parameters, std::span<const float> gradient, float* __restrict change) {
    const auto lr = static_cast<float>(options_.lr), momentum = static_cast<float>(options_.momentum);
    float* __restrict p = parameters.data();
    const float* __restrict g = gradient.data();
    if (velocity_.empty()) {
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        const float before = p[i];
        p[i] -= lr * g[i];
        if constexpr (note_change) change[i] = p[i] - before;
      }
      return;
    }
    float* __restrict v = velocity_.data();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      v[i] = momentum * v[i] + g[i];
      const float before = p[i];
      p[i] -= lr * v[i];
      if constexpr (note_change) change[i] = p[i] - before;
    }
  }

  SgdOptions options_;
  std::vector<float> velocity_;
};

}  // namespace

void Optimizer::tracked_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> change) {
  std::copy(parameters.begin(), parameters.end(), change.begin());
  step(parameters, gradient);
  for (std::size_t i = 0; i < parameters.size(); ++i) change[i] = parameters[i] - change[i];
}

auto adam(AdamOptions options) -> OptimizerFactory {
  require(options.lr > 0, "Adam's lr", options.lr, "positive");
  require(options.beta1 >= 0 && options.beta1 < 1, "Adam's beta1", options.beta1, "from 0 to less than 1");
  require(options.beta2 >= 0 && options.beta2 < 1, "Adam's beta2", options.beta2, "from 0 to less than 1");
  require(options.epsilon > 0, "Adam's epsilon", options.epsilon, "positive");
  return [options](std::size_t parameters) { return std::make_unique<Adam>(options, parameters); };
}

auto sgd(SgdOptions options) -> OptimizerFactory {
  require(options.lr > 0, "SGD's lr", options.lr, "positive");
  require(options.momentum >= 0 && options.momentum < 1, "SGD's momentum", options.momentum, "from 0 to less than 1");
  return [options](std::size_t parameters) { return std::make_unique<Sgd>(options, parameters); };
}

}  // namespace tensair
