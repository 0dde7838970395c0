#pragma once

#include <concepts>
#include <optional>
#include <stop_token>
#include <tensair/runtime/node.hpp>
#include <type_traits>
#include <utility>

namespace tensair {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

namespace detail {

template <class F>
auto generate(F& f, const std::stop_token& stop) {
  if constexpr (std::invocable<F&, std::stop_token>) {
    return f(stop);
  } else if constexpr (std::invocable<F&>) {
    return f();
  }
}

template <class F>
using Generated = decltype(generate(std::declval<F&>(), std::stop_token{}));

}  // namespace detail

/// A lambda that returns `std::optional<T>`: a record, or nothing when the stream has ended. It takes no argument, or a
/// `std::stop_token` that tells a lambda that waits when the run has failed, or is drained, and it should end.
template <class F>
concept Generating = is_optional<detail::Generated<F>>;

/// A source that emits what a lambda returns until it returns nothing, on node 0. What `pipeline.source(lambda)` makes.
/// The lambda may wait for its input: it has a thread of its own. One that may wait for long takes a `std::stop_token`:
/// the run ends only when the lambda has returned.
///
/// @code
/// std::mutex mutex;
/// std::condition_variable_any changed;
/// std::deque<std::string> jobs;
/// pipeline.source([&](std::stop_token stop) -> std::optional<std::string> {
///   std::unique_lock lock{mutex};
///   if (!changed.wait(lock, stop, [&] { return !jobs.empty(); })) return std::nullopt;
///   auto job = std::move(jobs.front());
///   jobs.pop_front();
///   return job;
/// });
/// @endcode
template <Generating F>
class Generator {
 public:
  using value_type = typename detail::Generated<F>::value_type;
  static constexpr bool occupies_thread = true;

  explicit Generator(F f) : f_(std::move(f)) {}

  void open(runtime::Node& node) { stop_ = node.stop_token(); }
  auto next() -> std::optional<value_type> { return detail::generate(f_, stop_); }

 private:
  F f_;
  std::stop_token stop_;
};

}  // namespace tensair
