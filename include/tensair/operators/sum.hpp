#pragma once

#include <cstdint>
#include <functional>
#include <type_traits>

namespace tensair::operators {

/// What numbers of type N are added up in: 64 bits, or `double`; other types in themselves.
template <class N>
using SumOf = std::conditional_t<
    std::is_floating_point_v<N>, std::conditional_t<std::is_same_v<N, long double>, long double, double>,
    std::conditional_t<std::is_integral_v<N>, std::conditional_t<std::is_signed_v<N>, std::int64_t, std::uint64_t>, N>>;

/// The aggregate of `sum(f)`: the sum of `f(record)`.
template <class T, class F>
struct Sum {
  using Value = SumOf<std::remove_cvref_t<std::invoke_result_t<F&, const T&>>>;

  F f;

  static auto init() -> Value { return Value{}; }
  void add(Value& sum,
           const T& record) noexcept(std::is_nothrow_invocable_v<F&, const T&>&& std::is_arithmetic_v<Value>) {
    sum += static_cast<Value>(std::invoke(f, record));
  }
  static void merge(Value& sum, const Value& other) { sum += other; }
  static auto result(const Value& sum) -> const Value& { return sum; }
};

}  // namespace tensair::operators
