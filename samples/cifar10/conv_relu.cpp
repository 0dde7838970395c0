#include "conv_relu.hpp"

#include "conv_kernels.hpp"

#include <torch/torch.h>

// The kernels are compiled once for each kind of processor and chosen when the program starts. Sanitizers run before
// that choice.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define CIFAR10_KERNEL [[gnu::target_clones("avx512f", "fma", "default")]] void
#else
#define CIFAR10_KERNEL void
#endif

namespace cifar10 {
namespace {

using detail::Convolution;
using detail::Geometry;

struct Forward {
  Geometry geometry;
  const float *input, *weights, *bias;  // weights: [panels][3][3][Channels][panel]
  float *scratch, *output;              // scratch: 16 / 9 of the weights' size
  std::uint8_t* winner;
};

struct BackwardWeights {
  Geometry geometry;
  const float *input, *gradient;
  const std::uint8_t* winner;
  float *weights, *bias;
};

struct BackwardInput {
  Geometry geometry;
  const float *weights, *gradient;
  const std::uint8_t* winner;
  float* input_gradient;
};

#define CIFAR10_CONVOLUTION(name, channels, outputs, window)                                                       \
  CIFAR10_KERNEL name##_forward(const Forward& f) {                                                                \
    using Kernel = Convolution<channels, outputs, window>;                                                         \
    if constexpr (channels % detail::lanes == 0) {                                                                 \
      Kernel::transform_weights(f.weights, f.scratch);                                                             \
      Kernel::forward_winograd(f.geometry, f.input, f.scratch, f.bias, f.output, f.winner);                        \
    } else {                                                                                                       \
      Kernel::forward_direct(f.geometry, f.input, f.weights, f.bias, f.output, f.winner);                          \
    }                                                                                                              \
  }                                                                                                                \
  CIFAR10_KERNEL name##_backward_weights(const BackwardWeights& b) {                                               \
    Convolution<channels, outputs, window>::backward_weights(b.geometry, b.input, b.gradient, b.winner, b.weights, \
                                                             b.bias);                                              \
  }                                                                                                                \
  CIFAR10_KERNEL name##_backward_input(const BackwardInput& b) {                                                   \
    Convolution<channels, outputs, window>::backward_input(b.geometry, b.weights, b.gradient, b.winner,            \
                                                           b.input_gradient);                                      \
  }

CIFAR10_CONVOLUTION(pooled_3_32, 3, 32, 2)
CIFAR10_CONVOLUTION(pooled_32_64, 32, 64, 2)
CIFAR10_CONVOLUTION(plain_64_64, 64, 64, 1)

struct Kernel {
  std::int64_t channels, outputs, window;
  void (*forward)(const Forward&);
  void (*backward_weights)(const BackwardWeights&);
  void (*backward_input)(const BackwardInput&);
};

constexpr Kernel kernels[] = {
    {3, 32, 2, pooled_3_32_forward, pooled_3_32_backward_weights, pooled_3_32_backward_input},
    {32, 64, 2, pooled_32_64_forward, pooled_32_64_backward_weights, pooled_32_64_backward_input},
    {64, 64, 1, plain_64_64_forward, plain_64_64_backward_weights, plain_64_64_backward_input},
};

auto find_kernel(const at::Tensor& weight, std::int64_t window) -> const Kernel& {
  for (const auto& kernel : kernels) {
    if (weight.sizes() == at::IntArrayRef{kernel.outputs, kernel.channels, 3, 3} && kernel.window == window) {
      return kernel;
    }
  }
  TORCH_CHECK(false, "conv_relu is not compiled for weights of ", weight.sizes(), window == 2 ? " with" : " without",
              " pooling");
}

auto geometry_of(const at::Tensor& images) -> Geometry {
  return {images.size(0), (images.size(2) - 2) / 2, (images.size(3) - 2) / 2, images.stride(0), images.stride(2)};
}

constexpr auto channels_last = at::MemoryFormat::ChannelsLast;

class ConvRelu : public torch::autograd::Function<ConvRelu> {
 public:
  static auto forward(torch::autograd::AutogradContext* context, const at::Tensor& images, const at::Tensor& weight,
                      const at::Tensor& bias, std::int64_t window) -> at::Tensor {
    const auto& kernel = find_kernel(weight, window);
    TORCH_CHECK(images.dim() == 4 && images.size(1) == kernel.channels && images.size(2) % 2 == 0 &&
                    images.size(3) % 2 == 0 && images.size(2) >= 4 && images.size(3) >= 4,
                "conv_relu needs images of [N, ", kernel.channels, ", H, W] with even H and W, got ", images.sizes());
    TORCH_CHECK(images.stride(1) == 1 && images.stride(3) == kernel.channels,
                "conv_relu needs images in channels_last memory");
    TORCH_CHECK(bias.sizes() == at::IntArrayRef{kernel.outputs} && bias.is_contiguous(), "conv_relu needs a bias of [",
                kernel.outputs, "]");

    const auto geometry = geometry_of(images);
    const auto rows = 2 * geometry.tile_rows / window, columns = 2 * geometry.tile_columns / window;
    const auto options = images.options().memory_format(channels_last);
    auto output = at::empty({geometry.images, kernel.outputs, rows, columns}, options);
    auto winner = at::empty({geometry.images, kernel.outputs, rows, columns}, options.dtype(at::kByte));
    const auto panels =
        weight.view({kernel.outputs / 16, 16, kernel.channels, 3, 3}).permute({0, 3, 4, 2, 1}).contiguous();
    auto scratch = at::empty({16, kernel.channels, kernel.outputs}, weight.options());
    kernel.forward({geometry, images.data_ptr<float>(), panels.data_ptr<float>(), bias.data_ptr<float>(),
                    scratch.data_ptr<float>(), output.data_ptr<float>(), winner.data_ptr<std::uint8_t>()});

    context->save_for_backward({images, weight, winner});
    context->saved_data["window"] = window;
    context->saved_data["images need a gradient"] = images.requires_grad();
    return output;
  }

  static auto backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients)
      -> torch::autograd::variable_list {
    const auto saved = context->get_saved_variables();
    const auto &images = saved[0], &weight = saved[1], &winner = saved[2];
    const auto& kernel = find_kernel(weight, context->saved_data["window"].toInt());
    const auto geometry = geometry_of(images);
    const auto gradient = gradients[0].contiguous(channels_last);

    auto weight_gradient = at::zeros({kernel.outputs, 3, 3, kernel.channels}, weight.options());
    auto bias_gradient = at::zeros({kernel.outputs}, weight.options());
    kernel.backward_weights({geometry, images.data_ptr<float>(), gradient.data_ptr<float>(),
                             winner.data_ptr<std::uint8_t>(), weight_gradient.data_ptr<float>(),
                             bias_gradient.data_ptr<float>()});

    auto images_gradient = at::Tensor{};
    if (context->saved_data["images need a gradient"].toBool()) {
      images_gradient = at::empty(images.sizes(), images.options().memory_format(channels_last)).zero_();
      const auto rows = weight.permute({2, 0, 3, 1}).contiguous();
      kernel.backward_input({geometry, rows.data_ptr<float>(), gradient.data_ptr<float>(),
                             winner.data_ptr<std::uint8_t>(), images_gradient.data_ptr<float>()});
    }
    return {images_gradient, weight_gradient.permute({0, 3, 1, 2}), bias_gradient, at::Tensor{}};
  }
};

}  // namespace

auto conv_relu(const at::Tensor& images, const at::Tensor& weight, const at::Tensor& bias) -> at::Tensor {
  return ConvRelu::apply(images, weight, bias, std::int64_t{1});
}

auto conv_relu_pool(const at::Tensor& images, const at::Tensor& weight, const at::Tensor& bias) -> at::Tensor {
  return ConvRelu::apply(images, weight, bias, std::int64_t{2});
}

}  // namespace cifar10
