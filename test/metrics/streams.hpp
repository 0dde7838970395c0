#pragma once

#include <cstdint>
#include <tensair/metrics/outcome.hpp>
#include <vector>

// The streams that golden.py draws, number for number.

namespace tensair::test {

inline constexpr int metric_examples = 20'000;

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed) {}
  auto operator()(int below) -> int {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<int>((state_ >> 33) % static_cast<std::uint64_t>(below));
  }

 private:
  std::uint64_t state_;
};

/// Runs of three classes of which one is frequent; a fourth is only ever predicted.
inline auto class_stream() -> std::vector<Outcome<int>> {
  Draw draw{1};
  int last = 0;
  std::vector<Outcome<int>> all;
  for (int i = 0; i < metric_examples; ++i) {
    const bool drifted = i >= metric_examples / 2;
    if (draw(10) >= 7) {
      const int u = draw(100);
      last = drifted ? (u < 70 ? 2 : 0) : u < 90 ? 0 : u < 98 ? 1 : 2;
    }
    const bool right = draw(100) < (drifted ? 55 : 80);
    all.push_back({last, right ? last : draw(4)});
  }
  return all;
}

/// Few positives; scores in 1,024ths, so many are equal; the drift makes them worse than chance.
inline auto score_stream() -> std::vector<Outcome<int, double>> {
  Draw draw{2};
  std::vector<Outcome<int, double>> all;
  for (int i = 0; i < metric_examples; ++i) {
    const int truth = draw(10) < 2 ? 1 : 0;
    const bool higher = (truth == 1) != (i >= metric_examples / 2);
    all.push_back({truth, (draw(700) + (higher ? 324 : 0)) / 1024.0});
  }
  return all;
}

inline auto probability_stream() -> std::vector<Outcome<int, std::vector<double>>> {
  Draw draw{3};
  std::vector<Outcome<int, std::vector<double>>> all;
  for (int i = 0; i < metric_examples; ++i) {
    const int truth = draw(10) < 8 ? 0 : 1 + draw(2);
    std::vector<double> parts;
    for (int k = 0; k < 3; ++k) parts.push_back(1 + draw(100));
    parts[static_cast<std::size_t>(truth)] += i >= metric_examples / 2 ? 20 : 150;
    const double sum = parts[0] + parts[1] + parts[2];
    for (auto& part : parts) part /= sum;
    all.push_back({truth, parts});
  }
  return all;
}

inline auto number_stream() -> std::vector<Outcome<double>> {
  Draw draw{4};
  std::vector<Outcome<double>> all;
  for (int i = 0; i < metric_examples; ++i) {
    const double truth = (draw(2000) - 1000) / 64.0 + (i >= metric_examples / 2 ? 100 : 0);
    all.push_back({truth, truth + (draw(400) - 150) / 128.0});
  }
  return all;
}

}  // namespace tensair::test
