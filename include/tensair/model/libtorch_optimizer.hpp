#pragma once

#include <functional>
#include <memory>
#include <tensair/model/optimizer.hpp>
#include <vector>

namespace at {
class Tensor;
}
namespace torch::optim {
class Optimizer;
}

namespace tensair {

/// Any of LibTorch's optimisers. It sees all parameters of its group as one tensor of dimension 1, which is the same
/// for all that work element by element; those that look at a tensor as a whole (norms of it, its rows) see the whole
/// model. LBFGS, which asks for the loss again, cannot be used. Tensair's own are faster: one pass, no allocation.
///
/// @code
/// pipeline.model("flowers", [] { return torch::nn::Linear(4, 3); },
///                {.optimizer = tensair::libtorch_optimizer([](std::vector<at::Tensor> parameters) {
///                   return std::make_unique<torch::optim::Adam>(parameters,
///                   torch::optim::AdamOptions(1e-3).amsgrad(true));
///                 })});
/// @endcode
auto libtorch_optimizer(
    std::function<std::unique_ptr<torch::optim::Optimizer>(std::vector<at::Tensor> parameters)> make)
    -> OptimizerFactory;

}  // namespace tensair
