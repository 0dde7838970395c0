#pragma once

#include <cstdint>
#include <functional>
#include <type_traits>

namespace tensair::operators {

/// The aggregate of `mean(f)`: the arithmetic mean of `f(record)`, in double precision. The mean is moved by each value
/// (Welford, Technometrics 4, 1962), so that large sums lose no small values.
template <class T, class F>
struct Mean {
  struct State {
    double mean = 0;
    std::uint64_t count = 0;
  };

  F f;

  static auto init() -> State { return {}; }
  void add(State& state, const T& record) noexcept(std::is_nothrow_invocable_v<F&, const T&>) {
    ++state.count;
    state.mean += (static_cast<double>(std::invoke(f, record)) - state.mean) / static_cast<double>(state.count);
  }
  static void merge(State& state, const State& other) {
    if (other.count == 0) return;
    state.count += other.count;
    state.mean += (other.mean - state.mean) * (static_cast<double>(other.count) / static_cast<double>(state.count));
  }
  static auto result(const State& state) -> double { return state.mean; }
};

}  // namespace tensair::operators
