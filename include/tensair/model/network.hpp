#pragma once

#include <ATen/core/Tensor.h>

#include <concepts>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <tensair/model/outputs.hpp>
#include <tensair/model/tensor_batch.hpp>
#include <utility>
#include <vector>

namespace torch::nn {
class Module;
}

namespace tensair {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// A module as a learner needs it, whatever it is made of.
struct Network {
  NamedTensors parameters, buffers;
  std::function<void(bool)> train;  ///< training or not: dropout, batch norm
  std::function<Outputs(const TensorBatch&)> forward;
  std::vector<at::Tensor> sparse{};  ///< of the parameters, tables of which a batch touches few rows: their gradients
                                     ///< are LibTorch's sparse tensors
};

namespace detail {

/// The shared pointer inside a `torch::nn` module holder (`torch::nn::Sequential`, …), or the pointer itself.
template <class Module>
auto module_pointer(const Module& module) {
  if constexpr (requires { module.ptr(); }) {
    return module.ptr();
  } else {
    return module;
  }
}

auto network_of(std::shared_ptr<torch::nn::Module> module, std::function<Outputs(const TensorBatch&)> forward)
    -> Network;

[[noreturn]] void no_such_forward(std::size_t inputs);

/// The forward that a module has.
template <class Pointer>
struct OwnForward {
  Pointer module;
  template <class... T>
  requires requires(const Pointer& pointer, const T&... inputs) { Outputs(pointer->forward(inputs...)); }
  auto operator()(const T&... inputs) const -> Outputs { return Outputs(module->forward(inputs...)); }
};

/// One that the user gave, of the module and its inputs.
template <class Module, class Forward>
struct BoundForward {
  mutable Module module;
  mutable Forward forward;
  template <class... T>
  requires std::invocable<Forward&, Module&, const T&...>
  auto operator()(const T&... inputs) const -> Outputs { return Outputs(forward(module, inputs...)); }
};

/// Calls `forward` with as many tensors as the batch has inputs: one to four.
template <class Forward>
auto call_forward(const Forward& forward, const TensorBatch& batch) -> Outputs {
  using T = const at::Tensor&;
  const auto& more = batch.more_inputs;
  if constexpr (std::invocable<const Forward&, T>) {
    if (more.empty()) return forward(batch.input);
  }
  if constexpr (std::invocable<const Forward&, T, T>) {
    if (more.size() == 1) return forward(batch.input, more[0]);
  }
  if constexpr (std::invocable<const Forward&, T, T, T>) {
    if (more.size() == 2) return forward(batch.input, more[0], more[1]);
  }
  if constexpr (std::invocable<const Forward&, T, T, T, T>) {
    if (more.size() == 3) return forward(batch.input, more[0], more[1], more[2]);
  }
  no_such_forward(1 + more.size());
}

}  // namespace detail

/// A module with the forward that it has: of one tensor to four.
template <class Module>
auto network(Module module) -> Network {
  auto pointer = detail::module_pointer(module);
  return detail::network_of(pointer, [forward = detail::OwnForward<decltype(pointer)>{pointer}](
                                         const TensorBatch& batch) { return detail::call_forward(forward, batch); });
}

/// A module with a forward of another kind. It is called with the module and the batch's inputs, or with the module and
/// the batch; it returns whatever makes `Outputs`: a tensor, a tuple of them, a map by name.
///
/// @code
/// auto tagger = pipeline.model("tagger", [] {
///   return tensair::network(torch::nn::GRU(16, 8), [](torch::nn::GRU& gru, const at::Tensor& text) {
///     return std::get<0>(gru->forward(text));  // without the last state
///   });
/// });
/// @endcode
template <class Module, class Forward>
auto network(Module module, Forward forward) -> Network {
  auto pointer = detail::module_pointer(module);
  if constexpr (std::invocable<Forward&, Module&, const TensorBatch&>) {
    return detail::network_of(pointer, [module, forward](const TensorBatch& batch) mutable -> Outputs {
      return Outputs(forward(module, batch));
    });
  } else {
    return detail::network_of(pointer, [bound = detail::BoundForward<Module, Forward>{module, forward}](
                                           const TensorBatch& batch) { return detail::call_forward(bound, batch); });
  }
}

/// What `torch_script` returns.
struct TorchScript {
  std::filesystem::path file;
  /// Reads the file.
  /// @throws Error  it cannot be read, is damaged, or needs an operator that this LibTorch has not
  auto operator()() const -> Network;
};

/// A model from a file that `torch.jit.save` wrote: trained further from the parameters and buffers it has. Every node
/// needs the file.
///
/// @code
/// auto pretrained = pipeline.model("flowers", tensair::torch_script("flowers.pt"), {.optimizer = tensair::adam({.lr =
/// 1e-4})});
/// @endcode
inline auto torch_script(std::filesystem::path file) -> TorchScript {
  return {std::move(file)};
}

}  // namespace tensair
