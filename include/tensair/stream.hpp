#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <tensair/collected.hpp>
#include <tensair/compression.hpp>
#include <tensair/concepts.hpp>
#include <tensair/iteration.hpp>
#include <tensair/keyed_stream.hpp>
#include <tensair/mistake.hpp>
#include <tensair/operators/assign_timestamps.hpp>
#include <tensair/operators/async_map.hpp>
#include <tensair/operators/batch.hpp>
#include <tensair/operators/batch_within.hpp>
#include <tensair/operators/broadcast_join.hpp>
#include <tensair/operators/chain.hpp>
#include <tensair/operators/guard.hpp>
#include <tensair/operators/inspect.hpp>
#include <tensair/operators/merge.hpp>
#include <tensair/operators/project.hpp>
#include <tensair/operators/two_inputs.hpp>
#include <tensair/runtime/node.hpp>
#include <tensair/split_stream.hpp>
#include <utility>
#include <vector>

namespace tensair {

template <class T, class SomeChain>
class ModelStream;
template <class T, class SomeChain, class Collate>
class CollatedModelStream;
class ModelHandle;

/// A stream of records of type T, as far as it has been written down: nothing flows before `Pipeline::run`.
///
/// A stream is used by calling an operator on it. `stream.map(f).filter(g)` fuses the two into one loop; a stream that
/// has a name may be used more than once, and every use then gets every record. Streams move and do not copy: `auto s =
/// …;` carries the chain of operators in its type.
///
/// @code
/// auto words = pipeline.source(tensair::lines("book.txt")).flat_map(split);
/// words.filter([](const std::string& word) { return word.size() > 9; }).sink(print);
/// words.key_by(std::identity{}).count(tensair::at_end).sink(print);
/// @endcode
template <class T, class SomeChain>
class Stream {
 public:
  using value_type = T;
  using chain_type = SomeChain;

  Stream(std::shared_ptr<plan::Graph> graph, std::shared_ptr<plan::Operator> op, SomeChain chain)
      : graph_(std::move(graph)), op_(std::move(op)), chain_(std::move(chain)), compression_(op_->compression) {}
  Stream(Stream&&) = default;
  auto operator=(Stream&&) -> Stream& = default;
  /// Use the stream itself once more, or move it.
  Stream(const Stream&) = delete;
  auto operator=(const Stream&) -> Stream& = delete;
  ~Stream() = default;

  /// Each record becomes `f(record)`.
  ///
  /// @code
  /// words.map([](const std::string& word) { return word.size(); }).sink(print);
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class F>
  auto map(F f) && {
    constexpr bool fits = Mapping<F, T>;
    static_assert(fits, "map(f): f takes a record of this stream and returns what becomes of it");
    if constexpr (fits) {
      using Out = std::remove_cvref_t<std::invoke_result_t<F&, T>>;
      auto op = follow("map", operators::stream_type<Out>());
      return then<Out>(op, operators::Map<F>{op, std::move(f)});
    } else {
      return detail::Mistake{};
    }
  }
  template <class F>
  auto map(F f) & {
    return use().map(std::move(f));
  }

  /// Keeps the records for which `keep(record)` is true.
  ///
  /// @code
  /// readings.filter([](const Reading& one) { return one.celsius > 40; }).sink(print);
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `keep` throws
  template <class F>
  auto filter(F keep) && {
    constexpr bool fits = Predicate<F, T>;
    static_assert(fits, "filter(keep): keep takes a record of this stream and returns true or false");
    if constexpr (fits) {
      auto op = follow("filter", operators::stream_type<T>());
      return then<T>(op, operators::Filter<F>{op, std::move(keep)});
    } else {
      return detail::Mistake{};
    }
  }
  template <class F>
  auto filter(F keep) & {
    return use().filter(std::move(keep));
  }

  /// Each record becomes every element of the range `f(record)`, in order.
  ///
  /// @code
  /// log_lines.flat_map(split).sink(print);
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class F>
  auto flat_map(F f) && {
    constexpr bool fits = Expansion<F, T>;
    static_assert(fits, "flat_map(f): f takes a record of this stream and returns a range, such as a std::vector");
    if constexpr (fits) {
      return expand<detail::RangeValue<std::invoke_result_t<F&, T>>>(std::move(f));
    } else {
      return detail::Mistake{};
    }
  }
  template <class F>
  auto flat_map(F f) & {
    return use().flat_map(std::move(f));
  }

  /// Each record becomes everything that `f(record, emit)` passes to `emit(Out)`; makes no container.
  ///
  /// @code
  /// log_lines.flat_map<std::string_view>([](std::string_view line, auto emit) {
  ///   for (std::size_t n; (n = line.find(',')) != line.npos; line.remove_prefix(n + 1)) emit(line.substr(0, n));
  ///   emit(line);
  /// });
  /// @endcode
  template <class Out, class F>
  auto flat_map(F f) && {
    return expand<Out>(std::move(f));
  }
  template <class Out, class F>
  auto flat_map(F f) & {
    return use().template flat_map<Out>(std::move(f));
  }

  /// Each record becomes what `f(record, reply)` answers later: it calls `reply(value)` or `reply.fail("why")` on the
  /// `Reply<Out>` it is given, now or from another thread, and must not block. A bounded number of calls is under way.
  /// @throws UserError   (stops the pipeline) when `f` throws or fails, or does not answer in time; the record's number
  ///                     counts those that reached this operator on that node
  /// @throws UsageError  when the concurrency is 0
  ///
  /// @code
  /// words.async_map<std::string>(
  ///     [](const std::string& word, tensair::Reply<std::string> reply) {
  ///       translator.ask(word, [reply](std::string answer) { reply(std::move(answer)); });
  ///     },
  ///     {.concurrency = 64, .timeout = 1s});
  /// @endcode
  template <class Out, class F>
  auto async_map(F f, AsyncOptions options = {}) && {
    constexpr bool fits = std::invocable<F&, Owned<T>, Reply<Out>>;
    static_assert(fits, "async_map<Out>(f): f takes a record and a Reply<Out>");
    if constexpr (fits) {
      if (options.concurrency == 0)
        throw UsageError("async_map without calls under way", "after " + op_->title(),
                         "Its concurrency is at least 1.");
      auto op = follow("async_map", operators::stream_type<Out>());
      using Stamp = typename SomeChain::Stamp;
      return then<Out>(op, operators::AsyncMap<T, Stamp, Out, F>{op, std::move(f), options});
    } else {
      return detail::Mistake{};
    }
  }
  template <class Out, class F>
  auto async_map(F f, AsyncOptions options = {}) & {
    return use().template async_map<Out>(std::move(f), options);
  }

  /// Groups n records in order into a `Batch<T>`; the last one may be shorter.
  ///
  /// @code
  /// readings.batch(100).sink([](const tensair::Batch<Reading>& some) { std::printf("%zu more\n", some.size()); });
  /// @endcode
  /// @throws UsageError  when n is 0
  auto batch(std::size_t n) && {
    if (n == 0) throw UsageError("batch(0)", "after " + op_->title(), "A batch holds at least one record.");
    using Kept = Batch<Owned<T>>;
    auto op = follow("batch", operators::stream_type<Kept>());
    return then<Kept>(op, operators::BatchOf<T, typename SomeChain::Stamp>{n, op->loop >= 0});
  }
  auto batch(std::size_t n) & { return use().batch(n); }
  /// The same by size, by time, or by whichever comes first: see `BatchOptions`.
  ///
  /// @code
  /// readings.batch({.size = 100, .within = 10ms}).sink([](const tensair::Batch<Reading>& some) {
  ///   std::printf("%zu more\n", some.size());
  /// });
  /// @endcode
  /// @throws UsageError  the size is 0, the time is not positive, or neither is given
  auto batch(BatchOptions options) && {
    using Kept = Batch<Owned<T>>;
    options = operators::checked(options, "after " + op_->title());
    auto op = follow("batch", operators::stream_type<Kept>());
    return then<Kept>(op, operators::BatchWithin<T, typename SomeChain::Stamp>{options, op->loop >= 0});
  }
  auto batch(BatchOptions options) & { return use().batch(options); }

  /// Gives each record its event time, `f(record)` (any time of the system clock; kept in microseconds), which windows
  /// and timers work with; the strategy says how watermarks follow from it. See `WatermarkStrategy`.
  ///
  /// @code
  /// clicks.assign_timestamps([](const Click& click) { return click.when; },
  ///                          tensair::bounded_out_of_orderness(5s).idle_after(10s).at_most_ahead(1h));
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class F, class Advance = operators::Monotonous>
  auto assign_timestamps(F f, WatermarkStrategy<Advance> strategy = {}) && {
    constexpr bool fits = operators::Timing<F, T>;
    static_assert(fits, "assign_timestamps(f): f takes a record of this stream and returns a time of the system clock");
    if constexpr (fits) {
      auto op = follow("assign_timestamps", operators::stream_type<T>());
      return then<T>(op, operators::AssignTimestamps<F, Advance>{op, std::move(f), std::move(strategy)});
    } else {
      return detail::Mistake{};
    }
  }
  template <class F, class Advance = operators::Monotonous>
  auto assign_timestamps(F f, WatermarkStrategy<Advance> strategy = {}) & {
    return use().assign_timestamps(std::move(f), std::move(strategy));
  }

  /// Gives each record a key, `f(record)`, and sends it to the instance that keeps that key; operators on the keyed
  /// stream have state for each key. `f` may be a pointer to a member. See `KeyedStream`.
  ///
  /// @code
  /// clicks.key_by(&Click::user).count().sink(print);
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` or the key's hash throws
  template <class F>
  auto key_by(F f) && {
    constexpr bool fits = Keying<F, T>;
    static_assert(fits, "key_by(f): f takes a record of this stream and returns its key, which has == and a std::hash");
    if constexpr (fits) {
      using K = std::remove_cvref_t<std::invoke_result_t<F&, const T&>>;
      return KeyedStream<K, T, SomeChain, F>(std::move(*this), std::move(f));
    } else {
      return detail::Mistake{};
    }
  }
  template <class F>
  auto key_by(F f) & {
    return use().key_by(std::move(f));
  }

  /// Sorts the records of all nodes into windows, which are kept in one instance: see `KeyedStream::window`. The key
  /// of the results is `AllKeys::all`.
  ///
  /// @code
  /// clicks.assign_timestamps(&Click::when).window(tensair::sliding(1min, 1s)).count().sink(print);
  /// @endcode
  template <class W>
  auto window(W windows) && {
    return std::move(*this).key_by(operators::ToAllKeys{}).parallel(1).window(windows);
  }
  template <class W>
  auto window(W windows) & {
    return use().window(windows);
  }

  /// Watches the records of all nodes with one drift detector, in one instance: see `KeyedStream::detect`. The key of
  /// the results is `AllKeys::all`.
  ///
  /// @code
  /// readings.detect(tensair::optwin{.rho = 0.1}, &Reading::celsius, {.warnings = true}).sink(print);
  /// @endcode
  template <class P, class V = std::identity>
  auto detect(P parameters, V f = {}, DetectOptions options = {}) && {
    return std::move(*this)
        .key_by(operators::ToAllKeys{})
        .parallel(1)
        .detect(std::move(parameters), std::move(f), options);
  }
  template <class P, class V = std::identity>
  auto detect(P parameters, V f = {}, DetectOptions options = {}) & {
    return use().detect(std::move(parameters), std::move(f), options);
  }

  /// One stream of the records of this one and others of the same type: all of each in order, mixed as they come. The
  /// watermark is that of the slowest.
  ///
  /// @code
  /// auto hot = readings.filter([](const Reading& one) { return one.celsius > 40; });
  /// auto cold = readings.filter([](const Reading& one) { return one.celsius < -30; });
  /// hot.merge(std::move(cold)).sink(print);
  /// @endcode
  template <class... U, class... Chains>
  auto merge(Stream<U, Chains>... others) && {
    constexpr bool same_type = (std::same_as<T, U> && ...);
    constexpr bool same_time = ((Chains::timed == SomeChain::timed) && ...);
    static_assert(same_type, "merge(others): all streams have records of one type; map those of the others to it");
    static_assert(same_time,
                  "streams with event time merge with such only: call assign_timestamps on all of them, or on none");
    if constexpr (same_type && same_time) {
      using Head = operators::MergeHead<T, SomeChain, Chains...>;
      auto op = follow("merge", operators::stream_type<T>());
      op->edge = plan::Edge::merge;
      op->placement = Head::everywhere ? plan::Placement::every_node : plan::Placement::first_node;
      (others.must_be_unused(), ...);
      (op->more_inputs.push_back(others.op_->id), ...);
      auto head = Head{{std::move(chain_), std::move(others.chain_)...}, {op_, others.op_...}, op};
      return Stream<T, operators::Chain<Head, operators::NoBinder>>(graph_, op, {std::move(head), {}});
    } else {
      return detail::Mistake{};
    }
  }
  template <class... U, class... Chains>
  auto merge(Stream<U, Chains>... others) & {
    return use().merge(std::move(others)...);
  }

  /// A loop: `body(loop)` is given a stream of this one's records and of those that go round, and returns an
  /// `Iteration{feedback, output}`: records of `feedback`, which have the type of this stream, go through the body
  /// again, and `output` goes on. The loop ends when the input has and nothing goes round any more, on any node. The
  /// body may have exchanges (`key_by`, `rebalance`, …) and more than one task; what it feeds back stays on its node.
  ///
  /// Other streams that the body needs are given to `iterate` and come to the body as arguments behind the first.
  ///
  /// Records that go round wait without a bound, so a loop never blocks itself; while any wait, no new input is taken.
  /// A body that makes more of each record faster than they leave needs the memory for them.
  ///
  /// There is no event time in a loop nor behind it: times of records in it are the library's, to find out when it has
  /// ended. In the body, operators emit when a record comes. `at_end` and windows in event time are refused; what a
  /// timer feeds back after the loop has ended is an error; a `batch` is shorter where else the loop would wait for it.
  ///
  /// @code
  /// struct Walk { long start, n, steps; };
  /// pipeline.source(std::vector<Walk>{{27, 27, 0}, {97, 97, 0}})
  ///     .iterate([](auto loop) {
  ///       auto walks = std::move(loop).map([](Walk w) {
  ///         return Walk{w.start, w.n % 2 == 0 ? w.n / 2 : 3 * w.n + 1, w.steps + 1};
  ///       });
  ///       return tensair::Iteration{walks.filter([](const Walk& w) { return w.n != 1; }),
  ///                                 walks.filter([](const Walk& w) { return w.n == 1; })};
  ///     })
  ///     .sink(print);
  /// @endcode
  /// @throws UsageError  a loop in a loop, or a feedback that does not come from this loop
  /// @throws Error       (stops the pipeline) when something is fed back after the loop has ended
  template <class Body, class... Others>
  auto iterate(Body body, Others&&... others) && {
    return detail::Loop::around(std::move(*this), std::move(body), std::forward<Others>(others)...);
  }
  template <class Body, class... Others>
  auto iterate(Body body, Others&&... others) & {
    return use().iterate(std::move(body), std::forward<Others>(others)...);
  }

  /// Shares the records out again, in turn, among all instances on all nodes.
  ///
  /// @code
  /// log_lines.rebalance().map(parse).sink(print);
  /// @endcode
  auto rebalance() && { return over<T>("rebalance", operators::InTurn<false>{}, op_->parallel); }
  auto rebalance() & { return use().rebalance(); }

  /// Each instance's records go on to the instance of the same number on the same node, in order, and the operators
  /// from here on are tasks of their own. Two costly operators, otherwise one loop, then run on two cores.
  ///
  /// @code
  /// log_lines.map(parse).forward().filter([](const Reading& one) { return one.celsius > 40; }).sink(print);
  /// @endcode
  auto forward() && { return over<T>("forward", operators::ToOwnTask{}, op_->parallel); }
  auto forward() & { return use().forward(); }

  /// Every instance on every node gets every record.
  ///
  /// @code
  /// rules.broadcast().inspect([](const Rule& rule) { std::puts(rule.country.c_str()); }).sink(tensair::discard());
  /// @endcode
  auto broadcast() && { return over<T>("broadcast", operators::ToAll{}, op_->parallel); }
  auto broadcast() & { return use().broadcast(); }

  /// Each record becomes `f(record, known)`, where `known` is a `const std::vector<Rule>&` of all records of another
  /// stream that have come until then. Every instance on every node gets all of these; this stream's records stay where
  /// they are. What comes before a rule does not wait for it. The rules need no event time.
  ///
  /// @code
  /// payments.broadcast_join(rules, [](const Payment& payment, const std::vector<Rule>& known) {
  ///   return std::pair(payment, std::ranges::any_of(known, [&](const Rule& rule) { return rule.forbids(payment); }));
  /// });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class Rules, class F>
  auto broadcast_join(Rules&& rules, F f) && {
    using State = std::vector<Owned<typename std::remove_cvref_t<Rules>::value_type>>;
    return std::move(*this).template inform<State>(std::forward<Rules>(rules), operators::KeepAll{}, std::move(f));
  }
  template <class Rules, class F>
  auto broadcast_join(Rules&& rules, F f) & {
    return use().broadcast_join(std::forward<Rules>(rules), std::move(f));
  }
  /// The same with a state of one's own, which begins as `State{}`: `update(State&, Rule)` is called with each record
  /// of the other stream, `f(record, const State&)` with those of this one. Each instance has a state of its own; with
  /// the same updates they are the same if the order of updates from different instances does not matter.
  ///
  /// @code
  /// using Limits = std::map<std::string, long>;
  /// payments.broadcast_join<Limits>(
  ///     rules, [](Limits& all, const Rule& one) { all[one.country] = one.most_cents; },
  ///     [](const Payment& payment, const Limits& all) { return all.contains(payment.country); });
  /// @endcode
  template <class State, class Rules, class Update, class F>
  auto broadcast_join(Rules&& rules, Update update, F f) && {
    static_assert(std::invocable<Update&, State&, typename std::remove_cvref_t<Rules>::value_type>,
                  "broadcast_join<State>(rules, update, f): update takes a State& and a record of the other stream");
    return std::move(*this).template inform<State>(std::forward<Rules>(rules), std::move(update), std::move(f));
  }
  template <class State, class Rules, class Update, class F>
  auto broadcast_join(Rules&& rules, Update update, F f) & {
    return use().template broadcast_join<State>(std::forward<Rules>(rules), std::move(update), std::move(f));
  }

  /// Calls `look(record)` for each record and passes it on as it is.
  ///
  /// @code
  /// readings.inspect([](const Reading& one) { if (one.celsius > 40) std::puts("hot"); }).sink(print);
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `look` throws
  template <class F>
  auto inspect(F look) && {
    constexpr bool fits = std::invocable<F&, const T&>;
    static_assert(fits, "inspect(look): look takes a record of this stream, to look at only");
    if constexpr (fits) {
      auto op = follow("inspect", operators::stream_type<T>());
      return then<T>(op, operators::Inspect<F>{op, std::move(look)});
    } else {
      return detail::Mistake{};
    }
  }
  template <class F>
  auto inspect(F look) & {
    return use().inspect(std::move(look));
  }

  /// Measures what was true against what was predicted: each record updates the metrics, and a `Measurement` of each is
  /// emitted every so many records and, if any came since, at the end. Records have members `truth` and `prediction`,
  /// and `weight` if they differ in it (such as `Outcome`), or are pairs of truth and prediction. Metrics are those of
  /// `<tensair/metrics.hpp>`, or one's own (see `metrics::Metric`), each over all records, `metrics::sliding` or
  /// `metrics::fading`.
  ///
  /// There is one instance, as of `window`: records of all nodes come to it, those of one node in order. What looks at
  /// all records alike (a matrix, an error's mean) has at the end the value that one node would have; what depends on
  /// their order (windows, fading, kappa-temporal) has that of the order in which they met.
  ///
  /// @code
  /// using namespace tensair::metrics;
  /// forecasts
  ///     .measure({.every = 1'000}, MeanAbsoluteError{}, sliding(1'000, R2{}), fading(0.999, RootMeanSquaredError{}))
  ///     .sink([](const tensair::Measurement& one) {
  ///       std::printf("%lu %s %.3f\n", one.index, one.name.c_str(), one.value);
  ///     });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when a metric does not take a record: a class below 0, a value that is NaN
  template <class... M>
  auto measure(MeasureOptions options, M... metrics) && {
    if constexpr (metrics::detail::Told<T> && !metrics::detail::is_outcome<T>) {
      // Only this goes to where the metrics are.
      return std::move(*this).map(metrics::detail::ToOutcome{}).measure(options, std::move(metrics)...);
    } else {
      return std::move(*this)
          .key_by(operators::ToAllKeys{})
          .parallel(1)
          .template measure_as<false>(options, std::move(metrics)...);
    }
  }
  template <class... M>
  auto measure(MeasureOptions options, M... metrics) & {
    return use().measure(options, std::move(metrics)...);
  }

  /// Each record becomes some of its members: one itself, several as a `std::tuple`.
  ///
  /// @code
  /// clicks.project(&Click::user, &Click::ad);  // a stream of std::tuple<std::string, long>
  /// @endcode
  template <class... Member>
  auto project(Member... members) && {
    constexpr bool fits =
        sizeof...(Member) > 0 && (std::is_member_pointer_v<Member> && ...) && (std::invocable<Member, const T&> && ...);
    static_assert(fits, "project(members…): each is a pointer to a member of this stream's records");
    if constexpr (fits) {
      auto pick = operators::Projection<Member...>{{members...}};
      using Out = std::remove_cvref_t<std::invoke_result_t<decltype(pick)&, const T&>>;
      auto op = follow("project", operators::stream_type<Out>());
      return then<Out>(op, operators::Map<decltype(pick)>{op, pick});
    } else {
      return detail::Mistake{};
    }
  }
  template <class... Member>
  auto project(Member... members) & {
    return use().project(members...);
  }

  /// Sorts the records into several streams by what `tag(record)` says: see `SplitStream`.
  ///
  /// @code
  /// auto by_currency = orders.split(&Order::currency);
  /// by_currency.output("EUR").sink(print);
  /// by_currency.output("USD").sink(print);
  /// @endcode
  template <class F>
  auto split(F tag) && {
    constexpr bool fits = Tagging<F, T>;
    static_assert(fits, "split(tag): tag takes a record of this stream and returns something that has ==");
    if constexpr (fits) {
      return SplitStream<T, SomeChain, F>(std::move(*this), std::move(tag));
    } else {
      return detail::Mistake{};
    }
  }
  template <class F>
  auto split(F tag) & {
    return use().split(std::move(tag));
  }

  /// From here on n parallel instances of the operators run on every node, as tasks of their own; without it there is
  /// one. Directly behind a source that can be split, the source itself is read by n tasks a node, each its part. Else
  /// records go in turn to all instances, unless there are as many in front.
  ///
  /// Instances are copies of the operators' lambdas: what one captures by value each has for itself, what it refers to
  /// is shared by threads.
  ///
  /// @code
  /// pipeline.source(tensair::lines(tensair::find_files("logs", "*.txt"))).parallel(4).map(parse).sink(print);
  /// @endcode
  /// @throws UsageError  n is not at least 1; before anything starts also: a lambda from here on cannot be copied
  auto parallel(int n) && {
    if (n < 1) throw UsageError("parallel(" + std::to_string(n) + ")", "after " + op_->title(), "Give 1 or more.");
    return in_parallel(n);
  }
  auto parallel(int n) & { return use().parallel(n); }
  /// The same with one instance for each worker thread of a node: more on strong nodes than on weak ones.
  auto parallel() && { return in_parallel(0); }
  auto parallel() & { return use().parallel(); }

  /// From here on the operators run on node `node` alone, or on those that have a label in the cluster file; directly
  /// behind a source, so does the source: it is then read where its data is. One that can be split is shared out among
  /// them, any other is read by each of them, for each has its own data. Sinks are there too, one on each node.
  /// Without it, records that come from many nodes are gathered on node 0 in front of a sink. A pipeline on one node
  /// runs there, whatever it says.
  ///
  /// @code
  /// pipeline.source(tensair::lines("readings.txt")).on("cold store").map(parse).batch(100).sink(print);
  /// @endcode
  /// @throws UsageError  before anything starts: there is no such node
  auto on(net::Rank node) && { return placed(Where{node}); }
  auto on(net::Rank node) & { return use().on(node); }
  auto on(std::string label) && { return placed(Where{std::move(label)}); }
  auto on(std::string label) & { return use().on(std::move(label)); }

  /// From here on, records that go to another node are compressed on their way there; what stays on its node is not,
  /// nor is what models exchange. Worth it where the network is slower than compressing: text becomes a half or so, at
  /// 150 to 300 MB/s a core. Without it `--compress` decides.
  ///
  /// @code
  /// log_lines.compress(tensair::compression::zstd).rebalance().map(parse).sink(print);
  /// @endcode
  /// @throws UsageError  the library was built without that method
  auto compress(enum compression method) && -> Stream {
    require_available(method, "compress after " + op_->title());
    compression_ = method;
    return std::move(*this);
  }
  auto compress(enum compression method) & { return use().compress(method); }

  /// Names the operator before: for errors, `--explain` and reports. Nodes compare names before they work together.
  ///
  /// @code
  /// log_lines.map(parse).name("parse").sink(print);
  /// @endcode
  auto name(std::string label) && -> Stream {
    op_->label = std::move(label);
    return std::move(*this);
  }

  /// Says what becomes of a record on which the operator before fails: its function throws, or, of a source, the record
  /// is bad. `skip` leaves it out, `dead_letter<T>(sink)` sends it to a sink with what was thrown, `stop` is what
  /// happens without `on_error`. Records that are skipped or sent away are counted in the run's figures. Nothing is
  /// paid for records that do not fail, except that with `dead_letter` a function that takes its record by value gets a
  /// copy.
  ///
  /// What an operator emitted before it threw has gone on. Errors of operators further down are not this one's, nor is
  /// what the key function throws: that is said behind `key_by`; of a sink, `sink` is told.
  ///
  /// The function of a window may fail at the window's end, that of `process` at a timer: then the window's result, or
  /// what the timer would have done, is left out, and others are to come. What a letter has for a record there,
  /// `dead_letter` says.
  ///
  /// @code
  /// const auto text = [](const tensair::DeadLetter<std::string>& bad) { return bad.record + " # " + bad.error; };
  /// pipeline.source(tensair::lines("readings.txt"))
  ///     .on_error(tensair::skip)  // lines that are too long
  ///     .map(parse)
  ///     .on_error(tensair::dead_letter<std::string>(tensair::to_lines("rejected.txt", text)))
  ///     .sink(print);
  /// @endcode
  auto on_error(Stop) && -> Stream { return std::move(*this); }
  auto on_error(Skip) && {
    constexpr bool fits = can_fail();
    if constexpr (fits) {
      op_->detail += op_->detail.empty() ? "skips errors" : ", skips errors";
      return guarded(operators::SkipHandler{op_});
    } else {
      return detail::Mistake{};
    }
  }
  template <class Record, class K>
  auto on_error(DeadLetters<Record, K> letters) && {
    constexpr bool can = can_fail();
    constexpr bool fits = can && operators::can_be_letter<SomeChain, Record>;
    static_assert(!can || fits,
                  "dead_letter<T>(sink): T is what the operator takes (of a source: std::string; of a window's result, "
                  "a timer or at_end see dead_letter, or use skip)");
    if constexpr (fits && DeadLetters<Record, K>::fits) {
      must_be_unused();
      return guarded(operators::LetterHandler<Record>{
          op_, detail::dead_letters<SomeChain::everywhere>(graph_, op_, std::move(letters))});
    } else {
      return detail::Mistake{};
    }
  }

  /// Ends the stream: calls `sink(record)` for each record, on node 0, from one thread, in order for records that were
  /// in order.
  ///
  /// @code
  /// words.sink([](const std::string& word) { std::puts(word.c_str()); });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `sink` throws
  template <class K>
  TENSAIR_COLD void sink(K sink) && {
    constexpr bool fits = Sink<K, T, typename SomeChain::Stamp>;
    static_assert(fits, "sink(sink): sink takes a record of this stream (and with event time, if it wants, its time)");
    if constexpr (fits) {
      end_in_sink([&](auto op) { return operators::SinkStage<K>(std::move(op), std::move(sink)); });
    }
  }
  template <class K>
  void sink(K sink) & {
    use().sink(std::move(sink));
  }
  /// The same, and says what becomes of a record on which the sink fails: `skip`, `dead_letter<T>(other)` or `stop`, as
  /// `on_error` does of other operators, with nothing to call it on behind a sink. It speaks of calls with a record.
  /// What tensair's own sinks report of files and servers (an `Error`: the disk is full) stops the pipeline all the
  /// same, as does what a sink throws when it is flushed or finished.
  ///
  /// @code
  /// const auto save = [](const Reading& one) { if (one.celsius < -273) throw std::domain_error("below zero"); };
  /// readings.sink(save, tensair::skip);
  /// @endcode
  template <class K, class Handling>
  TENSAIR_COLD void sink(K sink, Handling on_error) && {
    constexpr bool fits = Sink<K, T, typename SomeChain::Stamp>;
    static_assert(fits, "sink(sink): sink takes a record of this stream (and with event time, if it wants, its time)");
    constexpr bool handles = operators::SinkHandling<Handling>::known;
    static_assert(handles, "sink(sink, on_error): on_error is skip, dead_letter<T>(other) or stop");
    if constexpr (fits && handles) {
      constexpr bool can = operators::SinkHandling<Handling>::template can_take<T>;
      static_assert(can, "dead_letter<T>(sink): T is what the sink before it takes");
      constexpr bool keeps =
          !operators::SinkHandling<Handling>::keeps_record || Sink<K, const T&, typename SomeChain::Stamp>;
      static_assert(keeps, "a sink whose records may become dead letters takes them by value or const reference");
      if constexpr (can && keeps) {
        end_in_sink([&](auto op) {
          return guarded_sink(op, operators::SinkStage<K>(op, std::move(sink)), std::move(on_error));
        });
      }
    }
  }
  template <class K, class Handling>
  void sink(K sink, Handling on_error) & {
    use().sink(std::move(sink), std::move(on_error));
  }

  /// Ends the stream: keeps every record in memory, on node 0. For tests and small results.
  ///
  /// @code
  /// auto sizes = words.map([](const std::string& word) { return word.size(); }).collect();
  /// pipeline.run();
  /// for (const std::size_t size : sizes) std::printf("%zu\n", size);
  /// @endcode
  auto collect() && -> Collected<Owned<T>> {
    auto collected = Collected<Owned<T>>{};
    const auto keep = [records = collected.records_](T record) {
      records->push_back(OwnedRecord<T>::own(std::move(record)));
    };
    sink_on_first_node([&](auto op) { return operators::SinkStage(std::move(op), keep); });
    return collected;
  }
  auto collect() & -> Collected<Owned<T>> { return use().collect(); }

  /// Sends the stream to a model: `.train()`, `.predict()`, `.evaluate()` or `.validate(…)` says what for.
  /// (`<tensair/model/model.hpp>`)
  ///
  /// @code
  /// examples_of_flowers.batch(32).model(net).train();
  /// @endcode
  template <class Handle>
  auto model(const Handle& net) && -> ModelStream<T, SomeChain> {
    return {std::move(*this), net};
  }
  template <class Handle>
  auto model(const Handle& net) & {
    return use().model(net);
  }
  /// The same, with the function that makes tensors of records: `collate(std::span<const Record>)` returns a
  /// `TensorBatch`, a pair of input and target, or an input alone. Without it, a function of that name is looked for in
  /// the record's namespace.
  ///
  /// @code
  /// readings
  ///     .model(net, [](std::span<const Reading> some) {
  ///       std::vector<float> input;
  ///       for (const auto& one : some) input.push_back(static_cast<float>(one.celsius));
  ///       return torch::tensor(input).unsqueeze(1);
  ///     })
  ///     .predict()
  ///     .sink(print);
  /// @endcode
  template <class Handle, class Collate>
  auto model(const Handle& net, Collate collate) && -> CollatedModelStream<T, SomeChain, Collate> {
    return {std::move(*this), net, std::move(collate)};
  }
  template <class Handle, class Collate>
  auto model(const Handle& net, Collate collate) & {
    return use().model(net, std::move(collate));
  }

 private:
  template <class, class>
  friend class Stream;
  friend struct detail::UseOrMove;
  friend struct detail::Loop;
  template <class, class, class>
  friend class CollatedModelStream;
  template <class, class>
  friend class KeyedModelStream;
  template <class, class, class, class, class>
  friend class KeyedStream;

  TENSAIR_COLD auto follow(std::string kind, std::string output) const -> std::shared_ptr<plan::Operator> {
    must_be_unused();
    auto op = graph_->add(std::move(kind), std::move(output), op_->placement);
    op->input = op_->id;
    op->edge = forked_ ? plan::Edge::fork : plan::Edge::fused;
    op->parallel = op_->parallel;
    op->loop = op_->loop;
    op->compression = compression_;
    return op;
  }

  // Once the stream has been used by name, its chain has ended and cannot go on.
  void must_be_unused() const {
    if (!fork_) return;
    throw UsageError("a stream that has been used is moved into another use", "after " + op_->title(),
                     "Use it by its name each time: s.map(…), not std::move(s).map(…).");
  }

  template <class Out, class Last>
  TENSAIR_COLD auto then(std::shared_ptr<plan::Operator> op, Last last) {
    auto chain = std::move(chain_).template then<T>(std::move(last));
    return Stream<Out, decltype(chain)>(graph_, std::move(op), std::move(chain));
  }

  // The stream behind an exchange, with n instances a node.
  template <class Out, class Routing>
  TENSAIR_COLD auto over(std::string kind, Routing routing, int n) {
    auto op = follow(std::move(kind), operators::stream_type<Out>());
    op->parallel = n;
    auto chain = operators::exchange<Out>(std::move(chain_), op_, op, std::move(routing));
    return Stream<Out, decltype(chain)>(graph_, std::move(op), std::move(chain));
  }

  // `make(op)` is the stage of the sink.
  template <class Make>
  void end_in_sink(Make make) {
    if constexpr (operators::is_placed<SomeChain>) {
      auto chain = one_on_each_node();
      auto op = follow("sink", "");
      op->parallel = 1;
      if (op_->parallel != 1) op->input = chain.head.op->id;
      std::move(chain).end(*graph_, make(op));
    } else {
      sink_on_first_node(std::move(make));
    }
  }
  template <class Make>
  TENSAIR_COLD void sink_on_first_node(Make make) {
    auto op = follow("sink", "");
    if constexpr (SomeChain::everywhere) op->placement = plan::Placement::first_node;
    auto last = make(op);
    if constexpr (SomeChain::everywhere) {
      operators::end_on_first_node<T>(*graph_, std::move(chain_), op_, op, std::move(last));
    } else {
      std::move(chain_).end(*graph_, std::move(last));
    }
  }

  TENSAIR_COLD auto in_parallel(int n) {
    if constexpr (operators::is_split_source<SomeChain>) {
      op_->parallel = n;
      return std::move(*this);
    } else {
      return over<T>("parallel", operators::InTurn<true>{}, n);
    }
  }

  TENSAIR_COLD auto placed(Where where) {
    if constexpr (operators::Placeable<SomeChain>) {
      must_be_unused();
      op_->where = std::move(where);
      using There = operators::Chain<typename SomeChain::Head::WherePlaced, operators::NoBinder,
                                     typename SomeChain::Stamp, typename SomeChain::Input>;
      return further(There{std::move(chain_.head).where_placed(), {}});
    } else {
      return over<T>("on", operators::InTurn<true>{}, op_->parallel).placed(std::move(where));
    }
  }

  // The chain with one instance on each node: parallel ones meet.
  TENSAIR_COLD auto one_on_each_node() {
    auto op = op_;
    if (op->parallel != 1) {
      op = follow("meet", operators::stream_type<T>());
      op->parallel = 1;
      op->edge = plan::Edge::local;
    }
    using Head = operators::ExchangeHead<SomeChain, T, operators::ToOwnNode>;
    return operators::Chain<Head, operators::NoBinder>{Head{std::move(chain_), op_, op, {}}, {}};
  }

  template <class Out, class F>
  TENSAIR_COLD auto expand(F f) {
    auto op = follow("flat_map", operators::stream_type<Out>());
    return then<Out>(op, operators::FlatMap<F>{op, std::move(f)});
  }

  template <class State, class Rules, class Update, class F>
  auto inform(Rules&& given, Update update, F f) && {
    auto rules = detail::UseOrMove::of(std::forward<Rules>(given));
    using Rule = typename decltype(rules)::value_type;
    constexpr bool fits = std::invocable<F&, const T&, const State&>;
    static_assert(fits, "broadcast_join(rules, f): f takes a record and a const reference to what is known");
    if constexpr (fits) {
      return inform_with<State, Rule>(std::move(rules), std::move(update), std::move(f));
    } else {
      return detail::Mistake{};
    }
  }
  template <class State, class Rule, class Rules, class Update, class F>
  auto inform_with(Rules rules, Update update, F f) {
    using Out = std::remove_cvref_t<std::invoke_result_t<F&, const T&, const State&>>;
    static_assert(!std::is_void_v<Out>, "broadcast_join(rules, f): f returns what becomes of a record");
    auto from = rules.follow("broadcast", operators::stream_type<Rule>());
    auto op = follow("broadcast_join", operators::stream_type<Out>());
    if (!forked_) op->edge = plan::Edge::local;
    op->more_inputs = {from->id};
    using Left = operators::TwoInputSide<SomeChain, T, operators::ToOwnNode>;
    using Right = operators::TwoInputSide<typename Rules::chain_type, Rule, operators::ToAll>;
    using Join = operators::BroadcastJoin<T, Rule, State, Update>;
    using Head = operators::TwoInputHead<Left, Right, Join, SomeChain::everywhere, typename SomeChain::Stamp>;
    auto head = Head{Left{std::move(chain_), op_, {}, op}, Right{std::move(rules.chain_), from, {}}, op,
                     Join{op, std::move(update)}};
    auto chain = operators::Chain<Head, operators::NoBinder>{std::move(head), {}}.then(
        operators::InformedMap<F>{op, std::move(f)});
    return Stream<Out, decltype(chain)>(graph_, std::move(op), std::move(chain));
  }

  template <class SinkStage, class Handling>
  auto guarded_sink(std::shared_ptr<plan::Operator> op, SinkStage stage, Handling handling) {
    if constexpr (std::same_as<Handling, Stop>) {
      return stage;
    } else if constexpr (std::same_as<Handling, Skip>) {
      op->detail = "skips errors";
      return operators::SinkGuard<operators::SkipHandler, SinkStage>{operators::SkipHandler{op}, std::move(stage)};
    } else {
      using Handler = operators::LetterHandler<typename Handling::Record>;
      return operators::SinkGuard<Handler, SinkStage>{
          Handler{op, detail::dead_letters<operators::is_placed<SomeChain>>(graph_, op, std::move(handling))},
          std::move(stage)};
    }
  }

  template <class Handler>
  auto guarded(Handler handler) {
    auto chain = operators::guard(std::move(chain_), std::move(handler));
    return further(std::move(chain));
  }

  static constexpr auto can_fail() -> bool {
    constexpr bool can = operators::ends_in_operator<SomeChain>;
    static_assert(can,
                  "on_error speaks of the operator just in front of it, and none that can fail is there: say it behind "
                  "the operator, before rebalance, broadcast, merge, or the stream's use by name");
    return can;
  }

  // The same stream with another chain.
  template <class OtherChain>
  TENSAIR_COLD auto further(OtherChain chain) {
    auto stream = Stream<T, OtherChain>(graph_, op_, std::move(chain));
    stream.compression_ = compression_;
    return stream;
  }

  // One more use of a stream that has a name.
  TENSAIR_COLD auto use() {
    using Stamp = typename SomeChain::Stamp;
    using Head = operators::ForkHead<T, SomeChain::everywhere, Stamp>;
    if (!fork_) {
      fork_ = std::make_shared<operators::ForkPoint<T, Stamp>>();
      std::move(chain_).end(*graph_, operators::ForkStage<T, Stamp>(fork_));
    }
    auto stream = further(operators::Chain<Head, operators::NoBinder>{Head{fork_}, {}});
    stream.forked_ = true;
    return stream;
  }

  std::shared_ptr<plan::Graph> graph_;
  std::shared_ptr<plan::Operator> op_;
  SomeChain chain_;
  std::shared_ptr<operators::ForkPoint<T, typename SomeChain::Stamp>> fork_;
  bool forked_ = false;
  enum compression compression_;  // of what goes on from here to other nodes
};

}  // namespace tensair
