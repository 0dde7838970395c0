#include <torch/torch.h>

#include <tensair/model/loss.hpp>

namespace tensair {

auto cross_entropy(const at::Tensor& logits, const at::Tensor& classes) -> at::Tensor {
  return torch::nn::functional::cross_entropy(logits, classes);
}

auto mean_squared_error(const at::Tensor& output, const at::Tensor& target) -> at::Tensor {
  return torch::mse_loss(output, target);
}

auto binary_cross_entropy(const at::Tensor& logits, const at::Tensor& target) -> at::Tensor {
  return torch::binary_cross_entropy_with_logits(logits, target);
}

}  // namespace tensair
