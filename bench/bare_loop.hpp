#pragma once

#include "cifar10/collate.hpp"
#include "cifar10/image.hpp"
#include "cifar10/network.hpp"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace bench {

/// Adam over `count` floats in one pass. Compile with -fno-math-errno, or a square root's errno keeps the loop from
/// being vectorised: 0.34 ms for 122,570 floats instead of 0.05.
inline void adam_step(float* __restrict parameter, const float* __restrict gradient, float* __restrict mean,
                      float* __restrict square, std::size_t count, float rate, std::int64_t step) {
  constexpr auto beta1 = 0.9F, beta2 = 0.999F, epsilon = 1e-8F;
  const auto correction1 = static_cast<float>(1 - std::pow(0.9, static_cast<double>(step)));
  const auto correction2 = static_cast<float>(1 / std::sqrt(1 - std::pow(0.999, static_cast<double>(step))));
  const auto scaled_rate = rate / correction1;
  for (auto i = std::size_t{0}; i < count; ++i) {
    const auto g = gradient[i];
    mean[i] = beta1 * mean[i] + (1 - beta1) * g;
    square[i] = beta2 * square[i] + (1 - beta2) * g * g;
    parameter[i] -= scaled_rate * mean[i] / (std::sqrt(square[i]) * correction2 + epsilon);
  }
}

/// What the library is measured against: the CIFAR-10 training loop that a careful user writes by hand with LibTorch
/// alone.
///
/// The settings are the sample's: channels_last, parameters and gradients in one flat buffer each, Adam in one pass
/// over them. The process-wide ones, `cifar10::apply(…)` and `at::set_num_threads(1)`, belong in main.
class BareLoop {
 public:
  struct Options {
    float rate = 1e-3F;
  };

  explicit BareLoop(std::uint64_t seed) : BareLoop{seed, Options{}} {}

  BareLoop(std::uint64_t seed, Options options) : options_{options} {
    torch::manual_seed(seed);
    network_ = cifar10::make_network();
    flatten();
  }

  /// Trains on one batch and returns its loss from before the step.
  auto step(std::span<const cifar10::Image> batch) -> float {
    const auto [pixels, labels] = cifar10::collate(batch);
    const auto loss = torch::cross_entropy_loss(network_->forward(pixels), labels);
    gradients_.zero_();
    loss.backward();
    adam_step(parameters_.data_ptr<float>(), gradients_.data_ptr<float>(), mean_.data_ptr<float>(),
              square_.data_ptr<float>(), static_cast<std::size_t>(parameters_.numel()), options_.rate, ++steps_);
    return loss.item<float>();
  }

  /// The share of `images` that the network labels rightly.
  auto accuracy(std::span<const cifar10::Image> images) -> double {
    const auto no_gradient = torch::NoGradGuard{};
    auto right = std::int64_t{0};
    for (auto first = std::size_t{0}; first < images.size(); first += 1000) {
      const auto [pixels, labels] =
          cifar10::collate(images.subspan(first, std::min<std::size_t>(1000, images.size() - first)));
      right += network_->forward(pixels).argmax(1).eq(labels).sum().item<std::int64_t>();
    }
    return static_cast<double>(right) / static_cast<double>(images.size());
  }

  auto network() -> cifar10::Network& { return *network_; }
  auto parameters() const -> const torch::Tensor& { return parameters_; }
  auto gradients() const -> const torch::Tensor& { return gradients_; }

 private:
  /// Makes every parameter and gradient a view of one buffer each.
  void flatten() {
    auto count = std::int64_t{0};
    for (const auto& parameter : network_->parameters()) {
      count += parameter.numel();
    }
    parameters_ = torch::empty({count});
    gradients_ = torch::zeros({count});
    mean_ = torch::zeros({count});
    square_ = torch::zeros({count});

    const auto no_gradient = torch::NoGradGuard{};
    auto offset = std::int64_t{0};
    for (auto& parameter : network_->parameters()) {
      const auto size = parameter.numel();
      const auto view = parameters_.narrow(0, offset, size).view(parameter.sizes());
      view.copy_(parameter);
      parameter.set_data(view);
      parameter.mutable_grad() = gradients_.narrow(0, offset, size).view(parameter.sizes()).data();
      offset += size;
    }
  }

  Options options_;
  std::shared_ptr<cifar10::Network> network_;
  torch::Tensor parameters_, gradients_, mean_, square_;
  std::int64_t steps_ = 0;
};

}  // namespace bench
