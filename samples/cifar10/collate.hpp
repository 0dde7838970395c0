#pragma once

#include "image.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace cifar10 {

/// Makes a batch of `images` in one pass: the pixels, float [N, 3, 32, 32] in channels_last memory, and the labels,
/// int64 [N].
///
/// Each channel is standardised with CIFAR-10's own mean and deviation, which learns faster than a scale of 0 to 1.
inline auto collate(std::span<const Image> images) -> std::pair<at::Tensor, at::Tensor> {
  constexpr auto plane = std::size_t{32 * 32};
  constexpr auto mean = std::array{125.3F, 123.0F, 113.9F};
  constexpr auto scale = std::array{1 / 63.0F, 1 / 62.1F, 1 / 66.7F};

  const auto count = static_cast<std::int64_t>(images.size());
  auto pixels =
      at::empty({count, 3, 32, 32}, at::TensorOptions{at::kFloat}.memory_format(at::MemoryFormat::ChannelsLast));
  auto labels = at::empty({count}, at::kLong);

  auto* pixel = pixels.data_ptr<float>();
  auto* label = labels.data_ptr<std::int64_t>();
  for (const auto& image : images) {
    const auto* red = image.pixels.data();
    for (auto i = std::size_t{0}; i < plane; ++i) {
      pixel[3 * i + 0] = (static_cast<float>(red[i]) - mean[0]) * scale[0];
      pixel[3 * i + 1] = (static_cast<float>(red[plane + i]) - mean[1]) * scale[1];
      pixel[3 * i + 2] = (static_cast<float>(red[2 * plane + i]) - mean[2]) * scale[2];
    }
    pixel += 3 * plane;
    *label++ = image.label;
  }
  return {std::move(pixels), std::move(labels)};
}

}  // namespace cifar10
