#pragma once

#include <concepts>
#include <memory>
#include <tensair/key_value.hpp>
#include <tensair/operators/chain.hpp>
#include <tensair/operators/failures.hpp>
#include <tensair/operators/key_by.hpp>
#include <utility>

// Aggregates: a value that records are added to, one a key.
//
// Emitting at the end has a choice that running results do not have: what is added where does not matter if partial
// values can be merged. So in front of the exchange each instance adds up what it sees, and partial values travel
// instead of records. If nothing is exchanged, records go straight to the final values.

namespace tensair {

/// How records of type T become one value: `init()` is a value with nothing in it, `add(value, record)` adds a record,
/// `merge(value, other)` adds what another value holds, `result(value)` is what is emitted. `merge` must agree with
/// `add`: records added to two values which are then merged are as if added to one.
///
/// @code
/// /// How far apart the temperatures of a sensor are.
/// struct Spread {
///   auto init() const { return std::pair(1e9, -1e9); }
///   void add(std::pair<double, double>& value, const Reading& one) const { merge(value, {one.celsius, one.celsius}); }
///   void merge(std::pair<double, double>& value, std::pair<double, double> other) const {
///     value = {std::min(value.first, other.first), std::max(value.second, other.second)};
///   }
///   auto result(const std::pair<double, double>& value) const { return value.second - value.first; }
/// };
/// readings.key_by(&Reading::sensor).window(tensair::tumbling(1h)).aggregate(Spread{}).sink(print);
/// @endcode
template <class A, class T>
concept Aggregate = std::move_constructible<A> && requires(A aggregate, decltype(std::declval<A&>().init()) value,
                                                           decltype(std::declval<A&>().init()) other, const T& record) {
  aggregate.add(value, record);
  aggregate.merge(value, std::move(other));
  aggregate.result(value);
};

/// When a keyed aggregate emits: after each record, the new value of its key (the default), or every key's value once,
/// when the stream has ended.
struct EachRecord {};
struct AtEnd {};
inline constexpr EachRecord each_record;
inline constexpr AtEnd at_end;

namespace operators {

template <class A>
using AggregateState = std::remove_cvref_t<decltype(std::declval<A&>().init())>;
template <class A>
using AggregateResult = std::remove_cvref_t<decltype(std::declval<A&>().result(std::declval<AggregateState<A>&>()))>;

/// Whether adding a record of type T cannot fail.
template <class A, class T>
inline constexpr bool adding_is_safe = noexcept(std::declval<A&>().add(std::declval<AggregateState<A>&>(),
                                                                       std::declval<const T&>()));

/// An aggregate made of lambdas.
template <class State, class Add, class Merge, class Result>
struct AggregateOf {
  State initial;
  Add add_;
  Merge merge_;
  Result result_;

  auto init() const -> State { return initial; }
  template <class T>
  void add(State& value, const T& record) {
    std::invoke(add_, value, record);
  }
  void merge(State& value, State other) { std::invoke(merge_, value, std::move(other)); }
  auto result(const State& value) -> decltype(auto) { return std::invoke(result_, value); }
};

/// Running values: adds each record to its key's value and emits that.
template <class K, class Function, class A, class Next>
class AggregateStage : public KeyedStage<K, Function, AggregateState<A>, Next> {
 public:
  AggregateStage(plan::OperatorRef op, Function function, A aggregate, Next next)
      : KeyedStage<K, Function, AggregateState<A>, Next>(std::move(function), std::move(next)),
        op_(op),
        aggregate_(std::move(aggregate)) {}

  template <class T, class Stamp>
  void operator()(T&& record, Stamp stamp) {
    auto& entry = this->entry_of(std::as_const(record), [&] { return aggregate_.init(); });
    auto& value = this->state(entry);
    const auto add = [&] { aggregate_.add(value, std::as_const(record)); };
    call(op_, add);
    const auto result = [&]() -> AggregateResult<A> { return aggregate_.result(value); };
    this->next_(KeyValue<K, AggregateResult<A>>{K(entry.key), call(op_, result)}, stamp);
  }

 private:
  plan::OperatorRef op_;
  [[no_unique_address]] A aggregate_;
};

/// Part of a key's value, on its way to where the key is kept.
template <class K, class State>
using Partial = KeyValue<K, State>;

/// What the two operators of `at_end` have in common: the one in front of the exchange works for the one behind.
struct AtEndOperator {
  std::shared_ptr<plan::Operator> op{};  ///< whose title errors and counts have
  bool skips_errors = false;             ///< `on_error(skip)` has been said of it
};

/// In front of the exchange: adds up the values of some keys, and sends them on when the stream ends. Passes records
/// through if nothing is exchanged.
template <class K, class Function, class A, class Stamp, class Next>
class PreAggregateStage : public KeyedStage<K, Function, AggregateState<A>, Next> {
 public:
  PreAggregateStage(std::shared_ptr<const AtEndOperator> whole, Function function, A aggregate, Next next)
      : KeyedStage<K, Function, AggregateState<A>, Next>(std::move(function), std::move(next)),
        whole_(std::move(whole)),
        aggregate_(std::move(aggregate)) {}

  void open(StageContext& context) {
    if (whole_->skips_errors) skipped_ = context.node.counter(whole_->op->title() + ": skipped");
    this->next_.open(context);
    passes_through_ = this->next_.is_fused();
  }

  template <class T>
  void operator()(T&& record, Stamp stamp) {
    if (passes_through_) {
      this->next_.pass(std::forward<T>(record), stamp);
      return;
    }
    if constexpr (is_timed<Stamp>) latest_ = std::max(latest_, stamp);
    const auto& key = this->function_.key(std::as_const(record));
    const auto hash = this->function_.hash(key);
    auto* entry = this->states_->find(key, hash);
    if (entry == nullptr && this->states_->size() >= most_keys) {
      auto partial = Partial<K, AggregateState<A>>{K(key), aggregate_.init()};
      if (!add(partial.value, std::as_const(record))) return;
      this->next_(std::move(partial), stamp);
      if (++passed_by_ >= most_passed_by) sending_ = true;
      return;
    }
    const bool is_new = entry == nullptr;
    if (is_new) entry = &this->states_->find_or_make(key, hash, [&] { return aggregate_.init(); });
    // A key with no record has no value.
    if (!add(entry->value, std::as_const(record)) && is_new) this->states_->erase_at(this->states_->size() - 1);
  }

  void flush() {
    this->next_.flush();
    send();
    if (finishing_ && !sending_) end();
    this->next_.flush();
  }

  void finish() {
    finishing_ = sending_ = true;
    send();
    if (!sending_) end();
  }

  auto blocked() -> bool { return sending_ || (finishing_ && !ended_) || this->next_.blocked(); }

 private:
  // With small states one to two megabytes, most of which stay near the processor. Those that come first are mostly the
  // frequent ones; others pass by, each record as a value of its own. When many have, the frequent ones may be others
  // now.
  static constexpr std::size_t most_keys = std::size_t{1} << 15;
  static constexpr std::size_t most_passed_by = most_keys * 16;

  // False: it could not be added, and has been skipped.
  template <class T>
  auto add(AggregateState<A>& value, const T& record) -> bool {
    const auto run = [&] { aggregate_.add(value, record); };
    if constexpr (adding_is_safe<A, T>) {
      run();
    } else {
      try {
        call(whole_->op, run);
      } catch (...) {
        if (skipped_ == nullptr) throw;
        skipped_->add(1);
        return false;
      }
    }
    return true;
  }

  void send() {
    if (!sending_) return;
    auto& states = *this->states_;
    for (; next_key_ < states.size() && !this->next_.blocked(); ++next_key_) {
      auto& entry = states.at(next_key_);
      auto partial = Partial<K, AggregateState<A>>{K(entry.key), std::move(entry.value)};
      if constexpr (is_timed<Stamp>) {
        this->next_(std::move(partial), latest_);
      } else {
        this->next_(std::move(partial), Untimed{});
      }
    }
    if (next_key_ < states.size()) return;
    states.clear();
    next_key_ = passed_by_ = 0;
    sending_ = false;
  }

  void end() {
    if (std::exchange(ended_, true)) return;
    this->next_.finish();
  }

  std::shared_ptr<const AtEndOperator> whole_;
  [[no_unique_address]] A aggregate_;
  std::shared_ptr<runtime::Counter> skipped_;
  std::size_t next_key_ = 0, passed_by_ = 0;
  EventTime latest_ = beginning_of_time;
  bool passes_through_ = false, sending_ = false, finishing_ = false, ended_ = false;
};

/// Where the keys are kept: merges partial values, or adds records if they come straight; emits all at the end.
template <class K, class Function, class A, class Stamp, class Next>
class AggregateAtEndStage : public KeyedStage<K, Function, AggregateState<A>, Next> {
 public:
  AggregateAtEndStage(plan::OperatorRef op, Function function, A aggregate, Next next)
      : KeyedStage<K, Function, AggregateState<A>, Next>(std::move(function), std::move(next)),
        op_(op),
        aggregate_(std::move(aggregate)) {}

  void open(StageContext& context) {
    failures_.open(context);
    this->next_.open(context);  // no time to live: nothing else is to be opened
  }

  static constexpr bool expects_kept_records = true;
  /// Of values that travel only the keys are asked, which are kept as they are.
  template <class Key>
  void expect(const std::vector<Partial<Key, AggregateState<A>>>& partials, std::size_t from, std::size_t to) {
    if constexpr (hash_is_safe<Key>)
      this->expect_hashes(from, to, [&](std::size_t i) { return hash_key(partials[i].key); });
  }

  template <class T>
  void operator()(T&& record, Stamp stamp) {
    if constexpr (is_timed<Stamp>) latest_ = std::max(latest_, stamp);
    if constexpr (std::same_as<std::remove_cvref_t<T>, Partial<K, AggregateState<A>>>) {
      const auto make = [&] { return aggregate_.init(); };
      auto& entry = this->states_->find_or_make(record.key, this->function_.hash(record.key), make);
      const auto merge = [&] { aggregate_.merge(entry.value, std::move(record.value)); };
      call(op_, merge);
    } else {
      const auto known = this->states_->size();
      auto& entry = this->entry_of(std::as_const(record), [&] { return aggregate_.init(); });
      const auto add = [&] { aggregate_.add(entry.value, std::as_const(record)); };
      try {
        call(op_, add);
      } catch (...) {
        if (this->states_->size() > known) this->states_->erase_at(known);  // a key with no record has no result
        throw;
      }
    }
  }

  // The results have the latest time of all, so no watermark but the last may pass before them.
  void watermark(EventTime) {}

  void flush() {
    this->next_.flush();
    emit();
    this->next_.flush();
  }
  void finish() {
    finishing_ = true;
    emit();
  }
  auto blocked() -> bool { return (finishing_ && !ended_) || this->next_.blocked(); }

 private:
  void emit() {
    if (!finishing_ || ended_) return;
    auto& states = *this->states_;
    for (; next_key_ < states.size() && !this->next_.blocked(); ++next_key_) {
      auto& entry = states.at(next_key_);
      bool behind = false;  // what is thrown then is not the aggregate's
      try {
        const auto result = [&]() -> AggregateResult<A> { return aggregate_.result(entry.value); };
        auto out = KeyValue<K, AggregateResult<A>>{K(entry.key), call(op_, result)};
        behind = true;
        if constexpr (is_timed<Stamp>) {
          this->next_(std::move(out), latest_);
        } else {
          this->next_(std::move(out), Untimed{});
        }
      } catch (...) {
        if (behind) throw;
        failures_.handle({entry.key, entry.value},
                         [&] { return text_of_key(entry.key) + ", at the end of the stream"; });
      }
    }
    if (next_key_ < states.size()) return;
    ended_ = true;
    if constexpr (is_timed<Stamp>) this->next_.watermark(end_of_time);
    this->next_.finish();
  }

  plan::OperatorRef op_;
  [[no_unique_address]] A aggregate_;
  Failures<FailedKey<K, AggregateState<A>>> failures_;
  std::size_t next_key_ = 0;
  EventTime latest_ = beginning_of_time;
  bool finishing_ = false, ended_ = false;
};

/// These operators before they are bound to the stage behind them.
template <class K, class Function, class A>
struct AggregateByKey {
  plan::OperatorRef op;
  Function function;
  A aggregate;

  template <class Next>
  auto bind(Next next) && -> AggregateStage<K, Function, A, Next> {
    return {op, std::move(function), std::move(aggregate), std::move(next)};
  }
};
template <class K, class Function, class A, class Stamp>
struct PreAggregate {
  std::shared_ptr<const AtEndOperator> whole;
  Function function;
  A aggregate;

  template <class Next>
  auto bind(Next next) && -> PreAggregateStage<K, Function, A, Stamp, Next> {
    return {std::move(whole), std::move(function), std::move(aggregate), std::move(next)};
  }
};
template <class T, class K, class Function, class A, class Stamp>
struct AggregateAtEnd {
  using Failed = Fails<FailedKey<K, AggregateState<A>>>;
  using FailedRecord = std::conditional_t<adding_is_safe<A, T>, Fails<>, T>;

  std::shared_ptr<AtEndOperator> whole;
  Function function;
  A aggregate;

  void skip_errors() { whole->skips_errors = true; }

  /// Whether records that fail are to be handed to this handler. They fail in front of the exchange, from where there
  /// is no way to a letter's sink: so records cross the exchange then, and values are added up behind it alone.
  template <class Handler>
  static constexpr bool hands_over_records =
      Handler::keeps_record && !adding_is_safe<A, T> && Handler::template takes<T>;

  /// The chain up to here (its exchange, and what is in front of that), with records that cross the exchange.
  template <class Head, class Before, class ChainStamp, class In, class Route>
  TENSAIR_COLD static auto without_front(
      ExchangeHead<Chain<Head, Then<Before, PreAggregate<K, Function, A, Stamp>>, ChainStamp, In>,
                   Partial<K, AggregateState<A>>, ByKey<Route>>
          head) {
    auto& front = head.upstream.binder;
    auto function = std::move(front.last.function);
    auto routing = ByKey<decltype(function.f)>{{std::move(function.op), std::move(function.f)}};
    using Upstream = Chain<Head, Before, ChainStamp>;
    return ExchangeHead<Upstream, T, decltype(routing)>{
        Upstream{std::move(head.upstream.head), std::move(front.before)}, std::move(head.from), std::move(head.op),
        std::move(routing)};
  }

  template <class Next>
  auto bind(Next next) && -> AggregateAtEndStage<K, Function, A, Stamp, Next> {
    return {whole->op, std::move(function), std::move(aggregate), std::move(next)};
  }
};

}  // namespace operators
}  // namespace tensair
