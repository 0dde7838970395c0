#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

namespace bench {

/// The value below which the share `q` of `values` lies, interpolated between neighbours. Not of an empty vector.
inline auto quantile(std::vector<double> values, double q) -> double {
  std::sort(values.begin(), values.end());
  const auto place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const auto above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], place - std::floor(place));
}

inline auto median(std::vector<double> values) -> double {
  return quantile(std::move(values), 0.5);
}

struct Interval {
  double low, high;
};

/// Where the median lies with 95 % confidence: the bootstrap's percentiles over 4,000 resamples, the same each time.
inline auto median_interval(const std::vector<double>& values) -> Interval {
  constexpr auto resamples = 4000;
  auto random = std::mt19937_64{1};
  auto draw = std::uniform_int_distribution<std::size_t>{0, values.size() - 1};
  auto medians = std::vector<double>{};
  auto resample = std::vector<double>(values.size());
  for (auto i = 0; i < resamples; ++i) {
    for (auto& value : resample) value = values[draw(random)];
    medians.push_back(median(resample));
  }
  return {quantile(medians, 0.025), quantile(medians, 0.975)};
}

}  // namespace bench
