#pragma once

#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace tensair::operators {

/// The aggregate of `min(f)` and `max(f)`: of all `f(record)` the first of those before which no other comes by `Less`.
template <class T, class F, class Less>
struct Extreme {
  using Value = std::remove_cvref_t<std::invoke_result_t<F&, const T&>>;

  F f;

  static auto init() -> std::optional<Value> { return std::nullopt; }
  void add(std::optional<Value>& best,
           const T& record) noexcept(std::is_nothrow_invocable_v<F&, const T&>&& std::is_arithmetic_v<Value>) {
    merge(best, std::invoke(f, record));
  }
  static void merge(std::optional<Value>& best, std::optional<Value> other) {
    if (other && (!best || Less{}(*other, *best))) best = std::move(other);
  }
  static auto result(const std::optional<Value>& best) -> const Value& { return *best; }
};

}  // namespace tensair::operators
