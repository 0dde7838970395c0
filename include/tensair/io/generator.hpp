#pragma once

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

namespace tensair {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// A lambda without arguments that returns `std::optional<T>`: a record, or nothing when the stream has ended.
template <class F>
concept Generating = std::invocable<F&> && is_optional<std::invoke_result_t<F&>>;

/// A source that emits what a lambda returns until it returns nothing, on node 0. What `pipeline.source(lambda)` makes.
/// The lambda may wait for its input: it has a thread of its own.
template <Generating F>
class Generator {
 public:
  using value_type = typename std::invoke_result_t<F&>::value_type;
  static constexpr bool occupies_thread = true;

  explicit Generator(F f) : f_(std::move(f)) {}

  auto next() -> std::optional<value_type> { return f_(); }

 private:
  F f_;
};

}  // namespace tensair
