#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tensair/error.hpp>
#include <tensair/model/optimizer.hpp>
#include <utility>
#include <vector>

#include "model/optimizer_fields.hpp"
#include "model/tensor_optimizer.hpp"

// Each optimiser is one pass over the flat buffers, a function of a parameter and its gradient. Numbers of a step
// (rate, bias corrections) are worked out in double before it, so that the loop is float and the compiler vectorises
// it.

namespace tensair {
namespace {

void require(bool good, const char* name, double value, const char* range) {
  if (!good) throw UsageError(fmt::format("{} is {}", name, value), "optimiser", fmt::format("It must be {}.", range));
}
void require_positive(const char* name, double value) {
  require(value > 0 && std::isfinite(value), name, value, "positive");
}
void require_not_negative(const char* name, double value) {
  require(value >= 0 && std::isfinite(value), name, value, "0 or more");
}
void require_fraction(const char* name, double value) {
  require(value >= 0 && value < 1, name, value, "from 0 to less than 1");
}

using Fields = OptimizerFields<std::vector<float>>;

// The parts that all of them share: the two forms of a step, the rate, and the state.
template <class Rule>
class PassOptimizer final : public Optimizer {
 public:
  PassOptimizer(typename Rule::Options options, std::size_t parameters) : rule_(options, parameters) {}

  void step(std::span<float> parameters, std::span<const float> gradient) override {
    pass<false>(parameters, gradient, nullptr);
  }
  void tracked_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> change) override {
    pass<true>(parameters, gradient, change.data());
  }
  auto steps_lazily() const -> bool override { return true; }
  void lazy_step(std::span<float> parameters, std::span<const Segment> segments, std::span<const float> gradient,
                 std::span<float> change) override {
    const auto step = [&](auto noted) {
      rule_.step(factor_, [&](auto&& updated) {
        std::size_t from = 0;
        for (const auto& segment : segments) {
          const auto stretch = [&](std::size_t i, float p, float g) { return updated(segment.first + i, p, g); };
          run<noted.value>(parameters.subspan(segment.first, segment.count), gradient.data() + from,
                           noted.value ? change.data() + from : nullptr, stretch);
          from += segment.count;
        }
      });
    };
    if (change.empty()) {
      step(std::false_type{});
    } else {
      step(std::true_type{});
    }
  }
  void scale_rate(double factor) override { factor_ = factor; }
  auto on(const c10::Device& device) const -> std::unique_ptr<TensorOptimizer> override { return rule_.on(device); }

  auto state() const -> OptimizerState override {
    // Only looked at.
    return state_of(const_cast<Rule&>(rule_).fields(), [](const std::vector<float>& values) { return values; });
  }
  void restore(const OptimizerState& state) override {
    tensair::restore(
        rule_.fields(), state, [](const std::vector<float>& values) { return values.size(); },
        [](std::vector<float>& values, const std::vector<float>& from) { values = from; });
  }

 private:
  template <bool note_change>
  void pass(std::span<float> parameters, std::span<const float> gradient, float* change) {
    rule_.step(factor_, [&](auto&& updated) { run<note_change>(parameters, gradient.data(), change, updated); });
  }

  template <bool note_change, class Updated>
  static void run(std::span<float> parameters, const float* __restrict g, float* __restrict change,
                  const Updated& updated) {
    float* __restrict p = parameters.data();
    const std::size_t count = parameters.size();
    for (std::size_t i = 0; i < count; ++i) {
      const float before = p[i];
      const float after = updated(i, before, g[i]);
      p[i] = after;
      if constexpr (note_change) change[i] = after - before;
    }
  }

  Rule rule_;
  double factor_ = 1;
};

template <class Rule>
auto factory_of(typename Rule::Options options) -> OptimizerFactory {
  return [options](std::size_t parameters) { return std::make_unique<PassOptimizer<Rule>>(options, parameters); };
}

// Adam and AdamW: weight decay in the gradient or beside it.
struct AdamRule {
  struct Options {
    AdamOptions adam;
    double shrink = 0;
  };

  AdamRule(Options options, std::size_t parameters) : options_(options), mean_(parameters), variance_(parameters) {}
  auto fields() -> Fields {
    return {{{"mean", &mean_}, {"variance", &variance_}}, {{"power1", &power1_}, {"power2", &power2_}}};
  }
  auto on(const c10::Device& device) const { return adam_on(device, options_.adam, options_.shrink, mean_.size()); }

  template <class ForEach>
  void step(double factor, ForEach for_each) {
    const auto& o = options_.adam;
    power1_ *= o.beta1;
    power2_ *= o.beta2;
    // Both bias corrections fold into two numbers a step: lr·m̂/(√v̂+ε) = rate·m/(√v·scale+ε).
    const auto rate = static_cast<float>(factor * o.lr / (1 - power1_));
    const auto scale = static_cast<float>(1 / std::sqrt(1 - power2_));
    const auto beta1 = static_cast<float>(o.beta1), beta2 = static_cast<float>(o.beta2);
    const auto rest1 = static_cast<float>(1 - o.beta1), rest2 = static_cast<float>(1 - o.beta2);
    const auto epsilon = static_cast<float>(o.epsilon), decay = static_cast<float>(o.weight_decay);
    const auto shrink = static_cast<float>(factor * o.lr * options_.shrink);
    float* __restrict m = mean_.data();
    float* __restrict v = variance_.data();
    for_each([=](std::size_t i, float p, float g) {
      g += decay * p;
      m[i] = beta1 * m[i] + rest1 * g;
      v[i] = beta2 * v[i] + rest2 * g * g;
      return p - (shrink * p + rate * m[i] / (std::sqrt(v[i]) * scale + epsilon));
    });
  }

  Options options_;
  std::vector<float> mean_, variance_;
  double power1_ = 1, power2_ = 1;
};

struct SgdRule {
  using Options = SgdOptions;

  SgdRule(Options options, std::size_t parameters)
      : options_(options), velocity_(options.momentum > 0 ? parameters : 0) {}
  auto fields() -> Fields {
    if (velocity_.empty()) return {};
    return {{{"velocity", &velocity_}}, {}};
  }
  auto on(const c10::Device& device) const { return sgd_on(device, options_, velocity_.size()); }

  template <class ForEach>
  void step(double factor, ForEach for_each) {
    const auto lr = static_cast<float>(factor * options_.lr), momentum = static_cast<float>(options_.momentum);
    const auto decay = static_cast<float>(options_.weight_decay);
    float* __restrict v = velocity_.data();
    if (velocity_.empty()) {
      for_each([=](std::size_t, float p, float g) { return p - lr * (g + decay * p); });
    } else if (options_.nesterov) {
      for_each([=](std::size_t i, float p, float g) {
        g += decay * p;
        v[i] = momentum * v[i] + g;
        return p - lr * (g + momentum * v[i]);
      });
    } else {
      for_each([=](std::size_t i, float p, float g) {
        v[i] = momentum * v[i] + (g + decay * p);
        return p - lr * v[i];
      });
    }
  }

  Options options_;
  std::vector<float> velocity_;
};

struct RmsPropRule {
  using Options = RmsPropOptions;

  RmsPropRule(Options options, std::size_t parameters)
      : options_(options),
        square_(parameters),
        mean_(options.centered ? parameters : 0),
        velocity_(options.momentum > 0 ? parameters : 0) {}
  auto fields() -> Fields {
    Fields fields{{{"square", &square_}}, {}};
    if (!mean_.empty()) fields.values.emplace_back("mean", &mean_);
    if (!velocity_.empty()) fields.values.emplace_back("velocity", &velocity_);
    return fields;
  }
  auto on(const c10::Device& device) const { return rmsprop_on(device, options_, square_.size()); }

  template <class ForEach>
  void step(double factor, ForEach for_each) {
    const auto& o = options_;
    const auto lr = static_cast<float>(factor * o.lr), momentum = static_cast<float>(o.momentum);
    const auto alpha = static_cast<float>(o.alpha), rest = static_cast<float>(1 - o.alpha);
    const auto epsilon = static_cast<float>(o.epsilon), decay = static_cast<float>(o.weight_decay);
    float* __restrict s = square_.data();
    float* __restrict m = mean_.data();
    float* __restrict v = velocity_.data();
    // Two of four loops by `centered` and momentum: each is vectorised only without a branch inside.
    const auto run = [&](auto direction) {
      if (velocity_.empty()) {
        for_each([=](std::size_t i, float p, float g) { return p - lr * direction(i, g + decay * p); });
      } else {
        for_each([=](std::size_t i, float p, float g) {
          v[i] = momentum * v[i] + direction(i, g + decay * p);
          return p - lr * v[i];
        });
      }
    };
    if (mean_.empty()) {
      run([=](std::size_t i, float g) {
        s[i] = alpha * s[i] + rest * g * g;
        return g / (std::sqrt(s[i]) + epsilon);
      });
    } else {
      run([=](std::size_t i, float g) {
        s[i] = alpha * s[i] + rest * g * g;
        m[i] = alpha * m[i] + rest * g;
        return g / (std::sqrt(s[i] - m[i] * m[i]) + epsilon);
      });
    }
  }

  Options options_;
  std::vector<float> square_, mean_, velocity_;
};

struct AdagradRule {
  using Options = AdagradOptions;

  AdagradRule(Options options, std::size_t parameters)
      : options_(options), sum_(parameters, static_cast<float>(options.initial)) {}
  auto fields() -> Fields { return {{{"sum", &sum_}}, {{"steps", &steps_}}}; }
  auto on(const c10::Device& device) const { return adagrad_on(device, options_, sum_.size()); }

  template <class ForEach>
  void step(double factor, ForEach for_each) {
    const auto rate = static_cast<float>(factor * options_.lr / (1 + steps_ * options_.lr_decay));
    steps_ += 1;
    const auto epsilon = static_cast<float>(options_.epsilon), decay = static_cast<float>(options_.weight_decay);
    float* __restrict s = sum_.data();
    for_each([=](std::size_t i, float p, float g) {
      g += decay * p;
      s[i] += g * g;
      return p - rate * g / (std::sqrt(s[i]) + epsilon);
    });
  }

  Options options_;
  std::vector<float> sum_;
  double steps_ = 0;
};

struct WholeStepRule {
  struct Options {};

  WholeStepRule(Options, std::size_t) {}
  auto fields() -> Fields { return {}; }
  auto on(const c10::Device& device) const { return whole_step_on(device); }
  template <class ForEach>
  void step(double, ForEach for_each) {
    for_each([](std::size_t, float p, float g) { return p - g; });
  }
};

void check_adam(const char* name, double lr, double beta1, double beta2, double epsilon, double weight_decay) {
  const auto of = [&](const char* option) { return fmt::format("{}'s {}", name, option); };
  require_positive(of("lr").c_str(), lr);
  require_fraction(of("beta1").c_str(), beta1);
  require_fraction(of("beta2").c_str(), beta2);
  require_positive(of("epsilon").c_str(), epsilon);
  require_not_negative(of("weight_decay").c_str(), weight_decay);
}

}  // namespace

void Optimizer::tracked_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> change) {
  std::copy(parameters.begin(), parameters.end(), change.begin());
  step(parameters, gradient);
  for (std::size_t i = 0; i < parameters.size(); ++i) change[i] = parameters[i] - change[i];
}

void Optimizer::lazy_step(std::span<float>, std::span<const Segment>, std::span<const float>, std::span<float>) {
  throw UsageError("this optimiser does not step some parameters alone", "optimiser",
                   "Override steps_lazily and lazy_step.");
}

void Optimizer::scale_rate(double factor) {
  if (factor == 1) return;
  throw UsageError("an optimiser of one's own does not follow a schedule", "optimiser",
                   "Override scale_rate(factor), or leave ModelOptions::schedule out.");
}

void Optimizer::restore(const OptimizerState& state) {
  if (state.values.empty() && state.numbers.empty() && state.other.empty()) return;
  throw Error("an optimiser that remembers nothing is given another one's state", "optimiser",
              "Train on with the optimiser that the checkpoint was made with, or override restore(state).");
}

auto adam(AdamOptions options) -> OptimizerFactory {
  check_adam("Adam", options.lr, options.beta1, options.beta2, options.epsilon, options.weight_decay);
  return factory_of<AdamRule>({options, 0});
}

auto adamw(AdamWOptions options) -> OptimizerFactory {
  check_adam("AdamW", options.lr, options.beta1, options.beta2, options.epsilon, options.weight_decay);
  return factory_of<AdamRule>({{options.lr, options.beta1, options.beta2, options.epsilon, 0}, options.weight_decay});
}

auto sgd(SgdOptions options) -> OptimizerFactory {
  require_positive("SGD's lr", options.lr);
  require_fraction("SGD's momentum", options.momentum);
  require_not_negative("SGD's weight_decay", options.weight_decay);
  if (options.nesterov) require_positive("the momentum of SGD with nesterov", options.momentum);
  return factory_of<SgdRule>(options);
}

auto rmsprop(RmsPropOptions options) -> OptimizerFactory {
  require_positive("RMSprop's lr", options.lr);
  require_fraction("RMSprop's alpha", options.alpha);
  require_positive("RMSprop's epsilon", options.epsilon);
  require_fraction("RMSprop's momentum", options.momentum);
  require_not_negative("RMSprop's weight_decay", options.weight_decay);
  return factory_of<RmsPropRule>(options);
}

auto adagrad(AdagradOptions options) -> OptimizerFactory {
  require_positive("Adagrad's lr", options.lr);
  require_not_negative("Adagrad's lr_decay", options.lr_decay);
  require_not_negative("Adagrad's initial", options.initial);
  require_positive("Adagrad's epsilon", options.epsilon);
  require_not_negative("Adagrad's weight_decay", options.weight_decay);
  return factory_of<AdagradRule>(options);
}

auto whole_step() -> OptimizerFactory {
  return factory_of<WholeStepRule>({});
}

}  // namespace tensair
