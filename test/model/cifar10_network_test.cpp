// The sample's network against the same network of LibTorch's own operations, which share none of its kernels.

#include "catch.hpp"

#include "cifar10/collate.hpp"
#include "cifar10/conv_relu.hpp"
#include "cifar10/image.hpp"
#include "cifar10/network.hpp"

#include <torch/torch.h>

#include <limits>
#include <string>
#include <vector>

namespace {

auto difference(const at::Tensor& a, const at::Tensor& b) -> double {
  return (a - b).abs().max().item<double>();
}

/// The network out of LibTorch's operations, with the parameters of `network`.
auto plain_forward(const cifar10::Network& network, const at::Tensor& images) -> at::Tensor {
  const auto parameters = network.named_parameters();
  const auto weight = [&](const std::string& layer) { return parameters[layer + ".weight"]; };
  const auto bias = [&](const std::string& layer) { return parameters[layer + ".bias"]; };
  auto x = at::max_pool2d(at::relu(at::conv2d(images, weight("conv1"), bias("conv1"))), {2, 2});
  x = at::max_pool2d(at::relu(at::conv2d(x, weight("conv2"), bias("conv2"))), {2, 2});
  x = at::relu(at::conv2d(x, weight("conv3"), bias("conv3")));
  x = at::relu(at::linear(x.flatten(1), weight("dense1"), bias("dense1")));
  return at::linear(x, weight("dense2"), bias("dense2"));
}

struct Gradients {
  at::Tensor images, weight, bias;
};

template <class Forward>
auto gradients(Forward forward, const at::Tensor& images, const at::Tensor& weight, const at::Tensor& bias)
    -> Gradients {
  const auto x = images.detach().clone().requires_grad_();
  const auto w = weight.detach().clone().requires_grad_();
  const auto b = bias.detach().clone().requires_grad_();
  const auto y = forward(x, w, b);
  y.backward(at::sin(at::arange(y.numel(), y.options())).view(y.sizes()));  // any, but the same for both
  return {x.grad(), w.grad(), b.grad()};
}

auto in_channels_last(const at::Tensor& tensor) {
  return tensor.contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace

TEST_CASE("the CIFAR-10 network has TensAIR's 122,570 parameters, under the names of its layers",
          "[cifar10][network]") {
  const auto network = cifar10::make_network();
  auto count = std::int64_t{0};
  for (const auto& parameter : network->parameters()) {
    count += parameter.numel();
  }
  CHECK(count == 122'570);

  const auto parameters = network->named_parameters();
  CHECK(parameters["conv1.weight"].sizes() == at::IntArrayRef{32, 3, 3, 3});
  CHECK(parameters["conv2.weight"].sizes() == at::IntArrayRef{64, 32, 3, 3});
  CHECK(parameters["conv3.weight"].sizes() == at::IntArrayRef{64, 64, 3, 3});
  CHECK(parameters["dense1.weight"].sizes() == at::IntArrayRef{64, 1024});
  CHECK(parameters["dense2.weight"].sizes() == at::IntArrayRef{10, 64});
}

TEST_CASE("the CIFAR-10 network starts as Keras's: Glorot's uniform weights, biases zero", "[cifar10][network]") {
  torch::manual_seed(1);
  const auto network = cifar10::make_network();
  for (const auto& parameter : network->named_parameters()) {
    INFO(parameter.key());
    const auto& value = parameter.value();
    if (value.dim() == 1) {
      CHECK(value.abs().max().item<double>() == 0);
    } else {
      const auto kernel = value.dim() == 4 ? 9 : 1;
      const auto bound = std::sqrt(6.0 / static_cast<double>(kernel * (value.size(0) + value.size(1))));
      CHECK(value.abs().max().item<double>() <= bound);
      CHECK(value.abs().max().item<double>() > 0.97 * bound);
      CHECK(value.std().item<double>() == Approx(bound / std::sqrt(3.0)).epsilon(0.1));
    }
  }
}

TEST_CASE("the CIFAR-10 network computes what LibTorch's operations compute, logits and gradients",
          "[cifar10][network]") {
  torch::manual_seed(2);
  auto network = cifar10::make_network();
  for (auto& parameter : network->parameters()) {  // biases, too
    const auto no_gradient = torch::NoGradGuard{};
    parameter.add_(torch::randn_like(parameter), 0.02);
  }
  const auto labels = torch::randint(0, 10, {9}, at::kLong);
  const auto images = torch::randn({9, 3, 32, 32});

  for (const auto& input : {images, in_channels_last(images)}) {
    network->zero_grad();
    const auto logits = network->forward(input);
    torch::cross_entropy_loss(logits, labels).backward();
    auto found = std::vector<at::Tensor>{};
    for (const auto& parameter : network->parameters()) {
      found.push_back(parameter.grad().clone());
    }

    network->zero_grad();
    const auto plain = plain_forward(*network, images);
    torch::cross_entropy_loss(plain, labels).backward();

    CHECK(difference(logits, plain) < 1e-4);
    for (auto i = std::size_t{0}; i < found.size(); ++i) {
      INFO(network->named_parameters()[i].key());
      CHECK(difference(found[i], network->parameters()[i].grad()) < 1e-4);
    }
  }
}

TEST_CASE("a fused convolution computes what LibTorch's operations compute, output and gradients",
          "[cifar10][conv_relu]") {
  struct Shape {
    std::int64_t count, channels, outputs, rows, columns;
    bool pool;
  };
  for (const auto& [count, channels, outputs, rows, columns, pool] :
       {Shape{3, 3, 32, 30, 30, true}, Shape{1, 3, 32, 4, 10, true}, Shape{2, 32, 64, 14, 14, true},
        Shape{2, 32, 64, 8, 4, true}, Shape{3, 64, 64, 6, 6, false}, Shape{1, 64, 64, 4, 12, false},
        Shape{0, 64, 64, 6, 6, false}}) {
    torch::manual_seed(3);
    const auto images = in_channels_last(torch::randn({count, channels, rows, columns}));
    const auto weight = torch::randn({outputs, channels, 3, 3}) / std::sqrt(9.0 * static_cast<double>(channels));
    const auto bias = torch::randn({outputs}) / 4;
    INFO(images.sizes() << ", " << outputs << (pool ? ", pooled" : ""));

    const auto fused = [&](const auto& x, const auto& w, const auto& b) {
      return pool ? cifar10::conv_relu_pool(x, w, b) : cifar10::conv_relu(x, w, b);
    };
    const auto plain = [&](const auto& x, const auto& w, const auto& b) {
      const auto y = at::relu(at::conv2d(x, w, b));
      return pool ? at::max_pool2d(y, {2, 2}) : y;
    };
    if (count == 0) {
      CHECK(fused(images, weight, bias).size(0) == 0);
      continue;
    }
    CHECK(difference(fused(images, weight, bias), plain(images, weight, bias)) < 1e-5);
    const auto found = gradients(fused, images, weight, bias);
    const auto expected = gradients(plain, images, weight, bias);
    CHECK(difference(found.images, expected.images) < 1e-4);
    CHECK(difference(found.weight, expected.weight) < 1e-4);
    CHECK(difference(found.bias, expected.bias) < 1e-4);
  }
}

TEST_CASE("a fused convolution takes a crop without a copy of it", "[cifar10][conv_relu]") {
  torch::manual_seed(4);
  const auto images = in_channels_last(torch::randn({2, 32, 17, 19}));
  const auto crop = images.narrow(2, 1, 14).narrow(3, 2, 10);
  const auto weight = torch::randn({64, 32, 3, 3}) / 17;
  const auto bias = torch::zeros({64});
  CHECK(difference(cifar10::conv_relu_pool(crop, weight, bias),
                   cifar10::conv_relu_pool(in_channels_last(crop.clone()), weight, bias)) == 0);
}

TEST_CASE("NaN goes through a fused convolution, so that a broken model shows", "[cifar10][conv_relu]") {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto channels : {3, 32}) {
    auto images = in_channels_last(torch::ones({1, channels, 4, 4}));
    images[0][0][3][3] = nan;
    const auto outputs = channels == 3 ? 32 : 64;
    const auto output =
        cifar10::conv_relu_pool(images, torch::ones({outputs, channels, 3, 3}), torch::zeros({outputs}));
    CHECK(output.isnan().all().item<bool>());
  }
}

TEST_CASE("a fused convolution refuses what it was not compiled for", "[cifar10][conv_relu]") {
  const auto bias = torch::zeros({32});
  const auto weight = torch::zeros({32, 3, 3, 3});
  CHECK_THROWS_AS(cifar10::conv_relu_pool(torch::zeros({1, 3, 8, 8}), weight, bias), c10::Error);  // memory layout
  CHECK_THROWS_AS(cifar10::conv_relu_pool(in_channels_last(torch::zeros({1, 3, 7, 8})), weight, bias),
                  c10::Error);  // odd height
  CHECK_THROWS_AS(cifar10::conv_relu_pool(in_channels_last(torch::zeros({1, 5, 8, 8})), weight, bias),
                  c10::Error);  // channels
  CHECK_THROWS_AS(cifar10::conv_relu(in_channels_last(torch::zeros({1, 3, 8, 8})), weight, bias),
                  c10::Error);  // no such kernel
  CHECK_THROWS_AS(cifar10::conv_relu_pool(in_channels_last(torch::zeros({1, 3, 8, 8}, at::kDouble)), weight, bias),
                  c10::Error);
}

TEST_CASE("a batch has each image's pixels, standardised, and its label", "[cifar10][collate]") {
  auto images = std::vector<cifar10::Image>(2);
  for (auto i = std::size_t{0}; i < 3072; ++i) {
    images[0].pixels[i] = static_cast<std::uint8_t>(i * 7);
    images[1].pixels[i] = static_cast<std::uint8_t>(i * 13 + 1);
  }
  images[0].label = 3;
  images[1].label = 9;

  const auto [pixels, labels] = cifar10::collate(images);

  CHECK(pixels.sizes() == at::IntArrayRef{2, 3, 32, 32});
  CHECK(pixels.is_contiguous(at::MemoryFormat::ChannelsLast));
  CHECK(labels[0].item<std::int64_t>() == 3);
  CHECK(labels[1].item<std::int64_t>() == 9);
  const auto raw =
      torch::from_blob(images.data(), {2, 3073}, at::kByte).narrow(1, 1, 3072).view({2, 3, 32, 32}).to(at::kFloat);
  const auto mean = torch::tensor({125.3F, 123.0F, 113.9F}).view({1, 3, 1, 1});
  const auto deviation = torch::tensor({63.0F, 62.1F, 66.7F}).view({1, 3, 1, 1});
  CHECK(difference(pixels, (raw - mean) / deviation) < 1e-5);
}
