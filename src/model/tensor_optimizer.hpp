#pragma once

#include <cstddef>
#include <memory>
#include <tensair/model/optimizer.hpp>

// The optimisers of optimizer.cpp, for parameters on a device.

namespace tensair {

/// @param shrink      as AdamW has it
/// @param parameters  how many
auto adam_on(const c10::Device& device, const AdamOptions& options, double shrink, std::size_t parameters)
    -> std::unique_ptr<TensorOptimizer>;
/// @param parameters  how many, if there is a momentum
auto sgd_on(const c10::Device& device, const SgdOptions& options, std::size_t parameters)
    -> std::unique_ptr<TensorOptimizer>;
auto rmsprop_on(const c10::Device& device, const RmsPropOptions& options, std::size_t parameters)
    -> std::unique_ptr<TensorOptimizer>;
auto adagrad_on(const c10::Device& device, const AdagradOptions& options, std::size_t parameters)
    -> std::unique_ptr<TensorOptimizer>;
auto whole_step_on(const c10::Device& device) -> std::unique_ptr<TensorOptimizer>;

}  // namespace tensair
