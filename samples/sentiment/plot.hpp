#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sentiment {

/// What a plot shows: accuracy over a stream, and what happened on the way. Places are counted in tweets.
struct Plot {
  std::uint64_t end = 0;
  std::vector<std::pair<std::uint64_t, double>> accuracy{};         ///< over the last tweets
  std::vector<std::uint64_t> changes{}, drifts{};                   ///< put into the stream, and found
  std::vector<std::pair<std::uint64_t, std::uint64_t>> training{};  ///< from where to where the model trained
};

/// As an image, in SVG 1.1.
auto svg_of(const Plot& plot) -> std::string;

}  // namespace sentiment
