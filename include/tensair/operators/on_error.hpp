#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <tensair/operators/filter.hpp>
#include <tensair/operators/fork.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/runtime/source.hpp>
#include <utility>

// What happens to a record that an operator cannot work on.
//
// A guarded operator stands between two stages: one in front that catches what the operator throws, and one behind. The
// one behind does nothing but remember, when an exception comes from further down, that the failure is not the
// operator's own; then it must go on to whoever is responsible. Both are try blocks that nothing is paid for until
// something is thrown, so it does not matter what the operator is, or how many records it makes of one.

namespace tensair {

/// `on_error(stop)`: the first record that fails stops the pipeline, as without `on_error`.
struct Stop {};
inline constexpr Stop stop{};

/// `on_error(skip)`: a record that fails is left out and counted: `--json` has the number under `counts`.
///
/// @code
/// log_lines.map(parse).on_error(tensair::skip).sink(print);
/// @endcode
struct Skip {};
inline constexpr Skip skip{};

/// A record that failed, and why.
template <class T>
struct DeadLetter {
  T record;
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
  static constexpr bool fits = std::invocable<K&, DeadLetter<T>>;

  K sink;
};

/// `on_error(dead_letter<T>(sink))`: a record that fails goes to `sink` as a `DeadLetter<T>`, on node 0, and is
/// counted.
/// @tparam T  the records that the operator takes; behind a source `std::string`: the text that was read
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

/// Sends failed records to a stream of their own, which is used as one that has a name is.
template <class T>
class LetterHandler {
 public:
  static constexpr bool keeps_record = true;

  LetterHandler(plan::OperatorRef op, ForkStage<DeadLetter<T>> letters) : op_(op), letters_(std::move(letters)) {}

  void open(StageContext& context) {
    node_ = context.node.rank();
    count_ = context.node.counter(op_->title() + ": dead letters");
    letters_.open(context);
  }
  auto is_about(const LambdaThrew& threw) const -> bool { return threw.operator_title() == op_->title(); }
  template <class Record>
  void handle(const Record& record, const char* error) {
    constexpr bool fits = std::is_constructible_v<T, const Record&>;
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

/// The stage behind a guarded operator.
template <class Next>
class GuardExit : public StageBase<Next> {
 public:
  GuardExit(FromBehind from_behind, Next next)
      : StageBase<Next>(std::move(next)), from_behind_(std::move(from_behind)) {}

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
};

/// Operators whose function only looks at the record, so that it is whole when the function has thrown.
template <class Operator>
inline constexpr bool only_looks = false;
template <class F>
inline constexpr bool only_looks<Filter<F>> = true;

/// The stage in front of a guarded operator, and that operator.
template <class Inner, class Handler, bool OnlyLooks>
class GuardStage {
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
      if (*from_behind_ || !handler_.is_about(threw)) throw;
      handler_.handle(record, threw.what());
    } catch (const Error& error) {
      if (*from_behind_) throw;
      handler_.handle(record, error.what());
    }
  }

  void open(StageContext& context) {
    handler_.open(context);
    inner_.open(context);
  }
  void watermark(EventTime time) { inner_.watermark(time); }
  void idle() { inner_.idle(); }
  void flush() {
    handler_.flush();
    inner_.flush();
  }
  void finish() {
    inner_.finish();
    handler_.finish();
  }
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
  FromBehind from_behind_;
  Handler handler_;
  Inner inner_;
};

/// An operator and what becomes of its failures, before it is bound to the stage behind it.
template <class Operator, class Handler>
struct Guarded {
  Operator guarded;
  Handler handler;

  template <class Next>
  auto bind(Next next) && {
    auto from_behind = std::make_shared<std::atomic<bool>>(false);
    auto inner = std::move(guarded).bind(GuardExit<Next>(from_behind, std::move(next)));
    return GuardStage<decltype(inner), Handler, only_looks<Operator>>(std::move(from_behind), std::move(handler),
                                                                      std::move(inner));
  }
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
