#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace tensair {

/// The loss of a batch, a tensor of dimension 0: `loss(output, target)`.
using Loss = std::function<at::Tensor(const at::Tensor& output, const at::Tensor& target)>;

/// Mean cross entropy of logits [N, C] against class numbers, int64 [N].
auto cross_entropy(const at::Tensor& logits, const at::Tensor& classes) -> at::Tensor;

/// Mean squared error; shapes must be equal.
auto mean_squared_error(const at::Tensor& output, const at::Tensor& target) -> at::Tensor;

/// Mean binary cross entropy of logits against 0 or 1; shapes must be equal.
auto binary_cross_entropy(const at::Tensor& logits, const at::Tensor& target) -> at::Tensor;

}  // namespace tensair
