#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <tensair/operators/aggregate.hpp>
#include <tensair/operators/count.hpp>
#include <tensair/operators/mean.hpp>
#include <tensair/operators/min_max.hpp>
#include <tensair/operators/reduce.hpp>
#include <tensair/operators/session_window.hpp>
#include <tensair/operators/sliding_window.hpp>
#include <tensair/operators/sum.hpp>
#include <tensair/operators/top_k.hpp>
#include <tensair/operators/window.hpp>
#include <utility>

namespace tensair {

template <class K, class T, class SomeChain, class F, class Lifetime>
class KeyedStream;

namespace operators {

/// What is known of an operator's windows from their type.
template <class W>
struct WindowKind;
template <>
struct WindowKind<TumblingWindows> {
  static constexpr bool processing_time = false;
  template <class Parts, class Next>
  using Stage = SlidingWindowStage<TumblingWindows, Parts, Next>;
  static auto of(TumblingWindows windows) -> TumblingWindows { return windows; }
};
template <>
struct WindowKind<SlidingWindows> {
  static constexpr bool processing_time = false;
  template <class Parts, class Next>
  using Stage = SlidingWindowStage<SlidingWindows, Parts, Next>;
  static auto of(SlidingWindows windows) -> SlidingWindows { return windows; }
};
template <>
struct WindowKind<SessionWindows> {
  static constexpr bool processing_time = false;
  template <class Parts, class Next>
  using Stage = SessionWindowStage<Parts, Next>;
  static auto of(SessionWindows windows) -> SessionWindows { return windows; }
};
template <class W>
struct WindowKind<ProcessingTimeWindows<W>> : WindowKind<W> {
  static constexpr bool processing_time = true;
  static auto of(ProcessingTimeWindows<W> windows) -> W { return windows.windows; }
};

template <class W>
concept is_window = requires {
  WindowKind<W>::processing_time;
};

/// The operator before it is bound to the stage behind it.
template <class W, class Parts>
struct WindowOperator {
  using StampBehind = std::conditional_t<Parts::processing_time, Untimed, EventTime>;

  W windows;
  Parts parts;

  template <class Next>
  auto bind(Next next) && -> typename WindowKind<W>::template Stage<Parts, Next> {
    return {WindowKind<W>::of(windows), std::move(parts), std::move(next)};
  }
};

/// Late records are dropped.
struct NoLateSink {};

}  // namespace operators

/// The windows of a stream: what `window(…)` returns. An operator on it emits a `WindowResult<K, V>` for each key and
/// window that has records, when the watermark has passed the window's end; those of a window in no particular order,
/// before those of later windows if all windows have the same length.
///
/// A record is late when the watermark has passed the end of its last window, and the allowed lateness is over: it is
/// dropped and counted (`--json` has the number under `counts`), or goes to the sink given with `late`.
template <class Keyed, class W, class LateSink = operators::NoLateSink>
class WindowedStream {
 public:
  using key_type = typename Keyed::key_type;
  using value_type = typename Keyed::value_type;

 private:
  using K = key_type;
  using T = value_type;

 public:
  WindowedStream(Keyed keyed, W windows, LateSink late = {})
      : keyed_(std::move(keyed)), windows_(windows), late_(std::move(late)) {}

  /// Windows are kept for so long after their end: a record that comes in that time is added, and the window's result
  /// emitted again, with its new value.
  /// @throws UsageError  the lateness is negative, or more than a thousand years
  auto allowed_lateness(std::chrono::microseconds lateness) && -> WindowedStream {
    static_assert(!operators::WindowKind<W>::processing_time, "nothing is late in processing time");
    if (lateness < lateness.zero() || lateness > std::chrono::hours{24 * 365 * 1'000})
      throw UsageError("allowed_lateness", "after window", "Give a time of 0 to a thousand years.");
    lateness_ = lateness;
    return std::move(*this);
  }

  /// Records that are late go to a sink, on node 0, with their event time as a second argument if it takes one.
  ///
  /// @code
  /// clicks.key_by(&Click::page).window(tensair::tumbling(10s)).late([](const Click& click) { … }).count();
  /// @endcode
  template <class S>
  auto late(S sink) && {
    static_assert(!operators::WindowKind<W>::processing_time, "nothing is late in processing time");
    static_assert(std::invocable<S&, T> || std::invocable<S&, T, EventTime>,
                  "late(sink): the sink takes a record of the stream in front of the window");
    auto stream = WindowedStream<Keyed, W, S>(std::move(keyed_), windows_, std::move(sink));
    stream.lateness_ = lateness_;
    return stream;
  }

  /// Adds up the records of each key and window.
  /// @param aggregate  see `Aggregate`
  /// @throws UserError  (stops the pipeline) when one of its functions throws
  template <Aggregate<T> A>
  auto aggregate(A aggregate) && {
    return apply("aggregate", std::move(aggregate));
  }
  /// The same of lambdas: a value to begin with, `add(value, record)`, `merge(value, other)`, `result(value)`.
  template <class Init, class Add, class Merge, class Result>
  auto aggregate(Init init, Add add, Merge merge, Result result) && {
    using Of = operators::AggregateOf<Init, Add, Merge, Result>;
    static_assert(Aggregate<Of, T>,
                  "aggregate takes a value, add(value, record), merge(value, other) and result(value)");
    return apply("aggregate", Of{std::move(init), std::move(add), std::move(merge), std::move(result)});
  }

  /// Folds the records of each key and window into one: the first, then `f(value, record)`; f must be associative.
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class R>
  requires std::convertible_to<std::invoke_result_t<R&, T, const T&>, T>
  auto reduce(R f) && {
    static_assert(!is_view<T>, "reduce keeps records, and these only refer to something: make them own it first");
    return apply("reduce", operators::Reduce<T, R>{std::move(f)});
  }

  /// Counts the records.
  auto count() && { return apply("count", operators::Count{}); }
  /// Adds up `f(record)`, or the records: see `KeyedStream::sum`.
  template <class V = std::identity>
  auto sum(V f = {}) && {
    return apply("sum", operators::Sum<T, V>{std::move(f)});
  }
  /// The least `f(record)`, or record.
  template <class V = std::identity>
  auto min(V f = {}) && {
    return apply("min", operators::Extreme<T, V, std::less<>>{std::move(f)});
  }
  /// The greatest `f(record)`, or record.
  template <class V = std::identity>
  auto max(V f = {}) && {
    return apply("max", operators::Extreme<T, V, std::greater<>>{std::move(f)});
  }
  /// The arithmetic mean of `f(record)`, or of the records.
  template <class V = std::identity>
  auto mean(V f = {}) && {
    return apply("mean", operators::Mean<T, V>{std::move(f)});
  }
  /// The n records with the greatest `by(record)`, greatest first.
  /// @throws UsageError  n is 0
  template <class V = std::identity>
  auto top_k(std::size_t n, V by = {}) && {
    static_assert(!is_view<T>, "top_k keeps records, and these only refer to something: make them own it first");
    if (n == 0) throw UsageError("top_k(0)", "after window", "Give 1 or more.");
    return apply("top_k", operators::TopK<T, V>{n, std::move(by)});
  }

  /// Calls `f(key, window, records, emit)` with all records of a key and window, a `std::span<const T>`, in the order
  /// in which they came (in sliding windows: by slice); it emits with `emit(Out)`. Keeps every record until then.
  ///
  /// @code
  /// clicks.key_by(&Click::user).window(tensair::session(30min))
  ///     .process<int>([](const std::string&, const tensair::Window&, std::span<const Click> visit, auto emit) {
  ///       emit(static_cast<int>(visit.size()));
  ///     });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class Out, class P>
  auto process(P f) && {
    static_assert(!is_view<T>, "process keeps records, and these only refer to something: make them own it first");
    return apply("process", operators::CollectRecords<T, Out, P>{std::move(f)});
  }

 private:
  template <class, class, class>
  friend class WindowedStream;

  template <class A>
  auto apply(std::string kind, A aggregate) {
    return std::move(keyed_).apply_window(std::move(kind), windows_, std::move(aggregate), lateness_, std::move(late_));
  }

  Keyed keyed_;
  W windows_;
  LateSink late_;
  std::chrono::microseconds lateness_{0};
};

}  // namespace tensair
