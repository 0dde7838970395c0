#pragma once

#include <algorithm>
#include <numeric>
#include <optional>
#include <tensair/pipeline.hpp>
#include <utility>
#include <vector>

#include "support/topologies.hpp"

namespace tensair::test {

/// 0 to n - 1.
inline auto numbers(int n) -> std::vector<int> {
  std::vector<int> all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

template <class T>
auto sorted(std::vector<T> all) -> std::vector<T> {
  std::sort(all.begin(), all.end());
  return all;
}

/// Numbers below n, shared out: part r of p counts r, r + p, ….
class SharedNumbers {
 public:
  using value_type = int;
  explicit SharedNumbers(int n) : n_(n) {}
  void split(int part, int parts) {
    next_ = part;
    step_ = parts;
  }
  auto next() -> std::optional<int> {
    if (next_ >= n_) return std::nullopt;
    return std::exchange(next_, next_ + step_);
  }

 private:
  int n_, next_ = 0, step_ = 1;
};

/// What node 0 collects of the stream that `compose` makes of a pipeline.
template <class T, class Compose>
auto result_of(const Topology& topology, Compose compose) -> std::vector<T> {
  Collected<T> collected;
  run(topology, [&](Pipeline& pipeline) {
    auto here = compose(pipeline);
    if (pipeline.options().rank == 0) collected = here;
  });
  return collected.records();
}

}  // namespace tensair::test
