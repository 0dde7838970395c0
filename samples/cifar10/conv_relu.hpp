#pragma once

#include <ATen/core/Tensor.h>

namespace cifar10 {

/// `relu(conv2d(images, weight, bias))` for 3×3 kernels without padding, as one differentiable operation.
///
/// Computes on the calling thread alone, in a third to a fifth of the time of LibTorch's operations
/// (docs/performance.md).
/// @param images  float [N, C, H, W] with adjacent channels, as in channels_last memory; may be a crop of a larger image
/// @param weight  float [O, C, 3, 3]; compiled for [32, 3], [64, 32] and [64, 64], and more with a line in conv_relu.cpp
/// @param bias    float [O]
/// @returns float [N, O, H - 2, W - 2] in channels_last memory; H and W must be even
/// @throws c10::Error  on other shapes, types or memory layouts
auto conv_relu(const at::Tensor& images, const at::Tensor& weight, const at::Tensor& bias) -> at::Tensor;

/// `max_pool2d(relu(conv2d(images, weight, bias)), 2)`: as `conv_relu`, then the greatest of each 2×2 pixels.
///
/// @returns float [N, O, (H - 2) / 2, (W - 2) / 2] in channels_last memory
auto conv_relu_pool(const at::Tensor& images, const at::Tensor& weight, const at::Tensor& bias) -> at::Tensor;

}  // namespace cifar10
