#pragma once

#include <functional>
#include <optional>
#include <utility>

namespace tensair::operators {

/// The aggregate of `reduce(f)`: the first record, then `f(value, record)`.
template <class T, class F>
struct Reduce {
  F f;

  static auto init() -> std::optional<T> { return std::nullopt; }
  void add(std::optional<T>& value, const T& record) {
    if (value) {
      value = std::invoke(f, std::move(*value), record);
    } else {
      value = record;
    }
  }
  void merge(std::optional<T>& value, std::optional<T> other) {
    if (other) add(value, *other);
  }
  static auto result(const std::optional<T>& value) -> const T& { return *value; }
};

}  // namespace tensair::operators
