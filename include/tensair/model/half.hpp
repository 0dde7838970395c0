#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

// Sixteen-bit floats, rounded to nearest, ties to even. Branches are few, so that loops over them are vectorised.

namespace tensair {

/// The first half of a float32. Infinity and NaN stay what they are.
struct BFloat16 {
  static auto from(float value) -> std::uint16_t {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const bool is_nan = (bits & 0x7fff'ffffU) > 0x7f80'0000U;
    const std::uint32_t rounded = bits + 0x7fffU + (bits >> 16 & 1U);
    return static_cast<std::uint16_t>((is_nan ? bits | 0x40'0000U : rounded) >> 16);
  }
  static auto to(std::uint16_t half) -> float { return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16); }
};

/// IEEE 754's binary16. What is too large becomes the largest finite value, so that what is left out can be sent later;
/// NaN stays NaN.
struct Float16 {
  static constexpr float largest = 65504;

  static auto from(float value) -> std::uint16_t {
    const auto sign = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16 & 0x8000U);
    const float size = std::min(std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0x7fff'ffffU), largest);
    const auto bits = std::bit_cast<std::uint32_t>(size);
    // Below the smallest normal number all have one exponent: adding a half of it lets the float unit round.
    const auto small = std::bit_cast<std::uint32_t>(size + 0.5F) - std::bit_cast<std::uint32_t>(0.5F);
    const std::uint32_t normal = (bits + 0xfffU + (bits >> 13 & 1U) - (std::uint32_t{127 - 15} << 23)) >> 13;
    const bool is_nan = value != value;
    const std::uint32_t half = is_nan ? 0x7e00U : size < 0x1p-14F ? small : normal;
    return static_cast<std::uint16_t>(sign | half);
  }
  static auto to(std::uint16_t half) -> float {
    const std::uint32_t sign = (half & 0x8000U) << 16;
    const std::uint32_t rest = half & 0x7fffU;
    // As if the exponent had float32's bias, then scaled: subnormal numbers come out right, too.
    const float scaled = std::bit_cast<float>(rest << 13) * 0x1p112F;
    const auto bits = rest >= 0x7c00U ? 0x7f80'0000U | rest << 13 : std::bit_cast<std::uint32_t>(scaled);
    return std::bit_cast<float>(sign | bits);
  }
};

}  // namespace tensair
