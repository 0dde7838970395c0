#include <torch/torch.h>

#include <tensair/model/labelled.hpp>

#include "model/count_correct.hpp"

namespace tensair::detail {

auto stack_outputs(const std::vector<at::Tensor>& outputs) -> at::Tensor {
  return torch::stack(outputs);
}

auto target_of(const std::vector<at::Tensor>& labels, const at::Tensor&) -> at::Tensor {
  return torch::stack(labels);
}
auto target_of(const std::vector<std::int64_t>& labels, const at::Tensor&) -> at::Tensor {
  return torch::tensor(labels, torch::kLong);
}
auto target_of(const std::vector<double>& labels, const at::Tensor& output) -> at::Tensor {
  auto target = torch::tensor(labels, torch::kFloat);
  return target.numel() == output.numel() ? target.view(output.sizes()) : target;
}

auto score_of(const ModelRuntime& model, const at::Tensor& output, const at::Tensor& target) -> Score {
  const torch::NoGradGuard no_grad;
  Score score;
  score.examples = static_cast<std::uint64_t>(output.size(0));
  score.loss = model.options().loss(output, target).item<double>();
  score.correct = count_correct(output, target);
  return score;
}

auto node_of(const ModelRuntime& model, std::int32_t replica) -> std::int32_t {
  if (replica < 0) return -1;
  const auto owners = model.owners();
  return owners[static_cast<std::size_t>(replica) % owners.size()];
}

}  // namespace tensair::detail
