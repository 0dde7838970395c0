#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <tensair/cold.hpp>
#include <tensair/error.hpp>
#include <tensair/plan/graph.hpp>
#include <utility>

namespace tensair::operators {

/// @return the error for functions that were to have several instances and cannot be copied
auto not_copyable(const std::string& what) -> UsageError;

/// The next instance of a prototype: a copy, or for the last one the prototype itself.
/// @throws UsageError  it is not the last and cannot be copied
template <class T>
TENSAIR_COLD auto instance_of(std::optional<T>& prototype, bool last, const plan::Operator& op) -> T {
  if (last) {
    T instance = std::move(*prototype);
    prototype.reset();
    return instance;
  }
  if constexpr (std::copy_constructible<T>) {
    return *prototype;
  } else {
    throw not_copyable(op.title());
  }
}

}  // namespace tensair::operators
