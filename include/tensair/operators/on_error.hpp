#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <tensair/operators/failures.hpp>
#include <tensair/operators/filter.hpp>
#include <tensair/operators/fork.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/operators/window_partial.hpp>
#include <tensair/runtime/source.hpp>
#include <utility>

// What happens to a record that an operator cannot work on.
//
// A guarded operator stands between two stages: one in front that catches what the operator throws, and one behind. The
// one behind does nothing but remember, when an exception comes from further down, that the failure is not the
// operator's own; then it must go on to whoever is responsible. Both are try blocks that nothing is paid for until
// something is thrown, so it does not matter what the operator is, or how many records it makes of one.
//
// What an operator throws when no record has come to it (at a window's end, at a timer) passes neither. It hands that
// to the handler itself (failures.hpp), which it finds in the StageContext.

namespace tensair {

/// `on_error(stop)`: the first record that fails stops the pipeline, as without `on_error`.
struct Stop {};
inline constexpr Stop stop{};

/// `on_error(skip)`: a record that fails, or a window's result, or what a timer would have done, is left out and
/// counted: `--json` has the number under `counts`.
///
/// @code
/// log_lines.map(parse).on_error(tensair::skip).sink(print);
/// @endcode
struct Skip {};
inline constexpr Skip skip{};

/// A record that failed, and why.
template <class T>
struct DeadLetter {
  T record;                   ///< or what else failed: see `dead_letter`
  std::string error;          ///< what was thrown
  std::string operator_name;  ///< "map «parse»"
  int node = 0;               ///< where

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& record& error& operator_name& node;
  }
  friend auto operator==(const DeadLetter&, const DeadLetter&) -> bool = default;
};

/// What `dead_letter` makes.
template <class T, class K>
struct DeadLetters {
  using Record = T;
  static constexpr bool fits = std::invocable<K&, DeadLetter<T>>;

  K sink;
};

/// `on_error(dead_letter<T>(sink))`: a record that fails goes to `sink` as a `DeadLetter<T>`, on node 0, and is
/// counted.
/// @tparam T  the records that the operator takes; behind a source `std::string`: the text that was read. Of what
///            fails without a record:
///            - behind `process` on windows `WindowResult<K, std::vector<Record>>`: key, window, and all its records;
///            - behind `aggregate` on windows `WindowResult<K, State>`: what `result(state)` failed on;
///            - behind windows of numbers of records, and `aggregate(…, at_end)`, `KeyValue` in place of that;
///            - behind `co_group` `WindowResult<K, std::pair<std::vector<L>, std::vector<R>>>`;
///            - behind `process` of a keyed stream `FailedTimer<K>`.
///            Where an operator fails in both ways, a `std::variant` of both is what takes both; what T cannot hold
///            stops the pipeline.
///
/// @code
/// log_lines.map(parse)
///     .on_error(tensair::dead_letter<std::string>([](const tensair::DeadLetter<std::string>& letter) {
///       std::fprintf(stderr, "%s: %s\n", letter.error.c_str(), letter.record.c_str());
///     }))
///     .sink(print);
/// @endcode
template <class T, class K>
auto dead_letter(K sink) -> DeadLetters<T, K> {
  constexpr bool fits = DeadLetters<T, K>::fits;
  static_assert(fits, "dead_letter<T>(sink): the sink takes a DeadLetter<T>");
  return {std::move(sink)};
}

namespace operators {

/// Leaves failed records out.
class SkipHandler : public LastStage {
 public:
  static constexpr bool keeps_record = false;
  template <class Failed>
  static constexpr bool takes = true;

  explicit SkipHandler(plan::OperatorRef op) : op_(op) {}

  void open(StageContext& context) { count_ = context.node.counter(op_->title() + ": skipped"); }
  auto is_about(const LambdaThrew& threw) const -> bool { return threw.operator_title() == op_->title(); }
  template <class T>
  void handle(const T&, const char*) {
    count_->add(1);
  }

 private:
  plan::OperatorRef op_;
  std::shared_ptr<runtime::Counter> count_;
};

/// Whether a T can be made of what failed. Not by taking it for the first of T's members.
template <class T, class Failed>
inline constexpr bool makes_letter = std::is_convertible_v<const Failed&, T> ||
                                     (std::is_constructible_v<T, const Failed&> && !std::is_aggregate_v<T>);
template <class T>
inline constexpr bool makes_letter<T, void> = true;  // it is not known what fails

/// Sends failed records to a stream of their own, which is used as one that has a name is.
template <class T>
class LetterHandler {
 public:
  static constexpr bool keeps_record = true;
  template <class Failed>
  static constexpr bool takes = makes_letter<T, Failed>;

  LetterHandler(plan::OperatorRef op, ForkStage<DeadLetter<T>> letters) : op_(op), letters_(std::move(letters)) {}

  void open(StageContext& context) {
    node_ = context.node.rank();
    count_ = context.node.counter(op_->title() + ": dead letters");
    letters_.open(context);
  }
  auto is_about(const LambdaThrew& threw) const -> bool { return threw.operator_title() == op_->title(); }
  template <class Record>
  void handle(const Record& record, const char* error) {
    constexpr bool fits = takes<Record>;
    static_assert(fits, "dead_letter<T>(sink): T is what the operator takes (of a source: std::string)");
    count_->add(1);
    if constexpr (fits) letters_(DeadLetter<T>{T(record), error, op_->title(), node_}, Untimed{});
  }
  void flush() { letters_.flush(); }
  void finish() { letters_.finish(); }
  auto blocked() -> bool { return letters_.blocked(); }
  auto deadline() -> Time { return letters_.deadline(); }
  void tick(Time now) { letters_.tick(now); }

 private:
  plan::OperatorRef op_;
  ForkStage<DeadLetter<T>> letters_;
  int node_ = 0;
  std::shared_ptr<runtime::Counter> count_;
};

/// Whether an exception came from behind the operator. Atomic: instances of an operator may share it.
using FromBehind = std::shared_ptr<std::atomic<bool>>;

/// The stage behind a guarded operator. Knows when that has ended, and stops it while letters wait.
template <bool SendsLetters, class Next>
class GuardExit : public StageBase<Next> {
 public:
  GuardExit(FromBehind from_behind, Next next)
      : StageBase<Next>(std::move(next)), from_behind_(std::move(from_behind)) {}

  void open(StageContext& context) {
    failures_ = std::exchange(context.failures, nullptr);  // which are not those of the operators further down
    this->next_.open(context);
  }
  void finish() {
    this->next_.finish();
    failures_->finish();
  }
  [[gnu::always_inline]] auto blocked() -> bool {
    if constexpr (SendsLetters) {
      if (failures_->blocked()) return true;
    }
    return this->next_.blocked();
  }

  template <class... Args>
  void operator()(Args&&... args) {
    try {
      this->next_(std::forward<Args>(args)...);
    } catch (...) {
      *from_behind_ = true;
      throw;
    }
  }

 private:
  FromBehind from_behind_;
  FailureHandler* failures_ = nullptr;
};

/// Operators whose function only looks at the record, so that it is whole when the function has thrown.
template <class Operator>
inline constexpr bool only_looks = false;
template <class F>
inline constexpr bool only_looks<Filter<F>> = true;

/// What an operator fails on apart from records.
template <class Operator>
struct FailuresOf {
  using type = Fails<>;
};
template <class Operator>
requires requires {
  typename Operator::Failed;
}
struct FailuresOf<Operator> {
  using type = typename Operator::Failed;
};

template <class Handler, class Failed>
class FailureRouteOf : public FailureHandlerOf<Failed> {
 public:
  explicit FailureRouteOf(Handler& handler) : handler_(handler) {}

  auto handle(const Failed& failed, const char* error) -> bool override {
    if constexpr (Handler::template takes<Failed>) handler_.handle(failed, error);
    return Handler::template takes<Failed>;
  }

 private:
  Handler& handler_;
};

/// From an operator to its guard's handler.
template <class Handler, class Kinds>
class FailureRoute;
template <class Handler, class... Failed>
class FailureRoute<Handler, Fails<Failed...>> final : public FailureHandler, public FailureRouteOf<Handler, Failed>... {
 public:
  template <class Record>
  static constexpr bool can_be_record =
      Handler::template takes<Record> || !((Handler::template takes<Failed> || ...) || is_window_partial<Record>);

  explicit FailureRoute(Handler& handler) : FailureRouteOf<Handler, Failed>(handler)..., handler_(handler) {}
  void finish() override { handler_.finish(); }
  auto blocked() -> bool override { return handler_.blocked(); }

 private:
  Handler& handler_;
};

/// The stage in front of a guarded operator, and that operator.
/// @tparam Kinds  what the operator fails on apart from records
template <class Inner, class Handler, bool OnlyLooks, class Kinds>
class GuardStage {
  using Route = FailureRoute<Handler, Kinds>;

 public:
  GuardStage(FromBehind from_behind, Handler handler, Inner inner)
      : from_behind_(std::move(from_behind)), handler_(std::move(handler)), inner_(std::move(inner)) {}

  template <class T, class... Stamp>
  void operator()(T&& record, Stamp... stamp) {
    try {
      if constexpr (Handler::keeps_record && !OnlyLooks) {
        inner_(std::as_const(record), stamp...);  // a function that moved it would leave nothing for the letter
      } else {
        inner_(std::forward<T>(record), stamp...);
      }
    } catch (const LambdaThrew& threw) {
      // A key function's failure is key_by's, which may be on another node.
      if (*from_behind_ || !handler_.is_about(threw) || !handle(record, threw.what())) throw;
    } catch (const Error& error) {
      if (*from_behind_ || !handle(record, error.what())) throw;
    }
  }

  void open(StageContext& context) {
    handler_.open(context);
    route_.value = std::make_unique<Route>(handler_);
    context.failures = route_.value.get();
    inner_.open(context);
  }
  void watermark(EventTime time) { inner_.watermark(time); }
  void idle() { inner_.idle(); }
  void flush() {
    handler_.flush();
    inner_.flush();
  }
  void finish() { inner_.finish(); }
  auto blocked() -> bool {
    const bool letters = handler_.blocked();
    return inner_.blocked() || letters;
  }
  auto deadline() -> Time { return std::min(handler_.deadline(), inner_.deadline()); }
  void tick(Time now) {
    if (handler_.deadline() <= now) handler_.tick(now);
    if (inner_.deadline() <= now) inner_.tick(now);
  }

 private:
  template <class T>
  auto handle(const T& record, const char* error) -> bool {
    if constexpr (Route::template can_be_record<T>) handler_.handle(record, error);
    return Route::template can_be_record<T>;
  }

  FromBehind from_behind_;
  Handler handler_;
  Inner inner_;
  Fresh<std::unique_ptr<Route>> route_;
};

/// An operator and what becomes of its failures, before it is bound to the stage behind it.
template <class Operator, class Handler>
struct Guarded {
  Operator guarded;
  Handler handler;

  template <class Next>
  auto bind(Next next) && {
    auto from_behind = std::make_shared<std::atomic<bool>>(false);
    auto inner = std::move(guarded).bind(GuardExit<Handler::keeps_record, Next>(from_behind, std::move(next)));
    using Kinds = typename FailuresOf<Operator>::type;
    return GuardStage<decltype(inner), Handler, only_looks<Operator>, Kinds>(std::move(from_behind), std::move(handler),
                                                                             std::move(inner));
  }
};

/// A sink and what becomes of records that it fails on. Not of tensair's own errors: what is wrong with a file or a
/// server is so for all records.
template <class Handler, class SinkStage>
class SinkGuard {
 public:
  static constexpr bool heeds_watermarks = operators::heeds_watermarks<SinkStage>;

  SinkGuard(Handler handler, SinkStage sink) : handler_(std::move(handler)), sink_(std::move(sink)) {}

  template <class T, class Stamp>
  void operator()(T&& record, Stamp stamp) {
    try {
      if constexpr (Handler::keeps_record) {
        sink_(std::as_const(record), stamp);
      } else {
        sink_(std::forward<T>(record), stamp);
      }
    } catch (const LambdaThrew& threw) {
      handler_.handle(record, threw.what());
    }
  }
  void open(StageContext& context) {
    handler_.open(context);
    sink_.open(context);
  }
  void watermark(EventTime time) { sink_.watermark(time); }
  void idle() { sink_.idle(); }
  void flush() {
    handler_.flush();
    sink_.flush();
  }
  void finish() {
    sink_.finish();
    handler_.finish();
  }
  auto blocked() -> bool {
    const bool letters = handler_.blocked();
    return sink_.blocked() || letters;
  }
  auto deadline() -> Time { return std::min(handler_.deadline(), sink_.deadline()); }
  void tick(Time now) {
    if (handler_.deadline() <= now) handler_.tick(now);
    if (sink_.deadline() <= now) sink_.tick(now);
  }

 private:
  Handler handler_;
  SinkStage sink_;
};

/// What may be said of a sink's failures.
template <class Handling>
struct SinkHandling {
  static constexpr bool known = std::same_as<Handling, Stop> || std::same_as<Handling, Skip>, keeps_record = false;
  template <class T>
  static constexpr bool can_take = true;
};
template <class Record, class K>
struct SinkHandling<DeadLetters<Record, K>> {
  static constexpr bool known = true, keeps_record = true;
  template <class T>
  static constexpr bool can_take = makes_letter<Record, T>&& DeadLetters<Record, K>::fits;
};

/// A source's record, or the text of a bad one and what is wrong with it.
template <class T>
struct Attempt {
  std::optional<T> record;
  std::string text{}, error{};
};

/// A source whose bad records do not stop it.
template <class S>
class Tolerant {
 public:
  using value_type = Attempt<typename S::value_type>;
  static constexpr bool occupies_thread = [] {
    if constexpr (requires { S::occupies_thread; }) return S::occupies_thread;
    return false;
  }();

  explicit Tolerant(S source) : source_(std::move(source)) {}

  void open(runtime::Node& node, const runtime::Waker& waker) {
    if constexpr (requires { source_.open(node, waker); }) {
      source_.open(node, waker);
    } else if constexpr (requires { source_.open(node); }) {
      source_.open(node);
    }
  }
  void split(int part, int parts) requires requires(S source) { source.split(0, 1); }
  { source_.split(part, parts); }

  auto next() -> std::optional<value_type>
  requires BlockingSource<S> {
    try {
      auto record = source_.next();
      if (!record) return std::nullopt;
      return value_type{std::move(record)};
    } catch (const BadRecord& bad) {
      return value_type{std::nullopt, bad.text(), bad.what()};
    }
  }
  auto poll() -> Poll<value_type>
  requires PollingSource<S> {
    try {
      auto polled = source_.poll();
      if (polled.has_record()) return value_type{std::move(polled.record())};
      return polled.ended() ? Poll<value_type>::end() : Poll<value_type>::wait(polled.until());
    } catch (const BadRecord& bad) {
      return value_type{std::nullopt, bad.text(), bad.what()};
    }
  }

 private:
  S source_;
};

/// Behind a tolerant source: records go on, and bad ones to the handler.
template <class Handler, class Next>
class SortStage : public StageBase<Next> {
 public:
  SortStage(Handler handler, Next next) : StageBase<Next>(std::move(next)), handler_(std::move(handler)) {}

  template <class T, class... Stamp>
  void operator()(Attempt<T> attempt, Stamp... stamp) {
    if (attempt.record) {
      this->next_(std::move(*attempt.record), stamp...);
    } else {
      handler_.handle(attempt.text, attempt.error.c_str());
    }
  }
  void open(StageContext& context) {
    handler_.open(context);
    this->next_.open(context);
  }
  void flush() {
    handler_.flush();
    this->next_.flush();
  }
  void finish() {
    this->next_.finish();
    handler_.finish();
  }
  auto blocked() -> bool {
    const bool letters = handler_.blocked();
    return this->next_.blocked() || letters;
  }
  auto deadline() -> Time { return std::min(handler_.deadline(), this->next_.deadline()); }
  void tick(Time now) {
    if (handler_.deadline() <= now) handler_.tick(now);
    if (this->next_.deadline() <= now) this->next_.tick(now);
  }

 private:
  Handler handler_;
};

template <class Handler>
struct Sort {
  Handler handler;

  template <class Next>
  auto bind(Next next) && -> SortStage<Handler, Next> {
    return {std::move(handler), std::move(next)};
  }
};

}  // namespace operators
}  // namespace tensair
