#include "network.hpp"

#include "conv_relu.hpp"

namespace cifar10 {

Network::Network(bool fused)
    : fused_{fused},
      conv1_{register_module("conv1", torch::nn::Conv2d{torch::nn::Conv2dOptions{3, 32, 3}})},
      conv2_{register_module("conv2", torch::nn::Conv2d{torch::nn::Conv2dOptions{32, 64, 3}})},
      conv3_{register_module("conv3", torch::nn::Conv2d{torch::nn::Conv2dOptions{64, 64, 3}})},
      dense1_{register_module("dense1", torch::nn::Linear{1024, 64})},
      dense2_{register_module("dense2", torch::nn::Linear{64, 10})} {
  for (auto& parameter : named_parameters()) {
    if (parameter.value().dim() == 1) {
      torch::nn::init::zeros_(parameter.value());
    } else {
      torch::nn::init::xavier_uniform_(parameter.value());
    }
  }
}

auto Network::forward(torch::Tensor images) -> torch::Tensor {
  auto x = fused_ && images.is_cpu() ? convolve_fused(images) : convolve(images);
  x = dense1_(x.flatten(1)).relu_();
  return dense2_(x);
}

auto Network::convolve(torch::Tensor x) -> torch::Tensor {
  x = torch::max_pool2d(conv1_(x).relu_(), 2);
  x = torch::max_pool2d(conv2_(x).relu_(), 2);
  return conv3_(x).relu_();
}

auto Network::convolve_fused(const torch::Tensor& images) -> torch::Tensor {
  // No pooling window covers the last row and column of the second convolution, nor of the first: these two rows and
  // columns of the image never count.
  auto x = images.contiguous(torch::MemoryFormat::ChannelsLast).narrow(2, 0, 30).narrow(3, 0, 30);
  x = conv_relu_pool(x, conv1_->weight, conv1_->bias);
  x = conv_relu_pool(x, conv2_->weight, conv2_->bias);
  return conv_relu(x, conv3_->weight, conv3_->bias);
}

auto make_network(bool fused) -> std::shared_ptr<Network> {
  return std::make_shared<Network>(fused);
}

}  // namespace cifar10
