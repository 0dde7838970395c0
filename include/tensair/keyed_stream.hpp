#pragma once

#include <algorithm>
#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <tensair/drift/detect.hpp>
#include <tensair/joined_streams.hpp>
#include <tensair/key_value.hpp>
#include <tensair/lookup_streams.hpp>
#include <tensair/mistake.hpp>
#include <tensair/operators/aggregate.hpp>
#include <tensair/operators/chain.hpp>
#include <tensair/operators/count.hpp>
#include <tensair/operators/distinct.hpp>
#include <tensair/operators/inspect.hpp>
#include <tensair/operators/key_by.hpp>
#include <tensair/operators/mean.hpp>
#include <tensair/operators/measure.hpp>
#include <tensair/operators/min_max.hpp>
#include <tensair/operators/pre_window.hpp>
#include <tensair/operators/process.hpp>
#include <tensair/operators/reduce.hpp>
#include <tensair/operators/sum.hpp>
#include <tensair/operators/top_k.hpp>
#include <tensair/operators/with_state.hpp>
#include <tensair/windowed_stream.hpp>
#include <type_traits>
#include <utility>

namespace tensair {

template <class T, class SomeChain>
class Stream;
template <class K, class T, class SomeChain, class F, class Lifetime>
class KeyedStream;
template <class Keyed, class Collate>
class KeyedModelStream;

namespace detail {
struct DefaultCollate;

template <class T>
inline constexpr bool is_keyed = false;
template <class K, class T, class SomeChain, class F, class Lifetime>
inline constexpr bool is_keyed<KeyedStream<K, T, SomeChain, F, Lifetime>> = true;
}  // namespace detail

/// A stream whose records have keys: what `stream.key_by(f)` returns. Operators on it keep state for each key, and all
/// records of a key meet in one of the operator's instances, whichever node they come from.
///
/// Order: records of a key that come from one instance in front of `key_by` stay in order; those of different instances
/// mix. Keys are shared out among all nodes and, with `.parallel(n)`, n instances on each; a pipeline of one instance
/// on one node exchanges nothing and is one loop.
///
/// Most operators emit `KeyValue<K, V>`. If `f` returns a `std::string_view`, K is one too: it then refers to the
/// operator's state, and what keeps it longer must copy it (`collect`, channels and batches do).
template <class K, class T, class SomeChain, class F, class Lifetime = operators::Forever>
class KeyedStream {
  using Function = operators::KeyFunction<F, Lifetime>;

 public:
  using key_type = K;
  using value_type = T;
  using Stamp = typename SomeChain::Stamp;
  /// Whether records have event time.
  static constexpr bool timed = operators::is_timed<Stamp>;
  /// Whether there is a time to live.
  static constexpr bool expires = std::same_as<Lifetime, operators::TimeToLive>;

  KeyedStream(Stream<T, SomeChain> stream, F f, Lifetime lifetime = {})
      : stream_(std::move(stream)), f_(std::move(f)), lifetime_(lifetime), parallel_(stream_.op_->parallel) {}

  /// The keyed operators have n instances on every node.
  ///
  /// @code
  /// clicks.key_by(&Click::user).parallel(4).count().sink(print);
  /// @endcode
  /// @throws UsageError  n is not at least 1
  auto parallel(int n) && -> KeyedStream {
    if (n < 1) throw UsageError("parallel(" + std::to_string(n) + ")", "after key_by", "Give 1 or more.");
    parallel_ = n;
    return std::move(*this);
  }
  /// The same with one instance for each worker thread of a node: strong nodes keep more keys.
  auto parallel() && -> KeyedStream {
    parallel_ = 0;
    return std::move(*this);
  }
  /// Keys are kept on node `node` alone, or on the nodes with a label: see `Stream::on`.
  /// @throws UsageError  before anything starts: there is no such node
  auto on(net::Rank node) && -> KeyedStream {
    where_ = node;
    return std::move(*this);
  }
  auto on(std::string label) && -> KeyedStream {
    where_ = std::move(label);
    return std::move(*this);
  }
  /// Names `key_by`: for errors, `--explain` and reports.
  ///
  /// @code
  /// clicks.key_by(&Click::user).name("by user").count().sink(print);
  /// @endcode
  auto name(std::string label) && -> KeyedStream {
    label_ = std::move(label);
    return std::move(*this);
  }

  /// Says what becomes of a record whose key cannot be told, because `f` or the key's hash throws: see
  /// `Stream::on_error`. The key is then told twice.
  ///
  /// @code
  /// const auto sensor = [](std::string_view line) { return parse(line).sensor; };  // may throw
  /// log_lines.key_by(sensor).on_error(tensair::skip).count().sink(print);
  /// @endcode
  template <class Handling>
  auto on_error(Handling handling) && {
    auto op = stream_.follow("key", operators::stream_type<T>());
    op->label = label_;
    auto checked =
        stream_.template then<T>(op, operators::Inspect<operators::TellKey<F>>{op, {f_}}).on_error(std::move(handling));
    using Checked = typename decltype(checked)::chain_type;
    auto keyed = KeyedStream<K, T, Checked, F, Lifetime>(std::move(checked), std::move(f_), lifetime_);
    keyed.parallel_ = parallel_;
    keyed.where_ = std::move(where_);
    keyed.label_ = std::move(label_);
    return keyed;
  }

  /// A key's state is forgotten when the key has had no record for `duration` of the node's clock; its next record
  /// begins anew. Exact to a turn of the task, about a millisecond.
  ///
  /// @code
  /// clicks.key_by(&Click::user).time_to_live(24h).count().sink(print);
  /// @endcode
  /// @throws UsageError  the duration is not positive
  auto time_to_live(Duration duration) && {
    if (duration <= Duration::zero())
      throw UsageError("time_to_live", "after key_by", "Give a time to live of more than nothing.");
    auto keyed = KeyedStream<K, T, SomeChain, F, operators::TimeToLive>(std::move(stream_), std::move(f_), {duration});
    keyed.parallel_ = parallel_;
    keyed.where_ = std::move(where_);
    keyed.label_ = std::move(label_);
    return keyed;
  }

  /// Keeps one value a key and adds each record to it. Emits `KeyValue<K, result>`: the key's new value for each
  /// record, or with `at_end` every key's last value, once.
  /// @param aggregate  see `Aggregate`
  ///
  /// @code
  /// readings.key_by(&Reading::sensor).aggregate(Spread{}, tensair::at_end).sink(print);  // see Aggregate
  /// @endcode
  /// @throws UserError  (stops the pipeline) when one of its functions throws
  template <Aggregate<T> A, class When = EachRecord>
  auto aggregate(A aggregate, When when = {}) && {
    return apply_aggregate("aggregate", std::move(aggregate), when);
  }
  template <Aggregate<T> A, class When = EachRecord>
  auto aggregate(A aggregate, When when = {}) & {
    return use().aggregate(std::move(aggregate), when);
  }
  /// The same of lambdas: a value to begin with, `add(value, record)`, `merge(value, other)`, `result(value)`.
  ///
  /// @code
  /// readings.key_by(&Reading::sensor)
  ///     .aggregate(0.0, [](double& squares, const Reading& one) { squares += one.celsius * one.celsius; },
  ///                [](double& squares, double others) { squares += others; },
  ///                [](double squares) { return std::sqrt(squares); });
  /// @endcode
  template <class Init, class Add, class Merge, class Result, class When = EachRecord>
  auto aggregate(Init init, Add add, Merge merge, Result result, When when = {}) && {
    using Of = operators::AggregateOf<Init, Add, Merge, Result>;
    static_assert(Aggregate<Of, T>,
                  "aggregate takes a value, add(value, record), merge(value, other) and result(value)");
    return apply_aggregate("aggregate", Of{std::move(init), std::move(add), std::move(merge), std::move(result)}, when);
  }
  template <class Init, class Add, class Merge, class Result, class When = EachRecord>
  auto aggregate(Init init, Add add, Merge merge, Result result, When when = {}) & {
    return use().aggregate(std::move(init), std::move(add), std::move(merge), std::move(result), when);
  }

  /// Folds the records of a key into one: the first, then `f(value, record)`. With `at_end`, `f` must be associative.
  ///
  /// @code
  /// orders.key_by(&Order::customer).reduce([](const Order& a, const Order& b) { return a.cents < b.cents ? b : a; });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class R, class When = EachRecord>
  auto reduce(R f, When when = {}) && {
    constexpr bool fits = std::is_invocable_r_v<T, R&, T, const T&>;
    static_assert(fits, "reduce(f): f takes two records of this stream and returns one");
    static_assert(!is_view<T>, "reduce keeps records, and these only refer to something: make them own it first");
    if constexpr (fits) {
      return apply_aggregate("reduce", operators::Reduce<T, R>{std::move(f)}, when);
    } else {
      return detail::Mistake{};
    }
  }
  template <class R, class When = EachRecord>
  auto reduce(R f, When when = {}) & {
    return use().reduce(std::move(f), when);
  }

  /// Counts the records of each key.
  ///
  /// @code
  /// words.key_by(std::identity{}).count(tensair::at_end).sink(print);
  /// @endcode
  template <class When = EachRecord>
  auto count(When when = {}) && {
    return apply_aggregate("count", operators::Count{}, when);
  }
  template <class When = EachRecord>
  auto count(When when = {}) & {
    return use().count(when);
  }

  /// Adds up `f(record)` for each key, or the records themselves. Integers are added up in 64 bits, floating-point
  /// numbers in double precision, other types by their `+=`, from `V{}` on.
  ///
  /// @code
  /// orders.key_by(&Order::customer).sum(&Order::cents).sink(print);
  /// @endcode
  template <class V = std::identity, class When = EachRecord>
  auto sum(V f = {}, When when = {}) && {
    return apply_aggregate("sum", operators::Sum<T, V>{std::move(f)}, when);
  }
  template <class V = std::identity, class When = EachRecord>
  auto sum(V f = {}, When when = {}) & {
    return use().sum(std::move(f), when);
  }

  /// The least `f(record)` of each key, or the least record.
  ///
  /// @code
  /// readings.key_by(&Reading::sensor).min(&Reading::celsius).sink(print);
  /// @endcode
  template <class V = std::identity, class When = EachRecord>
  auto min(V f = {}, When when = {}) && {
    return apply_aggregate("min", operators::Extreme<T, V, std::less<>>{std::move(f)}, when);
  }
  template <class V = std::identity, class When = EachRecord>
  auto min(V f = {}, When when = {}) & {
    return use().min(std::move(f), when);
  }
  /// The greatest `f(record)` of each key, or the greatest record.
  ///
  /// @code
  /// readings.key_by(&Reading::sensor).max(&Reading::celsius, tensair::at_end).sink(print);
  /// @endcode
  template <class V = std::identity, class When = EachRecord>
  auto max(V f = {}, When when = {}) && {
    return apply_aggregate("max", operators::Extreme<T, V, std::greater<>>{std::move(f)}, when);
  }
  template <class V = std::identity, class When = EachRecord>
  auto max(V f = {}, When when = {}) & {
    return use().max(std::move(f), when);
  }

  /// The arithmetic mean of `f(record)` for each key, or of the records.
  ///
  /// @code
  /// readings.key_by(&Reading::sensor).mean(&Reading::celsius).sink(print);
  /// @endcode
  template <class V = std::identity, class When = EachRecord>
  auto mean(V f = {}, When when = {}) && {
    return apply_aggregate("mean", operators::Mean<T, V>{std::move(f)}, when);
  }
  template <class V = std::identity, class When = EachRecord>
  auto mean(V f = {}, When when = {}) & {
    return use().mean(std::move(f), when);
  }

  /// The n records of each key with the greatest `by(record)` (or the greatest records), greatest first, as a
  /// `std::vector<T>`. Of equal ones the earlier come first.
  ///
  /// @code
  /// orders.key_by(&Order::customer).top_k(3, &Order::cents, tensair::at_end).sink(print);
  /// @endcode
  /// @throws UsageError  n is 0
  template <class V = std::identity, class When = EachRecord>
  auto top_k(std::size_t n, V by = {}, When when = {}) && {
    static_assert(!is_view<T>, "top_k keeps records, and these only refer to something: make them own it first");
    if (n == 0) throw UsageError("top_k(0)", "after key_by", "Give 1 or more.");
    return apply_aggregate("top_k", operators::TopK<T, V>{n, std::move(by)}, when);
  }
  template <class V = std::identity, class When = EachRecord>
  auto top_k(std::size_t n, V by = {}, When when = {}) & {
    return use().top_k(n, std::move(by), when);
  }

  /// Passes on the first record of each key.
  ///
  /// @code
  /// clicks.key_by(&Click::user).time_to_live(24h).distinct().sink(print);
  /// @endcode
  auto distinct() && {
    return apply<T>("distinct",
                    [](auto, auto function) { return operators::Distinct<K, Function>{std::move(function)}; });
  }
  auto distinct() & { return use().distinct(); }

  /// Each record becomes `f(state, record)`, with a state of type S for each key, which begins as `S{}`.
  ///
  /// @code
  /// readings.key_by(&Reading::sensor).with_state<double>([](double& last, const Reading& one) {
  ///   return one.celsius - std::exchange(last, one.celsius);
  /// });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class S, class M>
  auto with_state(M f) && {
    constexpr bool fits = std::invocable<M&, S&, T>;
    static_assert(fits, "with_state<S>(f): f takes a state S& and a record of this stream");
    if constexpr (fits) {
      using Out = std::remove_cvref_t<std::invoke_result_t<M&, S&, T>>;
      return apply<Out>("with_state", [&](auto op, auto function) {
        return operators::WithState<K, Function, S, M>{std::move(op), std::move(function), std::move(f)};
      });
    } else {
      return detail::Mistake{};
    }
  }
  template <class S, class M>
  auto with_state(M f) & {
    return use().template with_state<S>(std::move(f));
  }

  /// Measures what was true against what was predicted, for each key by itself: see `Stream::measure`. Emits
  /// `KeyValue<K, Measurement>`; a key with records since its last measurement has one more at the end, unless its time
  /// to live was over.
  ///
  /// @code
  /// forecasts.key_by(&Forecast::sensor).measure({.every = 100}, tensair::metrics::MeanAbsoluteError{}).sink(print);
  /// @endcode
  /// @throws UserError  (stops the pipeline) when a metric does not take a record
  template <class... M>
  auto measure(MeasureOptions options, M... metrics) && {
    return std::move(*this).template measure_as<true>(options, std::move(metrics)...);
  }
  template <class... M>
  auto measure(MeasureOptions options, M... metrics) & {
    return use().measure(options, std::move(metrics)...);
  }

  /// Calls a function with state and timers for each key, which emits what it wants: see `ProcessFunction` and
  /// `ProcessContext`.
  ///
  /// @code
  /// /// Emits a user when nothing has come from it for half an hour.
  /// struct Gone {
  ///   struct State { tensair::EventTime last{}; };
  ///   using Output = std::string;
  ///   using Context = tensair::ProcessContext<std::string, Output>;
  ///
  ///   void operator()(const Click&, State& state, Context& context) {
  ///     context.cancel(state.last + 30min);
  ///     state.last = std::max(state.last, context.time());
  ///     context.at(state.last + 30min);
  ///   }
  ///   void on_event_time(tensair::EventTime, State&, Context& context) {
  ///     context.emit(context.key());
  ///     context.forget();
  ///   }
  /// };
  /// clicks.key_by(&Click::user).process(Gone{}).sink(print);
  /// @endcode
  /// @throws UserError  (stops the pipeline) when one of its functions throws
  template <class P>
  auto process(P process) && {
    constexpr bool fits = ProcessFunction<P, K, T>;
    static_assert(fits, "process(p): p has State and Output and is called as p(record, state, context)");
    if constexpr (fits) {
      constexpr bool has_time = timed || !operators::has_event_timers<P, K>;
      static_assert(has_time,
                    "a process function with on_event_time needs event time: call assign_timestamps before key_by");
      if constexpr (has_time) {
        return apply<typename P::Output>("process", [&](auto op, auto function) {
          return operators::Process<K, T, Stamp, Function, P>{std::move(op), std::move(function), std::move(process)};
        });
      } else {
        return detail::Mistake{};
      }
    } else {
      return detail::Mistake{};
    }
  }
  template <class P>
  auto process(P function) & {
    return use().process(std::move(function));
  }

  /// Watches `f(record)`, a number, or the records themselves, with a drift detector for each key, and emits a
  /// `Drift<K>` when it signals: how many values the key has had, the time, the key and the test's statistic. What is
  /// watched can be a loss, an error (1 or 0), an input, or a confidence where no labels come. Include the detector:
  /// `<tensair/drift/adwin.hpp>`.
  ///
  /// @code
  /// readings.key_by(&Reading::sensor).detect(tensair::adwin{.delta = 0.01}, &Reading::celsius).sink(print);
  /// @endcode
  /// @throws UsageError  a parameter of the detector is outside its range
  /// @throws UserError   (stops the pipeline) when `f` throws, or the detector refuses the value: see its header
  template <class P, class V = std::identity>
  auto detect(P parameters, V f = {}, DetectOptions options = {}) && {
    constexpr bool is_detector = drift::Parameters<P>;
    static_assert(is_detector,
                  "detect(d, f): d is a drift detector's parameters, such as adwin{} or optwin{.rho = 0.1}");
    if constexpr (is_detector) {
      constexpr bool fits = std::is_invocable_r_v<double, V&, const T&>;
      static_assert(fits, "detect(d, f): f takes a record of this stream and returns a number");
      if constexpr (fits) {
        using Process = operators::Detect<K, T, P, V>;
        auto process = Process{std::move(parameters), std::move(f), options};
        return apply<typename Process::Output>("detect", [&](auto op, auto function) {
          return operators::Process<K, T, Stamp, Function, Process>{std::move(op), std::move(function),
                                                                    std::move(process)};
        });
      } else {
        return detail::Mistake{};
      }
    } else {
      return detail::Mistake{};
    }
  }
  template <class P, class V = std::identity>
  auto detect(P parameters, V f = {}, DetectOptions options = {}) & {
    return use().detect(std::move(parameters), std::move(f), options);
  }

  /// Joins the records of this stream with those of another that have the same key. What is returned says which pairs:
  /// `.between(lower, upper)` or all, and `.with(f)` what becomes of a pair. See `JoinedStreams`.
  ///
  /// @code
  /// orders.key_by(&Order::id)
  ///     .join(payments.key_by(&Payment::order))
  ///     .between(0s, 30min)
  ///     .with([](const Order& order, const Payment& payment) { return order.cents - payment.cents; });
  /// @endcode
  template <class Other>
  auto join(Other&& other) && {
    constexpr bool fits = can_meet<std::remove_cvref_t<Other>>();
    if constexpr (fits) {
      auto right = as_side(std::forward<Other>(other));
      return JoinedStreams<KeyedStream, decltype(right)>(std::move(*this), std::move(right));
    } else {
      return detail::Mistake{};
    }
  }
  template <class Other>
  auto join(Other&& other) & {
    return use().join(std::forward<Other>(other));
  }

  /// Looks up each record's key in a table, which is what another stream says last of each key: `f(record, row)` gets
  /// the row by pointer, null if there is none. See `LookupStreams` for what else can be said.
  ///
  /// @code
  /// clicks.key_by(&Click::user).lookup(profiles.key_by(&Profile::user), [](const Click& click, const Profile* who) {
  ///   return std::pair(click.page, who ? who->country : "?");
  /// });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class Table>
  auto lookup(Table&& table) && {
    auto other = as_side(std::forward<Table>(table));
    return LookupStreams<KeyedStream, decltype(other)>(std::move(*this), std::move(other));
  }
  template <class Table>
  auto lookup(Table&& table) & {
    return use().lookup(std::forward<Table>(table));
  }
  template <class Table, class Look>
  auto lookup(Table&& table, Look f) && {
    return std::move(*this).lookup(std::forward<Table>(table)).with(std::move(f));
  }
  template <class Table, class Look>
  auto lookup(Table&& table, Look f) & {
    return use().lookup(std::forward<Table>(table), std::move(f));
  }
  template <class Table, class Look>
  auto lookup(Table&& table, AsOfEventTime, Look f) && {
    return std::move(*this).lookup(std::forward<Table>(table)).as_of_event_time().with(std::move(f));
  }
  template <class Table, class Look>
  auto lookup(Table&& table, AsOfEventTime when, Look f) & {
    return use().lookup(std::forward<Table>(table), when, std::move(f));
  }

  /// Sorts the records of each key into windows, by event time or in `processing_time`: see `tumbling`, `sliding`,
  /// `session`, `tumbling_count`, `sliding_count`, and `WindowedStream` for what may follow.
  ///
  /// @code
  /// clicks.key_by(&Click::page).window(tensair::tumbling(10s)).count().sink(print);
  /// @endcode
  template <class W>
  auto window(W windows) && {
    constexpr bool is_window = operators::is_window<W>;
    static_assert(is_window,
                  "window(w): w is tumbling(…), sliding(…), session(…), tumbling_count(…) or sliding_count(…), or "
                  "processing_time of one");
    if constexpr (is_window) {
      using Kind = operators::WindowKind<W>;
      constexpr bool has_time = Kind::processing_time || Kind::counts || SomeChain::timed;
      static_assert(
          has_time,
          "a window in event time needs event time: call assign_timestamps first, or window(processing_time(…))");
      static_assert(!expires, "a window says itself how long state is kept: no time_to_live");
      if constexpr (!has_time || expires) {
        return detail::Mistake{};
      } else if constexpr (Kind::counts && !SomeChain::timed && !Kind::processing_time) {
        return std::move(*this).window(processing_time(windows));
      } else {
        if (!Kind::processing_time) refuse_in_loop("a window in event time");
        return WindowedStream<KeyedStream, W>(std::move(*this), windows);
      }
    } else {
      return detail::Mistake{};
    }
  }
  template <class W>
  auto window(W windows) & {
    return use().window(windows);
  }

  /// Sends the stream to a model that learns from labels which come later, by key: see `KeyedModelStream::train_on`.
  /// (`<tensair/model/keyed_model_stream.hpp>`)
  ///
  /// @code
  /// visits.key_by(&Visit::id).model(net).train_on(purchases.key_by(&Purchase::visit), &Purchase::bought);
  /// @endcode
  template <class Handle>
  auto model(const Handle& net) && -> KeyedModelStream<KeyedStream, detail::DefaultCollate> {
    return {std::move(*this), net, {}};
  }
  template <class Handle>
  auto model(const Handle& net) & {
    return use().model(net);
  }
  /// The same with the function that makes tensors of records: see `Stream::model`.
  template <class Handle, class Collate>
  auto model(const Handle& net, Collate collate) && -> KeyedModelStream<KeyedStream, Collate> {
    return {std::move(*this), net, std::move(collate)};
  }
  template <class Handle, class Collate>
  auto model(const Handle& net, Collate collate) & {
    return use().model(net, std::move(collate));
  }

 private:
  template <class, class>
  friend class KeyedModelStream;
  template <class, class>
  friend class Stream;
  template <class, class, class, class>
  friend class WindowedStream;

  auto use() & {
    auto stream = stream_.use();
    using Chain = typename decltype(stream)::chain_type;
    auto keyed = KeyedStream<K, T, Chain, F, Lifetime>(std::move(stream), f_, lifetime_);
    keyed.parallel_ = parallel_;
    keyed.where_ = where_;
    keyed.label_ = label_;
    return keyed;
  }
  template <class, class, class, class, class>
  friend class KeyedStream;

  // Whether another stream can be the other one of an operator with two.
  template <class Other>
  static constexpr auto can_meet() -> bool {
    static_assert(detail::is_keyed<Other>, "the other stream has no keys: call key_by on it too");
    if constexpr (detail::is_keyed<Other>) {
      constexpr bool same_key = std::same_as<Owned<K>, Owned<typename Other::key_type>>;
      static_assert(same_key, "both streams must have keys of one type: let key_by convert those of one side");
      return same_key;
    }
    return false;
  }

  // The other stream of an operator with two: one that has a name is used once more.
  template <class Other>
  static auto as_side(Other&& other) {
    if constexpr (std::is_lvalue_reference_v<Other>) {
      return other.use();
    } else {
      return std::move(other);
    }
  }

  // This stream as an input of an operator with two, and how that one finds its keys.
  auto side() {
    auto key = stream_.follow("key_by", operators::stream_type<T>());
    key->label = label_;
    auto route = operators::ByKey<F>{{key, f_}};
    return std::pair(
        operators::TwoInputSide<SomeChain, T, operators::ByKey<F>>{std::move(stream_.chain_), key, std::move(route)},
        operators::JoinSide<T, Function>{Function{key, std::move(f_), lifetime_}});
  }

  // The stream of an operator with two inputs, `make(op, left, right)`, and of `make_last(op)` behind it.
  template <class Out, class OutStamp, class Right, class Make, class MakeLast>
  auto two_inputs(std::string kind, Right right, Make make, MakeLast make_last) && {
    auto [left_input, left_side] = side();
    auto [right_input, right_side] = right.side();
    auto op = stream_.graph_->add(std::move(kind), operators::stream_type<Out>(), plan::Placement::every_node);
    op->input = left_input.from->id;
    op->more_inputs = {right_input.from->id};
    op->edge = plan::Edge::key;
    op->compression = left_input.from->compression;
    const bool by_workers = parallel_ == 0 || right.parallel_ == 0;
    op->parallel = by_workers ? 0 : std::max(parallel_, right.parallel_);
    op->where = std::holds_alternative<std::monostate>(where_) ? std::move(right.where_) : std::move(where_);
    op->loop = std::max(left_input.from->loop, right_input.from->loop);
    auto first = make(op, std::move(left_side), std::move(right_side));
    using Head = operators::TwoInputHead<decltype(left_input), decltype(right_input), decltype(first), true, OutStamp>;
    using Chain = operators::Chain<Head, operators::NoBinder>;
    auto chain = Chain{Head{std::move(left_input), std::move(right_input), op, std::move(first)}, {}};
    auto longer = std::move(chain).then(make_last(op));
    return Stream<Out, decltype(longer)>(stream_.graph_, op, std::move(longer));
  }

  // The same of a join: `f(left record, right record)` is behind it.
  template <operators::Unmatched emitted, class OutStamp, class Right, class Combine, class Make>
  auto join_with(std::string kind, Right right, Combine f, Make make) && {
    using U = typename Right::value_type;
    if constexpr (operators::JoinFunction<Combine, emitted, T, U>) {  // else whoever calls this has said so
      using Out = operators::JoinResult<Combine, emitted, T, U>;
      static_assert(!std::is_void_v<Out>, "with(f): f returns what becomes of records that meet");
      return std::move(*this).template two_inputs<Out, OutStamp>(
          std::move(kind), std::move(right), std::move(make), [&](auto op) {
            return operators::Combine<emitted, Combine>{std::move(op), std::move(f)};
          });
    } else {
      return detail::Mistake{};
    }
  }
  template <class, class>
  friend class JoinedStreams;
  template <class, class>
  friend class IntervalJoinedStreams;
  template <class, class, class, bool>
  friend class LookupStreams;
  template <class, class, class, operators::Unmatched, class, class>
  friend class WindowJoinedStreams;

  auto graph() const -> const std::shared_ptr<plan::Graph>& { return stream_.graph_; }

  void refuse_in_loop(const std::string& what) const {
    if (stream_.op_->loop >= 0)
      throw UsageError(what + " in a loop", "after " + stream_.op_->title(),
                       "A loop has no event time and ends last: emit when a record comes.");
  }

  // The operator key_by itself, and what a keyed operator is built with.
  auto key_op() {
    auto op = stream_.follow("key_by", operators::stream_type<T>());
    op->label = label_;
    op->parallel = parallel_;
    op->where = where_;
    return op;
  }

  auto follow(const plan::Operator& key_op, std::string kind, std::string output) {
    auto op = stream_.graph_->add(std::move(kind), std::move(output), plan::Placement::every_node);
    op->input = key_op.id;
    op->edge = plan::Edge::fused;
    op->parallel = parallel_;
    op->loop = key_op.loop;
    op->compression = key_op.compression;
    return op;
  }

  /// The stream behind a keyed operator: `make(op, Function)` is the operator, which takes records of type T.
  template <class Out, class Make>
  TENSAIR_COLD auto apply(std::string kind, Make make) {
    auto key = key_op();
    auto function = Function{key, std::move(f_), lifetime_};
    auto chain =
        operators::exchange<T>(std::move(stream_.chain_), stream_.op_, key, operators::ByKey<F>{{key, function.f}});
    auto op = follow(*key, std::move(kind), operators::stream_type<Out>());
    auto longer = std::move(chain).template then<T>(make(op, std::move(function)));
    return Stream<Out, decltype(longer)>(stream_.graph_, op, std::move(longer));
  }

  template <class W, class A, class Settings>
  auto apply_window(std::string kind, W windows, A aggregate, Settings settings) && {
    constexpr bool drops_late = std::same_as<typename Settings::LateSink, operators::NoLateSink>;
    using Late = operators::LateRecords<T, typename Settings::LateSink>;
    using Kind = operators::WindowKind<W>;
    using Out = typename Kind::template Output<K, A>;
    using Parts = operators::WindowParts<K, T, Function, A, Late, typename Settings::Trigger, Kind::processing_time>;
    constexpr bool in_two_steps = drops_late && !Kind::processing_time && !Settings::Trigger::is_early &&
                                  operators::adds_in_front<W, A, T> && std::copy_constructible<F>;
    auto graph = stream_.graph_;
    const auto make = [&](auto op, auto function) {
      op->detail = Kind::of(windows).describe();
      auto late = detail::late_records<T>(graph, op, std::move(settings.late));
      return operators::WindowOperator<W, Parts>{
          windows, Parts{op, std::move(function), std::move(aggregate), std::move(late), settings.lateness,
                         settings.trigger, settings.discarding}};
    };
    if constexpr (in_two_steps) {
      return apply_in_two_steps<Out>("window " + kind, windows, settings.lateness, aggregate, make);
    } else {
      return apply<Out>("window " + kind, make);
    }
  }

  /// The same for windows that take parts of values as well: each instance in front adds up what it sees.
  template <class Out, class W, class A, class Make>
  auto apply_in_two_steps(std::string kind, W windows, std::chrono::microseconds lateness, A aggregate, Make make) {
    using Part = operators::WindowPartial<K, operators::AggregateState<A>>;
    if constexpr (!net::Encodable<Owned<Part>>) {
      return apply<Out>(std::move(kind), std::move(make));
    } else {
      using Route = decltype(&Part::key);
      auto key = key_op();
      auto function = Function{key, std::move(f_), lifetime_};
      auto front =
          std::move(stream_.chain_)
              .then(operators::PreWindow<K, Function, W, A>{function, windows, lateness, std::move(aggregate)});
      auto chain =
          operators::exchange<Part>(std::move(front), stream_.op_, key, operators::ByKey<Route>{{key, &Part::key}});
      auto op = follow(*key, std::move(kind), operators::stream_type<Out>());
      auto longer = std::move(chain).then(make(op, std::move(function)));
      return Stream<Out, decltype(longer)>(stream_.graph_, op, std::move(longer));
    }
  }

  // Without keys among the measurements if all records have the same.
  template <bool Keyed, class... M>
  auto measure_as(MeasureOptions options, M... metrics) && {
    constexpr bool tells = metrics::detail::Told<T>;
    static_assert(tells,
                  "measure(options, metrics…): records have members truth and prediction, or are pairs of the two");
    if constexpr (tells) {
      using Truth = metrics::detail::TruthOf<T>;
      using Prediction = metrics::detail::PredictionOf<T>;
      constexpr bool fits = sizeof...(M) > 0 && (metrics::Metric<M, Truth, Prediction> && ...);
      static_assert(fits,
                    "measure(options, metrics…): a metric does not take what these records have as truth and "
                    "prediction");
      if constexpr (fits) {
        refuse_in_loop("measure");
        using Out = std::conditional_t<Keyed, KeyValue<K, Measurement>, Measurement>;
        return apply<Out>("measure", [&](auto op, auto function) {
          op->detail = (std::string{} + ... + (metrics.name() + ", "));
          op->detail.resize(op->detail.size() - 2);
          return operators::Measure<K, Stamp, Keyed, Function, std::tuple<M...>>{
              std::move(op), std::move(function), options, {std::move(metrics)...}};
        });
      } else {
        return detail::Mistake{};
      }
    } else {
      return detail::Mistake{};
    }
  }

  template <class A>
  auto apply_aggregate(std::string kind, A aggregate, EachRecord) {
    using Out = KeyValue<K, operators::AggregateResult<A>>;
    return apply<Out>(std::move(kind), [&](auto op, auto function) {
      return operators::AggregateByKey<K, Function, A>{std::move(op), std::move(function), std::move(aggregate)};
    });
  }

  template <class A>
  auto apply_aggregate(std::string kind, A aggregate, AtEnd) {
    static_assert(std::copy_constructible<A> && std::copy_constructible<F>,
                  "at_end adds up on both sides of an exchange, so its functions must be copyable");
    static_assert(std::same_as<Lifetime, operators::Forever>, "at_end keeps every key until the end: no time_to_live");
    refuse_in_loop("at_end");
    using Out = KeyValue<K, operators::AggregateResult<A>>;
    using Partial = operators::Partial<K, operators::AggregateState<A>>;
    auto key = key_op();
    auto function = Function{key, std::move(f_)};
    using Route = decltype(&Partial::key);
    auto whole = std::make_shared<operators::AtEndOperator>();
    auto front =
        std::move(stream_.chain_).then(operators::PreAggregate<K, Function, A, Stamp>{whole, function, aggregate});
    auto chain =
        operators::exchange<Partial>(std::move(front), stream_.op_, key, operators::ByKey<Route>{{key, &Partial::key}});
    auto op = whole->op = follow(*key, std::move(kind), operators::stream_type<Out>());
    auto longer = std::move(chain).then(operators::AggregateAtEnd<T, K, Function, A, Stamp>{
        std::move(whole), std::move(function), std::move(aggregate)});
    return Stream<Out, decltype(longer)>(stream_.graph_, op, std::move(longer));
  }

  Stream<T, SomeChain> stream_;
  F f_;
  [[no_unique_address]] Lifetime lifetime_;
  int parallel_;  // 0: as many as there are workers
  Where where_{};
  std::string label_;
};

}  // namespace tensair
