#pragma once

#include <concepts>
#include <iterator>
#include <tensair/operators/event_time.hpp>
#include <type_traits>
#include <utility>

// What functions the operators of a stream take.

namespace tensair {

/// A function from records of type T to something.
template <class F, class T>
concept Mapping = std::move_constructible<F> && std::invocable<F&, T> && !std::is_void_v<std::invoke_result_t<F&, T>>;

/// A function from records of type T to yes or no.
template <class F, class T>
concept Predicate = std::move_constructible<F> && std::predicate<F&, const T&>;

/// A function from records of type T to something that tells them apart.
template <class F, class T>
concept Tagging = std::move_constructible<F> && std::invocable<F&, const T&> &&
    std::equality_comparable<std::remove_cvref_t<std::invoke_result_t<F&, const T&>>>;

namespace detail {

using std::begin;
template <class Range>
auto begin_of(Range& range) -> decltype(begin(range));

/// What a range is over. (The header `<ranges>` has a word for it, and costs each unit half a second.)
template <class Range>
using RangeValue = std::iter_value_t<decltype(begin_of(std::declval<Range&>()))>;

}  // namespace detail

/// A function from records of type T to a range: each element becomes a record.
template <class F, class T>
concept Expansion = std::move_constructible<F> && std::invocable<F&, T> && requires {
  typename detail::RangeValue<std::invoke_result_t<F&, T>>;
};

/// A place where records of type T end: a function, or an object that may also have `open(node)`, `flush()`,
/// `finish()`, `blocked()`, `deadline()` with `tick(now)`, and `watermark(EventTime)` (see `operators::SinkStage`).
/// Where records have event time (Stamp is `EventTime`), it may take that as a second argument.
template <class K, class T, class Stamp = operators::Untimed>
concept Sink = std::move_constructible<K> &&
    (std::invocable<K&, T> || (operators::is_timed<Stamp> && std::invocable<K&, T, EventTime>));

}  // namespace tensair
