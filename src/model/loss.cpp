#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <map>
#include <tensair/error.hpp>
#include <tensair/model/loss.hpp>

#include "model/describe.hpp"

namespace tensair {
namespace {

namespace functional = torch::nn::functional;

// LibTorch would stretch one to the other's shape, and the mean would be of pairs that do not belong together.
void require_same_shape(const char* loss, const at::Tensor& output, const at::Tensor& target) {
  if (target.defined() && output.sizes() == target.sizes()) return;
  throw Error(fmt::format("{} is given an output of shape {} and a target of shape {}", loss, shape_of(output),
                          shape_of(target)),
              "loss", "They must be equal.");
}

// LibTorch says which class is out of range but not what the range is, and of [N, 1] targets only that they are not
// supported. Looked at when it has refused a batch, so that good ones pay nothing.
[[noreturn]] void explain_classes(const char* loss, const at::Tensor& output, const at::Tensor& classes,
                                  std::int64_t ignore, const std::exception& error) {
  if (!classes.defined()) throw Error(fmt::format("{} is given no target", loss), "loss", "Let collate return one.");
  if (output.dim() >= 2 && classes.dim() == output.dim() - 1 && at::isIntegralType(classes.scalar_type(), false)) {
    auto sizes = output.sizes().vec();
    sizes.erase(sizes.begin() + 1);
    if (classes.sizes().vec() == sizes && classes.scalar_type() == at::kLong) {
      const auto count = output.size(1);
      const auto counted = classes.masked_select(classes.ne(ignore));
      const auto wrong = counted.masked_select(counted.lt(0).logical_or(counted.ge(count)));
      if (wrong.numel() > 0) {
        throw Error(fmt::format("{} is given class {}, and the output has classes 0 to {}", loss,
                                wrong[0].item<std::int64_t>(), count - 1),
                    "loss", "Check the labels, or let the module have an output for each class.");
      }
    }
  }
  const std::string what = error.what();
  throw Error(fmt::format("{} is given an output {} and a target {}: {}", loss, type_and_shape_of(output),
                          type_and_shape_of(classes), what.substr(0, what.find('\n'))),
              "loss", "It takes logits [N, C] and class numbers, int64 [N].");
}

template <class Options>
auto weights_of(const Options& options) -> at::Tensor {
  return options.weights.empty() ? at::Tensor{} : torch::tensor(options.weights);
}

/// Weights of classes, and a copy of them on the device where the last outputs were.
class Weights {
 public:
  explicit Weights(at::Tensor weights) : weights_(std::move(weights)) {}
  auto beside(const at::Tensor& output) -> const at::Tensor& {
    if (!weights_.defined() || output.device() == weights_.device()) return weights_;
    if (!copy_.defined() || copy_.device() != output.device()) copy_ = weights_.to(output.device());
    return copy_;
  }

 private:
  at::Tensor weights_, copy_;
};

auto cross_entropy_with(const at::Tensor& logits, const at::Tensor& classes,
                        const functional::CrossEntropyFuncOptions& options) -> at::Tensor {
  try {
    return functional::cross_entropy(logits, classes, options);
  } catch (const c10::Error& error) {
    explain_classes("cross_entropy", logits, classes, options.ignore_index(), error);
  }
}

auto likelihood_with(const at::Tensor& output, const at::Tensor& classes, const functional::NLLLossFuncOptions& options)
    -> at::Tensor {
  try {
    return functional::nll_loss(output, classes, options);
  } catch (const c10::Error& error) {
    explain_classes("negative_log_likelihood", output, classes, options.ignore_index(), error);
  }
}

void require(bool good, const char* name, double value, const char* range) {
  if (!good) throw UsageError(fmt::format("{} is {}", name, value), "loss", fmt::format("It must be {}.", range));
}

auto losses_by_name() -> const std::map<std::string, Loss>& {
  static const std::map<std::string, Loss> losses{
      {"cross_entropy", cross_entropy},
      {"negative_log_likelihood", negative_log_likelihood},
      {"binary_cross_entropy", binary_cross_entropy},
      {"huber", huber},
      {"smooth_l1", smooth_l1},
      {"mean_squared_error", mean_squared_error},
      {"mean_absolute_error", mean_absolute_error},
      {"kl_divergence", kl_divergence},
  };
  return losses;
}

}  // namespace

Loss::Loss(const std::string& name) {
  const auto& losses = losses_by_name();
  const auto found = losses.find(name);
  if (found == losses.end()) {
    std::vector<std::string> names;
    for (const auto& [known, loss] : losses) names.push_back(known);
    throw UsageError(fmt::format("there is no loss «{}»", name), "ModelOptions::loss",
                     fmt::format("There are {}; or give a function.", fmt::join(names, ", ")));
  }
  function_ = found->second.function_;
}

auto Loss::operator()(const at::Tensor& output, const at::Tensor& target) const -> at::Tensor {
  TensorBatch batch;
  batch.target = target;
  return function_(output, batch);
}

auto CrossEntropy::operator()(const at::Tensor& logits, const at::Tensor& classes) const -> at::Tensor {
  static const functional::CrossEntropyFuncOptions options;
  return cross_entropy_with(logits, classes, options);
}
auto CrossEntropy::operator()(CrossEntropyOptions options) const -> Loss {
  require(options.label_smoothing >= 0 && options.label_smoothing <= 1, "cross_entropy's label_smoothing",
          options.label_smoothing, "0 to 1");
  return
      [weights = Weights(weights_of(options)),
       with =
           functional::CrossEntropyFuncOptions().ignore_index(options.ignore).label_smoothing(options.label_smoothing)](
          const at::Tensor& logits, const at::Tensor& classes) mutable {
        with.weight(weights.beside(logits));
        return cross_entropy_with(logits, classes, with);
      };
}

auto NegativeLogLikelihood::operator()(const at::Tensor& output, const at::Tensor& classes) const -> at::Tensor {
  return likelihood_with(output, classes, {});
}
auto NegativeLogLikelihood::operator()(NegativeLogLikelihoodOptions options) const -> Loss {
  return [weights = Weights(weights_of(options)), with = functional::NLLLossFuncOptions().ignore_index(options.ignore)](
             const at::Tensor& output, const at::Tensor& classes) mutable {
    with.weight(weights.beside(output));
    return likelihood_with(output, classes, with);
  };
}

auto BinaryCrossEntropy::operator()(const at::Tensor& logits, const at::Tensor& target) const -> at::Tensor {
  require_same_shape("binary_cross_entropy", logits, target);
  return torch::binary_cross_entropy_with_logits(logits, target);
}
auto BinaryCrossEntropy::operator()(BinaryCrossEntropyOptions options) const -> Loss {
  require(options.positive_weight > 0, "binary_cross_entropy's positive_weight", options.positive_weight, "positive");
  return [weight = Weights(torch::tensor(options.positive_weight, torch::kFloat))](const at::Tensor& logits,
                                                                                   const at::Tensor& target) mutable {
    require_same_shape("binary_cross_entropy", logits, target);
    return torch::binary_cross_entropy_with_logits(logits, target, {}, weight.beside(logits));
  };
}

auto Huber::operator()(const at::Tensor& output, const at::Tensor& target) const -> at::Tensor {
  require_same_shape("huber", output, target);
  return torch::huber_loss(output, target);
}
auto Huber::operator()(HuberOptions options) const -> Loss {
  require(options.delta > 0, "huber's delta", options.delta, "positive");
  return [delta = options.delta](const at::Tensor& output, const at::Tensor& target) {
    require_same_shape("huber", output, target);
    return torch::huber_loss(output, target, at::Reduction::Mean, delta);
  };
}

auto SmoothL1::operator()(const at::Tensor& output, const at::Tensor& target) const -> at::Tensor {
  require_same_shape("smooth_l1", output, target);
  return torch::smooth_l1_loss(output, target);
}
auto SmoothL1::operator()(SmoothL1Options options) const -> Loss {
  require(options.beta > 0, "smooth_l1's beta", options.beta, "positive");
  return [beta = options.beta](const at::Tensor& output, const at::Tensor& target) {
    require_same_shape("smooth_l1", output, target);
    return torch::smooth_l1_loss(output, target, at::Reduction::Mean, beta);
  };
}

auto mean_squared_error(const at::Tensor& output, const at::Tensor& target) -> at::Tensor {
  require_same_shape("mean_squared_error", output, target);
  return torch::mse_loss(output, target);
}

auto mean_absolute_error(const at::Tensor& output, const at::Tensor& target) -> at::Tensor {
  require_same_shape("mean_absolute_error", output, target);
  return torch::l1_loss(output, target);
}

auto kl_divergence(const at::Tensor& output, const at::Tensor& target) -> at::Tensor {
  require_same_shape("kl_divergence", output, target);
  return functional::kl_div(output, target, functional::KLDivFuncOptions(torch::kBatchMean));
}

}  // namespace tensair
