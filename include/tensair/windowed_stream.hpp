#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <tensair/operators/aggregate.hpp>
#include <tensair/operators/chain.hpp>
#include <tensair/operators/count.hpp>
#include <tensair/operators/count_window.hpp>
#include <tensair/operators/key_window.hpp>
#include <tensair/operators/mean.hpp>
#include <tensair/operators/min_max.hpp>
#include <tensair/operators/reduce.hpp>
#include <tensair/operators/sliding_window.hpp>
#include <tensair/operators/sum.hpp>
#include <tensair/operators/top_k.hpp>
#include <tensair/operators/window.hpp>
#include <utility>

namespace tensair {

template <class T, class SomeChain>
class Stream;
template <class K, class T, class SomeChain, class F, class Lifetime>
class KeyedStream;

namespace operators {

/// What is known of an operator's windows from their type.
template <class W>
struct WindowKind;
/// Windows of time.
template <class W>
struct TimeWindowKind {
  static constexpr bool processing_time = false, counts = false;
  template <class Parts, class Next>
  using OfKeys = std::conditional_t<window_looks_ahead<Parts>, AheadKeyWindowStage<W, Parts, Next>,
                                    KeyWindowStage<W, Parts, Next>>;
  template <class Parts, class Next>
  using Stage = std::conditional_t<Parts::Trigger::is_early || std::same_as<W, SessionWindows>, OfKeys<Parts, Next>,
                                   SlidingWindowStage<W, Parts, Next>>;
  template <class K, class A>
  using Output = typename WindowOutput<WindowResult, K, A>::type;
  template <class Parts>
  using Failed = Fails<FailedWindow<typename Parts::Key, typename Parts::State>>;
  static auto of(W windows) -> W { return windows; }
};
template <>
struct WindowKind<TumblingWindows> : TimeWindowKind<TumblingWindows> {};
template <>
struct WindowKind<SlidingWindows> : TimeWindowKind<SlidingWindows> {};
template <>
struct WindowKind<SessionWindows> : TimeWindowKind<SessionWindows> {};
template <>
struct WindowKind<CountWindows> {
  static constexpr bool processing_time = false, counts = true;
  template <class Parts, class Next>
  using Stage =
      std::conditional_t<Parts::processing_time, CountWindowStage<Parts, Next>, TimedCountWindowStage<Parts, Next>>;
  template <class K, class A>
  using Output = typename WindowOutput<KeyValue, K, A>::type;
  template <class Parts>
  using Failed = Fails<FailedKey<typename Parts::Key, typename Parts::State>, typename Parts::Record>;
  static auto of(CountWindows windows) -> CountWindows { return windows; }
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
  using Failed = typename WindowKind<W>::template Failed<Parts>;
  /// Where records are kept as they are, only what is called at the end can fail.
  using FailedRecord = std::conditional_t<keeps_records<typename Parts::A>, Fails<>, typename Parts::Record>;

  W windows;
  Parts parts;

  template <class Next>
  auto bind(Next next) && -> typename WindowKind<W>::template Stage<Parts, Next> {
    return {WindowKind<W>::of(windows), std::move(parts), std::move(next)};
  }
};

/// Late records are dropped.
struct NoLateSink {};

/// What is said of windows besides their kind.
template <class SomeLateSink, class SomeTrigger>
struct WindowSettings {
  using LateSink = SomeLateSink;
  using Trigger = SomeTrigger;

  LateSink late{};
  [[no_unique_address]] Trigger trigger{};
  std::chrono::microseconds lateness{0};
  bool discarding = false;
};

/// Where the late records of a window go, with this sink for them.
template <class T, class LateSink>
using LateRecords = std::conditional_t<std::same_as<LateSink, NoLateSink>, DropLate, SendLate<T>>;

}  // namespace operators

namespace detail {

// Ends the stream of an operator's late records, if there is one, in a sink.
template <class T, class LateSink>
auto late_records(const std::shared_ptr<plan::Graph>& graph, const std::shared_ptr<plan::Operator>& op, LateSink sink)
    -> operators::LateRecords<T, LateSink> {
  if constexpr (std::same_as<LateSink, operators::NoLateSink>) {
    return operators::DropLate{op};
  } else {
    using Head = operators::ForkHead<T, true, EventTime>;
    auto point = std::make_shared<operators::ForkPoint<T, EventTime>>();
    auto late = graph->add("late", operators::stream_type<T>(), op->placement);
    late->input = op->id;
    late->edge = plan::Edge::fork;
    late->parallel = op->parallel;
    Stream<T, operators::Chain<Head, operators::NoBinder>>(graph, late, {Head{point}, {}}).sink(std::move(sink));
    return operators::SendLate<T>{op, point};
  }
}

}  // namespace detail

/// The windows of a stream: what `window(…)` returns. An operator on it emits a `WindowResult<K, V>` for each key and
/// window that has records, when the watermark has passed the window's end; those of a window in no particular order,
/// before those of later windows if all windows have the same length. (Windows of numbers of records: a `KeyValue<K,
/// V>`, when there are as many. See `tumbling_count`.)
///
/// A record is late when the watermark has passed the end of its last window, and the allowed lateness is over: it is
/// dropped and counted (`--json` has the number under `counts`), or goes to the sink given with `late`.
template <class Keyed, class W, class LateSink = operators::NoLateSink, class Trigger = operators::AtEndOfWindow>
class WindowedStream {
 public:
  using key_type = typename Keyed::key_type;
  using value_type = typename Keyed::value_type;

 private:
  using K = key_type;
  using T = value_type;
  using Kind = operators::WindowKind<W>;
  using Settings = operators::WindowSettings<LateSink, Trigger>;

 public:
  WindowedStream(Keyed keyed, W windows, Settings settings = {})
      : keyed_(std::move(keyed)), windows_(windows), settings_(std::move(settings)) {}

  /// Windows are kept for so long after their end: a record that comes in that time is added, and the window's result
  /// emitted again, with its new value.
  ///
  /// @code
  /// clicks.key_by(&Click::page).window(tensair::tumbling(10s)).allowed_lateness(1min).count().sink(print);
  /// @endcode
  /// @throws UsageError  the lateness is negative, or more than a thousand years
  auto allowed_lateness(std::chrono::microseconds lateness) && -> WindowedStream {
    static_assert(!Kind::processing_time, "nothing is late in processing time");
    static_assert(!Kind::counts, "a window of a number of records is full once and for all: no allowed_lateness");
    settings_.lateness = operators::checked_lateness(lateness);
    return std::move(*this);
  }

  /// Records that are late go to a sink, on node 0, with their event time as a second argument if it takes one.
  ///
  /// @code
  /// clicks.key_by(&Click::page).window(tensair::tumbling(10s)).late(print).count().sink(print);
  /// @endcode
  template <class S>
  auto late(S sink) && {
    static_assert(!Kind::processing_time, "nothing is late in processing time");
    static_assert(std::invocable<S&, T> || std::invocable<S&, T, EventTime>,
                  "late(sink): the sink takes a record of the stream in front of the window");
    using Late = operators::WindowSettings<S, Trigger>;
    return WindowedStream<Keyed, W, S, Trigger>(
        std::move(keyed_), windows_,
        Late{std::move(sink), settings_.trigger, settings_.lateness, settings_.discarding});
  }

  /// Windows emit early: a key's window also after every `records` records that it has got. Its later results have all
  /// of its records, unless it is `discarding`. What it emits early has the same time, `window.last()`.
  ///
  /// An early result costs a state for each key and window, also where windows overlap: a record is then added to each.
  /// @throws UsageError  records is 0
  ///
  /// @code
  /// clicks.key_by(&Click::page).window(tensair::tumbling(1h)).early(1'000).count().sink(print);
  /// @endcode
  auto early(std::uint64_t records) && {
    if (records == 0) throw UsageError("early(0)", "after window", "Give 1 record or more.");
    return with_trigger(operators::EveryRecords{records});
  }
  /// The same on each record.
  ///
  /// @code
  /// clicks.key_by(&Click::page).window(tensair::tumbling(1h)).early(tensair::each_record).count().sink(print);
  /// @endcode
  auto early(EachRecord) && { return std::move(*this).early(1); }
  /// The same when `time` of the node's clock has passed since the first record that no result has. Exact to a turn of
  /// the task, about a millisecond.
  ///
  /// @code
  /// clicks.key_by(&Click::page).window(tensair::tumbling(1h)).early(1s).count().sink(print);
  /// @endcode
  /// @throws UsageError  the time is not positive, or more than a thousand years
  auto early(std::chrono::microseconds time) && {
    if (time <= time.zero() || time > std::chrono::hours{24 * 365 * 1'000})
      throw UsageError("early", "after window", "Give a time of more than nothing and of at most a thousand years.");
    return with_trigger(operators::EveryTime{time});
  }

  /// A window's result has only records that none of its early ones had; if there are none it emits nothing.
  ///
  /// @code
  /// clicks.key_by(&Click::page).window(tensair::tumbling(1h)).early(1'000).discarding().count().sink(print);
  /// @endcode
  auto discarding() && -> WindowedStream {
    static_assert(Trigger::is_early, "discarding() says what becomes of early results: call early(…) first");
    settings_.discarding = true;
    return std::move(*this);
  }

  /// Adds up the records of each key and window.
  /// @param aggregate  see `Aggregate`
  ///
  /// @code
  /// readings.key_by(&Reading::sensor).window(tensair::tumbling(1h)).aggregate(Spread{});  // see Aggregate
  /// @endcode
  /// @throws UserError  (stops the pipeline) when one of its functions throws
  template <Aggregate<T> A>
  auto aggregate(A aggregate) && {
    return apply("aggregate", std::move(aggregate));
  }
  /// The same of lambdas: a value to begin with, `add(value, record)`, `merge(value, other)`, `result(value)`.
  ///
  /// @code
  /// readings.key_by(&Reading::sensor)
  ///     .window(tensair::tumbling(1min))
  ///     .aggregate(0.0, [](double& squares, const Reading& one) { squares += one.celsius * one.celsius; },
  ///                [](double& squares, double others) { squares += others; },
  ///                [](double squares) { return std::sqrt(squares); });
  /// @endcode
  template <class Init, class Add, class Merge, class Result>
  auto aggregate(Init init, Add add, Merge merge, Result result) && {
    using Of = operators::AggregateOf<Init, Add, Merge, Result>;
    static_assert(Aggregate<Of, T>,
                  "aggregate takes a value, add(value, record), merge(value, other) and result(value)");
    return apply("aggregate", Of{std::move(init), std::move(add), std::move(merge), std::move(result)});
  }

  /// Folds the records of each key and window into one: the first, then `f(value, record)`; f must be associative.
  ///
  /// @code
  /// orders.key_by(&Order::customer).window(tensair::tumbling(24h)).reduce([](const Order& a, const Order& b) {
  ///   return a.cents < b.cents ? b : a;
  /// });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class R>
  requires std::convertible_to<std::invoke_result_t<R&, T, const T&>, T>
  auto reduce(R f) && {
    static_assert(!is_view<T>, "reduce keeps records, and these only refer to something: make them own it first");
    return apply("reduce", operators::Reduce<T, R>{std::move(f)});
  }

  /// Counts the records.
  ///
  /// @code
  /// clicks.key_by(&Click::page).window(tensair::sliding(1min, 1s)).count().sink(print);
  /// @endcode
  auto count() && { return apply("count", operators::Count{}); }
  /// Adds up `f(record)`, or the records: see `KeyedStream::sum`.
  ///
  /// @code
  /// orders.key_by(&Order::customer).window(tensair::tumbling(24h)).sum(&Order::cents).sink(print);
  /// @endcode
  template <class V = std::identity>
  auto sum(V f = {}) && {
    return apply("sum", operators::Sum<T, V>{std::move(f)});
  }
  /// The least `f(record)`, or record.
  ///
  /// @code
  /// readings.key_by(&Reading::sensor).window(tensair::sliding(1h, 1min)).min(&Reading::celsius).sink(print);
  /// @endcode
  template <class V = std::identity>
  auto min(V f = {}) && {
    return apply("min", operators::Extreme<T, V, std::less<>>{std::move(f)});
  }
  /// The greatest `f(record)`, or record.
  ///
  /// @code
  /// readings.key_by(&Reading::sensor).window(tensair::sliding(1h, 1min)).max(&Reading::celsius).sink(print);
  /// @endcode
  template <class V = std::identity>
  auto max(V f = {}) && {
    return apply("max", operators::Extreme<T, V, std::greater<>>{std::move(f)});
  }
  /// The arithmetic mean of `f(record)`, or of the records.
  ///
  /// @code
  /// readings.key_by(&Reading::sensor).window(tensair::sliding(1h, 1min)).mean(&Reading::celsius).sink(print);
  /// @endcode
  template <class V = std::identity>
  auto mean(V f = {}) && {
    return apply("mean", operators::Mean<T, V>{std::move(f)});
  }
  /// The n records with the greatest `by(record)`, greatest first.
  ///
  /// @code
  /// orders.window(tensair::tumbling(1h)).top_k(10, &Order::cents).sink(print);  // of all customers
  /// @endcode
  /// @throws UsageError  n is 0
  template <class V = std::identity>
  auto top_k(std::size_t n, V by = {}) && {
    static_assert(!is_view<T>, "top_k keeps records, and these only refer to something: make them own it first");
    if (n == 0) throw UsageError("top_k(0)", "after window", "Give 1 or more.");
    return apply("top_k", operators::TopK<T, V>{n, std::move(by)});
  }

  /// Calls `f(key, window, records, emit)` with all records of a key and window, a `std::span<const T>`, in the order
  /// in which they came (in sliding windows: by slice); it emits with `emit(Out)`. Keeps every record until then. (Of
  /// windows of numbers of records: `f(key, records, emit)`.)
  ///
  /// @code
  /// clicks.key_by(&Click::user)
  ///     .window(tensair::session(30min))
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
  template <class Early>
  auto with_trigger(Early trigger) {
    static_assert(!Trigger::is_early, "windows have one trigger: call early(…) once");
    static_assert(!Kind::counts, "a window of a number of records emits when it is full: no early results");
    using Triggered = operators::WindowSettings<LateSink, Early>;
    return WindowedStream<Keyed, W, LateSink, Early>(
        std::move(keyed_), windows_,
        Triggered{std::move(settings_.late), trigger, settings_.lateness, settings_.discarding});
  }

  template <class A>
  auto apply(std::string kind, A aggregate) {
    return std::move(keyed_).apply_window(std::move(kind), windows_, std::move(aggregate), std::move(settings_));
  }

  Keyed keyed_;
  W windows_;
  Settings settings_;
};

}  // namespace tensair
