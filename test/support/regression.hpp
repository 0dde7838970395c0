#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <tensair/model/model.hpp>
#include <vector>

#include "support/topologies.hpp"

// A regression whose optimum is known, and models to be trained on it.

namespace tensair::test {

inline constexpr int features = 6;

// y = w·x + 0.5 with a known w, and inputs from an own generator: a stream whose optimum is known.
struct Point {
  std::array<float, features> x;
  float y;
};

inline auto point(int i) -> Point {
  Point p{};
  auto state = static_cast<std::uint32_t>(i) * 2654435761U + 1;
  p.y = 0.5F;
  for (std::size_t k = 0; k < features; ++k) {
    state = state * 1664525U + 1013904223U;
    p.x[k] = static_cast<float>(state >> 8) / static_cast<float>(1U << 24) - 0.5F;
    p.y += static_cast<float>(k + 1) * p.x[k];
  }
  return p;
}

inline auto collate(std::span<const Point> points) -> std::pair<at::Tensor, at::Tensor> {
  auto x = torch::empty({static_cast<std::int64_t>(points.size()), features});
  auto y = torch::empty({static_cast<std::int64_t>(points.size()), 1});
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t k = 0; k < features; ++k) x.data_ptr<float>()[i * features + k] = points[i].x[k];
    y.data_ptr<float>()[i] = points[i].y;
  }
  return {x, y};
}

/// Points 0 to n - 1, each node its own share; or all on node 0 when it cannot be split.
class SharedPoints {
 public:
  using value_type = Point;
  explicit SharedPoints(int n) : n_(n) {}
  void split(int part, int parts) {
    next_ = part;
    step_ = parts;
  }
  auto next() -> std::optional<Point> {
    if (next_ >= n_) return std::nullopt;
    return point(std::exchange(next_, next_ + step_));
  }

 private:
  int n_, next_ = 0, step_ = 1;
};

inline auto points(int n) -> std::vector<Point> {
  std::vector<Point> all;
  for (int i = 0; i < n; ++i) all.push_back(point(i));
  return all;
}

inline auto make_net() -> torch::nn::Sequential {
  return torch::nn::Sequential(torch::nn::Linear(features, 8), torch::nn::Tanh(), torch::nn::Linear(8, 1));
}
inline auto make_linear() -> torch::nn::Linear {
  return torch::nn::Linear(features, 1);
}

/// What a run left behind.
struct Outcome {
  std::vector<std::vector<float>> parameters;  // of every replica on every node
  std::vector<TrainStep> steps;

  auto examples() const -> std::uint64_t {
    std::uint64_t sum = 0;
    for (const auto& step : steps) sum += step.score.examples;
    return sum;
  }
  auto largest_difference() const -> float {
    float largest = 0;
    for (const auto& one : parameters) {
      for (std::size_t i = 0; i < one.size(); ++i)
        largest = std::max(largest, std::abs(one[i] - parameters.front()[i]));
    }
    return largest;
  }
};

/// Trains on n points with that many replicas on each node.
template <class Run>
auto train(const Run& run, int nodes, int replicas_a_node, ModelOptions options, int n = 3'000, bool split = true)
    -> Outcome {
  Outcome outcome;
  std::vector<ModelHandle> handles;
  Collected<TrainStep> steps;
  options.loss = mean_squared_error;
  options.replicas = nodes * replicas_a_node;
  const auto build = [&](Pipeline& pipeline) {
    auto net = pipeline.model("net", make_net, options);
    handles.push_back(net);
    auto here = split ? pipeline.source(SharedPoints{n}).batch(20).model(net).train().collect()
                      : pipeline.source(points(n)).batch(20).model(net).train().collect();
    if (pipeline.options().rank == 0) steps = here;
  };
  const auto keep = [&] {
    for (const auto& handle : handles) {
      for (auto* learner : handle.runtime()->learners())
        outcome.parameters.emplace_back(learner->parameters().begin(), learner->parameters().end());
    }
  };
  run(build, keep);
  outcome.steps = steps.records();
  return outcome;
}

inline auto on(const test::Topology& topology) {
  return [topology](const auto& build, const auto& keep) {
    test::run(topology, build);
    keep();  // the handles keep the learners alive
  };
}

}  // namespace tensair::test
