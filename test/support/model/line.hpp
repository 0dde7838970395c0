#pragma once

#include <torch/torch.h>

#include <optional>
#include <span>
#include <tensair/model/model.hpp>
#include <utility>
#include <vector>

// The simplest thing to learn: y = 2x + 1, by one weight and one bias.

namespace tensair::test {

struct Spot {
  int number = 0;
  float x = 0;

  auto y() const -> float { return 2 * x + 1; }
};

inline auto spot(int n) -> Spot {
  return {n, static_cast<float>(n % 8) / 4 - 1};
}
inline auto spots(int n) -> std::vector<Spot> {
  std::vector<Spot> all;
  for (int i = 0; i < n; ++i) all.push_back(spot(i));
  return all;
}

inline auto collate(std::span<const Spot> some) -> std::pair<at::Tensor, at::Tensor> {
  auto x = torch::empty({static_cast<std::int64_t>(some.size()), 1});
  auto y = torch::empty_like(x);
  for (std::size_t i = 0; i < some.size(); ++i) {
    x.data_ptr<float>()[i] = some[i].x;
    y.data_ptr<float>()[i] = some[i].y();
  }
  return {x, y};
}

inline auto make_line() -> torch::nn::Linear {
  return torch::nn::Linear(1, 1);
}

/// Spots 0 to n - 1, each node its own share.
class SharedSpots {
 public:
  using value_type = Spot;
  explicit SharedSpots(int n) : n_(n) {}
  void split(int part, int parts) {
    next_ = part;
    step_ = parts;
  }
  auto next() -> std::optional<Spot> {
    if (next_ >= n_) return std::nullopt;
    return spot(std::exchange(next_, next_ + step_));
  }

 private:
  int n_, next_ = 0, step_ = 1;
};

}  // namespace tensair::test
