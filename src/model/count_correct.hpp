#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tensair {

/// Whether they are outputs [N, C] and class numbers [N].
inline auto are_classes(const at::Tensor& output, const at::Tensor& target) -> bool {
  return output.dim() == 2 && target.dim() == 1 && target.scalar_type() == at::kLong;
}

/// Of outputs [N, C] and class numbers [N]: how many have their largest output at their class. 0 when they are
/// something else.
inline auto count_correct(const at::Tensor& output, const at::Tensor& target) -> std::uint64_t {
  if (!are_classes(output, target)) return 0;
  return static_cast<std::uint64_t>(output.argmax(1).eq(target).sum().item<std::int64_t>());
}

}  // namespace tensair
