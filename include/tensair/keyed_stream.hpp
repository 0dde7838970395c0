#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tensair/key_value.hpp>
#include <tensair/operators/aggregate.hpp>
#include <tensair/operators/chain.hpp>
#include <tensair/operators/count.hpp>
#include <tensair/operators/key_by.hpp>
#include <tensair/operators/reduce.hpp>
#include <utility>

namespace tensair {

template <class T, class SomeChain>
class Stream;

/// A stream whose records have keys: what `stream.key_by(f)` returns. Operators on it keep state for each key, and all
/// records of a key meet in one of the operator's instances, whichever node they come from.
///
/// Order: records of a key that come from one instance in front of `key_by` stay in order; those of different instances
/// mix. Keys are shared out among all nodes and, with `.parallel(n)`, n instances on each; a pipeline of one instance
/// on one node exchanges nothing and is one loop.
///
/// Most operators emit `KeyValue<K, V>`. If `f` returns a `std::string_view`, K is one too: it then refers to the
/// operator's state, and what keeps it longer must copy it (`collect`, channels and batches do).
template <class K, class T, class SomeChain, class F>
class KeyedStream {
 public:
  using key_type = K;
  using value_type = T;

  KeyedStream(Stream<T, SomeChain> stream, F f)
      : stream_(std::move(stream)), f_(std::move(f)), parallel_(stream_.op_->parallel) {}

  /// The keyed operators have n instances on every node.
  /// @throws UsageError  n is not at least 1
  auto parallel(int n) && -> KeyedStream {
    if (n < 1) throw UsageError("parallel(" + std::to_string(n) + ")", "after key_by", "Give 1 or more.");
    parallel_ = n;
    return std::move(*this);
  }
  /// Names `key_by`: for errors, `--explain` and reports.
  auto name(std::string label) && -> KeyedStream {
    label_ = std::move(label);
    return std::move(*this);
  }

  /// Keeps one value a key and adds each record to it. Emits `KeyValue<K, result>`: the key's new value for each
  /// record, or with `at_end` every key's last value, once.
  /// @param aggregate  see `Aggregate`
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
  ///     .aggregate(Range{}, [](Range& range, const Reading& one) { range.add(one.celsius); },
  ///                [](Range& range, const Range& other) { range.add(other); }, &Range::width);
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
  /// bids.key_by(&Bid::item).reduce([](const Bid& a, const Bid& b) { return a.price < b.price ? b : a; });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class R, class When = EachRecord>
  requires std::convertible_to<std::invoke_result_t<R&, T, const T&>, T>
  auto reduce(R f, When when = {}) && {
    static_assert(!is_view<T>, "reduce keeps records, and these only refer to something: make them own it first");
    return apply_aggregate("reduce", operators::Reduce<T, R>{std::move(f)}, when);
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

 private:
  auto use() & {
    auto stream = stream_.use();
    auto keyed = KeyedStream<K, T, typename decltype(stream)::chain_type, F>(std::move(stream), f_);
    keyed.parallel_ = parallel_;
    keyed.label_ = label_;
    return keyed;
  }
  template <class, class, class, class>
  friend class KeyedStream;

  // The operator key_by itself, and what a keyed operator is built with.
  auto key_op() {
    auto op = stream_.follow("key_by", operators::stream_type<T>());
    op->label = label_;
    op->parallel = parallel_;
    return op;
  }

  auto follow(const plan::Operator& key_op, std::string kind, std::string output) {
    auto op = stream_.graph_->add(std::move(kind), std::move(output), plan::Placement::every_node);
    op->input = key_op.id;
    op->edge = plan::Edge::fused;
    op->parallel = parallel_;
    return op;
  }

  /// The stream behind a keyed operator: `make(op, KeyFunction<F>)` is the operator, which takes records of type T.
  template <class Out, class Make>
  auto apply(std::string kind, Make make) {
    auto key = key_op();
    auto function = operators::KeyFunction<F>{key, std::move(f_)};
    auto chain = operators::exchange<T>(std::move(stream_.chain_), stream_.op_, key, operators::ByKey<F>{function});
    auto op = follow(*key, std::move(kind), operators::stream_type<Out>());
    auto longer = std::move(chain).then(make(op, std::move(function)));
    return Stream<Out, decltype(longer)>(stream_.graph_, op, std::move(longer));
  }

  template <class A>
  auto apply_aggregate(std::string kind, A aggregate, EachRecord) {
    using Out = KeyValue<K, operators::AggregateResult<A>>;
    return apply<Out>(std::move(kind), [&](auto op, auto function) {
      return operators::AggregateByKey<K, F, A>{std::move(op), std::move(function), std::move(aggregate)};
    });
  }

  template <class A>
  auto apply_aggregate(std::string kind, A aggregate, AtEnd) {
    static_assert(std::copy_constructible<A> && std::copy_constructible<F>,
                  "at_end adds up on both sides of an exchange, so its functions must be copyable");
    using Out = KeyValue<K, operators::AggregateResult<A>>;
    using Partial = operators::Partial<K, operators::AggregateState<A>>;
    using Stamp = typename SomeChain::Stamp;
    auto key = key_op();
    auto function = operators::KeyFunction<F>{key, std::move(f_)};
    using Route = decltype(&Partial::key);
    auto front = std::move(stream_.chain_).then(operators::PreAggregate<K, F, A, Stamp>{key, function, aggregate});
    auto chain =
        operators::exchange<Partial>(std::move(front), stream_.op_, key, operators::ByKey<Route>{{key, &Partial::key}});
    auto op = follow(*key, std::move(kind), operators::stream_type<Out>());
    auto longer =
        std::move(chain).then(operators::AggregateAtEnd<K, F, A, Stamp>{op, std::move(function), std::move(aggregate)});
    return Stream<Out, decltype(longer)>(stream_.graph_, op, std::move(longer));
  }

  Stream<T, SomeChain> stream_;
  F f_;
  int parallel_;
  std::string label_;
};

}  // namespace tensair
