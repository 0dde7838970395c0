#include "model/tensor_optimizer.hpp"

#include <torch/torch.h>

#include <cmath>
#include <utility>
#include <vector>

#include "model/optimizer_fields.hpp"

// The same arithmetic as in optimizer.cpp, by operations on whole tensors. On a GPU each of them is one pass and one
// launch, so there are as few as can be, and none makes a tensor but into memory that the step before has left.

namespace tensair {
namespace {

auto zeros(const c10::Device& device, std::size_t count, double value = 0) -> at::Tensor {
  return at::full({static_cast<std::int64_t>(count)}, value, at::TensorOptions().device(device).dtype(at::kFloat));
}

auto floats_of(const at::Tensor& tensor) -> std::vector<float> {
  const auto here = tensor.cpu();
  return {here.data_ptr<float>(), here.data_ptr<float>() + here.numel()};
}

using TensorFields = OptimizerFields<at::Tensor>;

template <class Rule>
class TensorRuleOptimizer final : public TensorOptimizer {
 public:
  explicit TensorRuleOptimizer(Rule rule) : rule_(std::move(rule)) {}

  void step(at::Tensor& parameters, const at::Tensor& gradient) override {
    const torch::NoGradGuard no_grad;
    rule_.step(factor_, parameters, gradient);
  }
  void scale_rate(double factor) override { factor_ = factor; }

  auto state() const -> OptimizerState override {
    return state_of(const_cast<Rule&>(rule_).fields(), floats_of);  // only looked at
  }
  void restore(const OptimizerState& state) override {
    const torch::NoGradGuard no_grad;
    tensair::restore(
        rule_.fields(), state, [](const at::Tensor& tensor) { return static_cast<std::size_t>(tensor.numel()); },
        [](at::Tensor& tensor, const std::vector<float>& from) { tensor.copy_(torch::tensor(from)); });
  }

 private:
  Rule rule_;
  double factor_ = 1;
};

template <class Rule>
auto optimizer_by(Rule rule) -> std::unique_ptr<TensorOptimizer> {
  return std::make_unique<TensorRuleOptimizer<Rule>>(std::move(rule));
}

/// A gradient with weight decay: itself, or in memory of its own.
class Decayed {
 public:
  explicit Decayed(double weight_decay) : decay_(weight_decay) {}
  auto operator()(const at::Tensor& gradient, const at::Tensor& parameters) -> const at::Tensor& {
    if (decay_ == 0) return gradient;
    if (!sum_.defined()) sum_ = at::empty_like(gradient);
    return at::add_out(sum_, gradient, parameters, decay_);
  }

 private:
  double decay_;
  at::Tensor sum_;
};

struct TensorAdam {
  AdamOptions options;
  double shrink;
  at::Tensor mean, variance;
  Decayed decayed{options.weight_decay};
  at::Tensor root = at::empty_like(mean);
  double power1 = 1, power2 = 1;

  auto fields() -> TensorFields {
    return {{{"mean", &mean}, {"variance", &variance}}, {{"power1", &power1}, {"power2", &power2}}};
  }

  void step(double factor, at::Tensor& parameters, const at::Tensor& gradient) {
    const auto& g = decayed(gradient, parameters);
    power1 *= options.beta1;
    power2 *= options.beta2;
    const double rate = factor * options.lr / (1 - power1);
    const double scale = 1 / std::sqrt(1 - power2);
    mean.lerp_(g, 1 - options.beta1);
    variance.mul_(options.beta2).addcmul_(g, g, 1 - options.beta2);
    // rate·m/(√v·scale + ε) = (rate/scale)·m/(√v + ε/scale): a pass less.
    at::sqrt_out(root, variance).add_(options.epsilon / scale);
    if (shrink > 0) parameters.mul_(1 - factor * options.lr * shrink);
    parameters.addcdiv_(mean, root, -rate / scale);
  }
};

struct TensorSgd {
  SgdOptions options;
  at::Tensor velocity;  // of no elements without a momentum
  Decayed decayed{options.weight_decay};

  auto fields() -> TensorFields {
    if (velocity.numel() == 0) return {};
    return {{{"velocity", &velocity}}, {}};
  }

  void step(double factor, at::Tensor& parameters, const at::Tensor& gradient) {
    const auto& g = decayed(gradient, parameters);
    const double rate = factor * options.lr;
    if (velocity.numel() == 0) {
      parameters.add_(g, -rate);
      return;
    }
    velocity.mul_(options.momentum).add_(g);
    if (options.nesterov) parameters.add_(g, -rate);
    parameters.add_(velocity, options.nesterov ? -rate * options.momentum : -rate);
  }
};

struct TensorRmsProp {
  RmsPropOptions options;
  at::Tensor square, mean, velocity;  // the latter two of no elements when they are not asked for
  Decayed decayed{options.weight_decay};
  at::Tensor root = at::empty_like(square);

  auto fields() -> TensorFields {
    TensorFields fields{{{"square", &square}}, {}};
    if (mean.numel() > 0) fields.values.emplace_back("mean", &mean);
    if (velocity.numel() > 0) fields.values.emplace_back("velocity", &velocity);
    return fields;
  }

  void step(double factor, at::Tensor& parameters, const at::Tensor& gradient) {
    const auto& g = decayed(gradient, parameters);
    const double rate = factor * options.lr;
    square.mul_(options.alpha).addcmul_(g, g, 1 - options.alpha);
    if (mean.numel() > 0) {
      mean.lerp_(g, 1 - options.alpha);
      at::addcmul_out(root, square, mean, mean, -1).sqrt_();
    } else {
      at::sqrt_out(root, square);
    }
    root.add_(options.epsilon);
    if (velocity.numel() == 0) {
      parameters.addcdiv_(g, root, -rate);
      return;
    }
    velocity.mul_(options.momentum).addcdiv_(g, root);
    parameters.add_(velocity, -rate);
  }
};

struct TensorAdagrad {
  AdagradOptions options;
  at::Tensor sum;
  Decayed decayed{options.weight_decay};
  at::Tensor root = at::empty_like(sum);
  double steps = 0;

  auto fields() -> TensorFields { return {{{"sum", &sum}}, {{"steps", &steps}}}; }

  void step(double factor, at::Tensor& parameters, const at::Tensor& gradient) {
    const auto& g = decayed(gradient, parameters);
    const double rate = factor * options.lr / (1 + steps * options.lr_decay);
    steps += 1;
    sum.addcmul_(g, g);
    at::sqrt_out(root, sum).add_(options.epsilon);
    parameters.addcdiv_(g, root, -rate);
  }
};

struct TensorWholeStep {
  auto fields() -> TensorFields { return {}; }
  void step(double, at::Tensor& parameters, const at::Tensor& gradient) { parameters.sub_(gradient); }
};

}  // namespace

auto adam_on(const c10::Device& device, const AdamOptions& options, double shrink, std::size_t parameters)
    -> std::unique_ptr<TensorOptimizer> {
  return optimizer_by(TensorAdam{options, shrink, zeros(device, parameters), zeros(device, parameters)});
}

auto sgd_on(const c10::Device& device, const SgdOptions& options, std::size_t parameters)
    -> std::unique_ptr<TensorOptimizer> {
  return optimizer_by(TensorSgd{options, zeros(device, parameters)});
}

auto rmsprop_on(const c10::Device& device, const RmsPropOptions& options, std::size_t parameters)
    -> std::unique_ptr<TensorOptimizer> {
  return optimizer_by(TensorRmsProp{options, zeros(device, parameters),
                                    zeros(device, options.centered ? parameters : 0),
                                    zeros(device, options.momentum > 0 ? parameters : 0)});
}

auto adagrad_on(const c10::Device& device, const AdagradOptions& options, std::size_t parameters)
    -> std::unique_ptr<TensorOptimizer> {
  return optimizer_by(TensorAdagrad{options, zeros(device, parameters, options.initial)});
}

auto whole_step_on(const c10::Device&) -> std::unique_ptr<TensorOptimizer> {
  return optimizer_by(TensorWholeStep{});
}

}  // namespace tensair
