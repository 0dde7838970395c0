#pragma once

#include <array>
#include <cstdint>

namespace cifar10 {

/// One record of the official binary layout: the label (0 to 9), then 32 × 32 pixels as 1024 red, 1024 green, 1024
/// blue, row by row.
struct Image {
  std::uint8_t label;
  std::array<std::uint8_t, 3072> pixels;
};

}  // namespace cifar10
