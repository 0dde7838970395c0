#pragma once

#include <ATen/core/Tensor.h>

#include <string>

// How errors speak of tensors.

namespace tensair {

/// "[128, 3, 32, 32]"; "none" for a tensor that is not there.
auto shape_of(const at::Tensor& tensor) -> std::string;

/// "float [128, 3, 32, 32]"
auto type_and_shape_of(const at::Tensor& tensor) -> std::string;

}  // namespace tensair
