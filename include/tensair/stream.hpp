#pragma once

#include <concepts>
#include <iterator>
#include <memory>
#include <string>
#include <tensair/operators/batch.hpp>
#include <tensair/operators/chain.hpp>
#include <tensair/runtime/node.hpp>
#include <utility>
#include <vector>

namespace tensair {

template <class T, class SomeChain>
class ModelStream;
template <class T, class SomeChain, class Collate>
class CollatedModelStream;
class ModelHandle;

/// What `collect()` gives: after the run, on node 0, everything the stream held (on other nodes, and in the launcher of
/// `--local`: nothing).
template <class T>
class Collected {
 public:
  auto records() const -> const std::vector<T>& { return *records_; }
  auto begin() const { return records_->begin(); }
  auto end() const { return records_->end(); }
  auto size() const -> std::size_t { return records_->size(); }
  auto operator[](std::size_t i) const -> const T& { return (*records_)[i]; }

 private:
  template <class, class>
  friend class Stream;
  std::shared_ptr<std::vector<T>> records_ = std::make_shared<std::vector<T>>();
};

/// A function from records of type T to something.
template <class F, class T>
concept Mapping = std::move_constructible<F> && std::invocable<F&, T> && !std::is_void_v<std::invoke_result_t<F&, T>>;

/// A function from records of type T to yes or no.
template <class F, class T>
concept Predicate = std::move_constructible<F> && std::predicate<F&, const T&>;

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

/// A place where records of type T end: a function, or an object that may also have `open(node)`, `flush()` and
/// `finish()`.
template <class K, class T>
concept Sink = std::move_constructible<K> && std::invocable<K&, T>;

/// A stream of records of type T, as far as it has been written down: nothing flows before `Pipeline::run`.
///
/// A stream is used by calling an operator on it. `stream.map(f).filter(g)` fuses the two into one loop; a stream that
/// has a name may be used more than once, and every use then gets every record. Streams move and do not copy: `auto s =
/// …;` carries the chain of operators in its type.
///
/// @code
/// auto words = pipeline.source(lines).flat_map(split);
/// words.filter(is_long).sink(print);
/// words.map(length).sink(add);
/// @endcode
template <class T, class SomeChain>
class Stream {
 public:
  using value_type = T;

  Stream(std::shared_ptr<plan::Graph> graph, std::shared_ptr<plan::Operator> op, SomeChain chain)
      : graph_(std::move(graph)), op_(std::move(op)), chain_(std::move(chain)) {}
  Stream(Stream&&) = default;
  auto operator=(Stream&&) -> Stream& = default;

  /// Each record becomes `f(record)`.
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <Mapping<T> F>
  auto map(F f) && {
    using Out = std::remove_cvref_t<std::invoke_result_t<F&, T>>;
    auto op = follow("map", operators::stream_type<Out>());
    return then<Out>(op, operators::Map<F>{op, std::move(f)});
  }
  template <Mapping<T> F>
  auto map(F f) & {
    return use().map(std::move(f));
  }

  /// Keeps the records for which `keep(record)` is true.
  /// @throws UserError  (stops the pipeline) when `keep` throws
  template <Predicate<T> F>
  auto filter(F keep) && {
    auto op = follow("filter", operators::stream_type<T>());
    return then<T>(op, operators::Filter<F>{op, std::move(keep)});
  }
  template <Predicate<T> F>
  auto filter(F keep) & {
    return use().filter(std::move(keep));
  }

  /// Each record becomes every element of the range `f(record)`, in order.
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <Expansion<T> F>
  auto flat_map(F f) && {
    return expand<detail::RangeValue<std::invoke_result_t<F&, T>>>(std::move(f));
  }
  template <Expansion<T> F>
  auto flat_map(F f) & {
    return use().flat_map(std::move(f));
  }

  /// Each record becomes everything that `f(record, emit)` passes to `emit(Out)`; makes no container.
  ///
  /// @code
  /// lines.flat_map<std::string_view>([](std::string_view line, auto emit) { for (auto word : split(line)) emit(word);
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

  /// Groups n records in order into a `Batch<T>`; the last one may be shorter.
  /// @throws UsageError  when n is 0
  auto batch(std::size_t n) && {
    if (n == 0) throw UsageError("batch(0)", "after " + op_->title(), "A batch holds at least one record.");
    auto op = follow("batch", operators::stream_type<Batch<T>>());
    return then<Batch<T>>(op, operators::BatchOf<T>{n});
  }
  auto batch(std::size_t n) & { return use().batch(n); }

  /// Names the operator before: for errors, `--explain` and reports. Nodes compare names before they work together.
  auto name(std::string label) && -> Stream {
    op_->label = std::move(label);
    return std::move(*this);
  }

  /// Ends the stream: calls `sink(record)` for each record, on node 0, from one thread, in order for records that were
  /// in order.
  /// @throws UserError  (stops the pipeline) when `sink` throws
  template <Sink<T> K>
  void sink(K sink) && {
    auto op = follow("sink", "");
    operators::end_on_first_node<T>(*graph_, std::move(chain_), op, operators::SinkStage<K>(op, std::move(sink)));
  }
  template <Sink<T> K>
  void sink(K sink) & {
    use().sink(std::move(sink));
  }

  /// Ends the stream: keeps every record in memory, on node 0. For tests and small results.
  auto collect() && -> Collected<T> {
    auto collected = Collected<T>{};
    std::move(*this).sink([records = collected.records_](T record) { records->push_back(std::move(record)); });
    return collected;
  }
  auto collect() & -> Collected<T> { return use().collect(); }

  /// Sends the stream to a model: `.train()`, `.predict()`, `.evaluate()` or `.validate(…)` says what for.
  /// (`<tensair/model/model.hpp>`)
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
  template <class, class, class>
  friend class CollatedModelStream;

  auto follow(std::string kind, std::string output) const -> std::shared_ptr<plan::Operator> {
    auto op = graph_->add(std::move(kind), std::move(output), op_->placement);
    op->input = op_->id;
    op->edge = forked_ ? plan::Edge::fork : plan::Edge::fused;
    return op;
  }

  template <class Out, class Last>
  auto then(std::shared_ptr<plan::Operator> op, Last last) {
    auto chain = std::move(chain_).then(std::move(last));
    return Stream<Out, decltype(chain)>(graph_, std::move(op), std::move(chain));
  }

  template <class Out, class F>
  auto expand(F f) {
    auto op = follow("flat_map", operators::stream_type<Out>());
    return then<Out>(op, operators::FlatMap<F>{op, std::move(f)});
  }

  // One more use of a stream that has a name.
  auto use() {
    using Head = operators::ForkHead<T, SomeChain::everywhere>;
    if (!fork_) {
      fork_ = std::make_shared<operators::ForkPoint<T>>();
      std::move(chain_).end(*graph_, operators::ForkStage<T>(fork_));
    }
    auto stream = Stream<T, operators::Chain<Head, operators::NoBinder>>(graph_, op_, {Head{fork_}, {}});
    stream.forked_ = true;
    return stream;
  }

  std::shared_ptr<plan::Graph> graph_;
  std::shared_ptr<plan::Operator> op_;
  SomeChain chain_;
  std::shared_ptr<operators::ForkPoint<T>> fork_;
  bool forked_ = false;
};

}  // namespace tensair
