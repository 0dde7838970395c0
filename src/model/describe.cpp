#include "model/describe.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

namespace tensair {

auto shape_of(const at::Tensor& tensor) -> std::string {
  if (!tensor.defined()) return "none";
  return fmt::format("[{}]", fmt::join(tensor.sizes().begin(), tensor.sizes().end(), ", "));
}

auto type_and_shape_of(const at::Tensor& tensor) -> std::string {
  if (!tensor.defined()) return "none";
  std::string type = c10::toString(tensor.scalar_type());
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  return fmt::format("{} {}", type, shape_of(tensor));
}

}  // namespace tensair
