#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>

namespace electricity {

/// A row of the data: half an hour of the market of New South Wales, 1996 to 1998 (Harries, "SPLICE-2 comparative
/// evaluation: electricity pricing", 1999). All but the label are brought into [0, 1].
struct HalfHour {
  float period = 0, nswprice = 0, nswdemand = 0, vicprice = 0, vicdemand = 0, transfer = 0;
  std::int64_t up = 0;    ///< the label: 1 if the price is above its mean over the last day
  float above_usual = 0;  ///< how far the price is above the last day's mean, in standard deviations: see `Day`
};

/// Remembers a day of prices, and tells of each half hour how its price compares.
class Day {
 public:
  auto operator()(HalfHour one) -> HalfHour {
    double sum = 0, squares = 0;
    for (const double price : prices_) sum += price, squares += price * price;
    const auto count = static_cast<double>(std::max<std::size_t>(prices_.size(), 1));
    const double mean = sum / count, deviation = std::sqrt(std::max(squares / count - mean * mean, 0.0)) + 1e-6;
    constexpr double outlier = 3;  // deviations: further away says no more
    if (!prices_.empty())
      one.above_usual = static_cast<float>(std::clamp((one.nswprice - mean) / deviation, -outlier, outlier));
    prices_.push_back(one.nswprice);
    if (prices_.size() > 48) prices_.pop_front();
    return one;
  }

 private:
  std::deque<double> prices_;
};

inline auto collate(std::span<const HalfHour> some) -> std::pair<at::Tensor, at::Tensor> {
  const auto count = static_cast<std::int64_t>(some.size());
  auto input = torch::empty({count, 7});
  auto target = torch::empty({count}, torch::kLong);
  auto* in = input.data_ptr<float>();
  auto* out = target.data_ptr<std::int64_t>();
  for (const auto& one : some) {
    for (const float value :
         {one.period, one.nswprice, one.nswdemand, one.vicprice, one.vicdemand, one.transfer, one.above_usual})
      *in++ = value;
    *out++ = one.up;
  }
  return {std::move(input), std::move(target)};
}

}  // namespace electricity
