#pragma once

#include <torch/torch.h>

#include <memory>

namespace cifar10 {

/// TensAIR's network for CIFAR-10: three 3×3 convolutions without padding (32, 64, 64 channels), each followed by ReLU
/// and the first two by 2×2 max-pooling, then dense layers of 64 and 10: 122,570 parameters.
///
/// Parameters have LibTorch's standard names, shapes and meaning (`conv1.weight` [32, 3, 3, 3], `dense1.weight` [64,
/// 1024], …): a state dictionary fits a `torch.nn.Sequential` of the same layers in Python.
class Network : public torch::nn::Module {
 public:
  /// @param fused  with the sample's own convolutions fused with ReLU and pooling, or with LibTorch's operations one by one: the same
  ///               function up to rounding; on a GPU always the latter
  explicit Network(bool fused = true);

  /// @param images  float [N, 3, 32, 32]; fastest in channels_last memory
  /// @returns logits, float [N, 10]
  auto forward(torch::Tensor images) -> torch::Tensor;

 private:
  auto convolve(torch::Tensor x) -> torch::Tensor;
  auto convolve_fused(const torch::Tensor& images) -> torch::Tensor;

  bool fused_;
  torch::nn::Conv2d conv1_, conv2_, conv3_;
  torch::nn::Linear dense1_, dense2_;
};

/// A network initialised as Keras does it: weights uniform after Glorot, biases zero. Draws from LibTorch's default
/// generator, so `torch::manual_seed` before it makes it the same everywhere.
auto make_network(bool fused = true) -> std::shared_ptr<Network>;

}  // namespace cifar10
