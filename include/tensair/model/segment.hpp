#pragma once

#include <cstdint>

namespace tensair {

/// A stretch of a model's parameters.
struct Segment {
  std::uint32_t first = 0, count = 0;

  auto end() const -> std::uint64_t { return std::uint64_t{first} + count; }
  friend auto operator==(const Segment&, const Segment&) -> bool = default;
};

}  // namespace tensair
