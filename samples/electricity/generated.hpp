#pragma once

#include <cmath>
#include <cstdint>
#include <deque>
#include <numeric>
#include <optional>
#include <random>

#include "half_hour.hpp"

namespace electricity {

/// A market that is made up: prices that are higher by day, wander, and are now and then much higher.
class Generated {
 public:
  explicit Generated(std::uint64_t seed, int rows = 20'000) : draw_(seed), rows_(rows) {}

  auto next() -> std::optional<HalfHour> {
    if (index_ == rows_) return std::nullopt;
    const auto uniform = [this] { return static_cast<float>(draw_() >> 40) / 0x1p24F; };
    HalfHour one;
    one.period = static_cast<float>(index_++ % 48) / 47;
    level_ += 0.002F * (uniform() - 0.5F);
    one.nswprice = level_ + 0.02F * std::sin(6.28F * one.period) + 0.01F * uniform() + (uniform() < 0.01F ? 0.3F : 0);
    one.nswdemand = 0.5F + 0.2F * std::sin(6.28F * one.period);
    const auto usual = prices_.empty()
                           ? one.nswprice
                           : std::accumulate(prices_.begin(), prices_.end(), 0.0F) / static_cast<float>(prices_.size());
    one.up = one.nswprice > usual ? 1 : 0;
    prices_.push_back(one.nswprice);
    if (prices_.size() > 48) prices_.pop_front();
    return one;
  }
  using value_type = HalfHour;

 private:
  std::mt19937_64 draw_;
  int rows_, index_ = 0;
  float level_ = 0.1F;
  std::deque<float> prices_;
};

}  // namespace electricity
