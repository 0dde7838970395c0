#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace electricity {

inline constexpr std::size_t remembered = 4;  // half hours

/// A row of the data: half an hour of the market of New South Wales, 1996 to 1998 (Harries, "SPLICE-2 comparative
/// evaluation: electricity pricing", 1999). All but the label are brought into [0, 1].
struct HalfHour {
  float period = 0, nswprice = 0, nswdemand = 0, vicprice = 0, vicdemand = 0, transfer = 0;
  std::int64_t up = 0;                     ///< the label: 1 if the price is above its mean over the last day
  std::array<float, remembered> labels{};  ///< those of the half hours before, the last one first: 1, -1, or 0 for none
  std::array<float, remembered> changes{};  ///< the price's last changes, this one first, as multiples of a usual one
};

/// Tells each half hour what went before it: labels that have come by then, and how the price has moved.
class Recent {
 public:
  auto operator()(HalfHour one) -> HalfHour {
    constexpr float fading = 0.95F;  // of a change's weight in the usual one
    constexpr float greatest = 3;    // usual changes: a greater one says no more
    constexpr float least = 1e-9F;   // of the usual change's square
    const float change = price_ ? one.nswprice - *price_ : 0;
    std::shift_right(changes_.begin(), changes_.end(), 1);
    changes_[0] = std::clamp(change / std::sqrt(square_ + least), -greatest, greatest);
    square_ = fading * square_ + (1 - fading) * change * change;
    price_ = one.nswprice;
    one.changes = changes_;
    one.labels = labels_;
    std::shift_right(labels_.begin(), labels_.end(), 1);
    labels_[0] = one.up == 1 ? 1.0F : -1.0F;
    return one;
  }

 private:
  std::optional<float> price_;
  float square_ = 1e-4F;
  std::array<float, remembered> labels_{}, changes_{};
};

inline constexpr std::int64_t inputs = 6 + 2 * remembered;

inline auto collate(std::span<const HalfHour> some) -> std::pair<at::Tensor, at::Tensor> {
  const auto count = static_cast<std::int64_t>(some.size());
  auto input = torch::empty({count, inputs});
  auto target = torch::empty({count}, torch::kLong);
  auto* in = input.data_ptr<float>();
  auto* out = target.data_ptr<std::int64_t>();
  for (const auto& one : some) {
    for (const float value : {one.period, one.nswprice, one.nswdemand, one.vicprice, one.vicdemand, one.transfer})
      *in++ = value;
    in = std::copy(one.labels.begin(), one.labels.end(), in);
    in = std::copy(one.changes.begin(), one.changes.end(), in);
    *out++ = one.up;
  }
  return {std::move(input), std::move(target)};
}

}  // namespace electricity
