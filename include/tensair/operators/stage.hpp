#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <tensair/cold.hpp>
#include <tensair/operators/event_time.hpp>
#include <tensair/plan/graph.hpp>
#include <tensair/runtime/node.hpp>
#include <tensair/runtime/task.hpp>
#include <type_traits>
#include <typeinfo>
#include <utility>

// The stage protocol: how operators become one loop, and what flows through it.
//
// A *stage* is an object that is called with a record and calls the stage behind it; it holds that stage by value. So a
// chain of operators is one object whose call the compiler inlines down to the last stage, and a source's loop around
// it is the loop one would write by hand. A stage is made by `bind`: an operator (Map{f}) is bound to the stage behind
// it, beginning at the end of the chain.
//
// A record is passed as `stage(record, stamp)`. The stamp is `Untimed`, an empty type, until `assign_timestamps` makes
// it an `EventTime`; which of the two is known from the chain's type, so streams without event time pay nothing for it.
//
// In order with the records go
//   watermark(t)  no record with a time before t is expected any more; never goes back; `end_of_time` before finish.
//                 Passed on timed streams only. May be called while blocked (as records may that belong to one record
//                 in front: flat_map): a stage that reacts to it with many records keeps them and says it is blocked.
//                 Not sent over an edge to a chain in which no stage `heeds_watermarks`.
//   idle()        nothing has come for a while: who takes from several inputs does not wait for this one's watermark.
//                 Until the next watermark, which may be the last one again and comes before the record that shows that
//                 the stream is back, for that may not come through. Records alone, such as timers', do not end it.
//   finish()      once, after the last record
// and beside them
//   open(context) once, before the first record: the node, the task it runs in, and which of its instances this is
//   flush()       at the end of a turn of its task (a task that has more chunks to take goes on instead, for about a
//                 millisecond): what was held back to move in chunks goes on now. A stage with records left to emit
//                 emits while the stage behind it is not blocked.
//   blocked()     asked before a record is sent: true while something behind it cannot take more; the task then waits
//                 to be woken, and calls flush
//   deadline()    processing time at which the stage wants `tick(now)`; `never` if it does not. Asked after every turn.
//   tick(now)     the deadline has come, by the node's clock
//
// Parallel instances are copies of a stage made before it is opened. So a copy is a stage with the same functions and
// nothing in it: state that an unopened stage does not have, or that cannot be copied, is wrapped in `Fresh`.

namespace tensair::operators {

class FailureHandler;

/// What a stage learns when its task is built.
struct StageContext {
  runtime::Node& node;
  runtime::Task& task;
  int instance = 0;                    ///< which of the instances on this node, from 0
  int instances = 1;                   ///< how many there are on this node
  FailureHandler* failures = nullptr;  ///< the `on_error` of the operator that is opened (failures.hpp)
};

/// A stage that takes records of type T with stamps of type Stamp.
template <class S, class T, class Stamp = Untimed>
concept Stage = std::movable<S> && requires(S stage, T record, Stamp stamp, StageContext& context, Time now) {
  stage(std::move(record), stamp);
  stage.open(context);
  stage.flush();
  stage.finish();
  { stage.blocked() } -> std::convertible_to<bool>;
  { stage.deadline() } -> std::convertible_to<Time>;
  stage.tick(now);
};

/// Passes everything but records on; what most operators build on.
template <class Next>
class StageBase {
 public:
  explicit StageBase(Next next) : next_(std::move(next)) {}

  void open(StageContext& context) { next_.open(context); }
  void watermark(EventTime time) { next_.watermark(time); }
  void idle() { next_.idle(); }
  void flush() { next_.flush(); }
  void finish() { next_.finish(); }
  // Asked for each record, through all stages.
  [[gnu::always_inline]] auto blocked() -> bool { return next_.blocked(); }
  auto deadline() -> Time { return next_.deadline(); }
  void tick(Time now) { next_.tick(now); }

 protected:
  [[no_unique_address]] Next next_;
};

/// What a stage with no stage behind it need not say.
class LastStage {
 public:
  void open(StageContext&) {}
  void watermark(EventTime) {}
  void idle() {}
  void flush() {}
  void finish() {}
  static constexpr auto blocked() -> bool { return false; }
  static constexpr auto deadline() -> Time { return never; }
  void tick(Time) {}
};

/// Whether a stage does anything with watermarks. One that says it does not is not sent any over an edge.
template <class S>
inline constexpr bool heeds_watermarks = true;
template <class S>
requires requires {
  S::heeds_watermarks;
}
inline constexpr bool heeds_watermarks<S> = S::heeds_watermarks;

/// A stage's state: a copy of it is empty, because a copy of a stage is another instance of it.
template <class T>
struct Fresh {
  T value{};

  Fresh() = default;
  Fresh(const Fresh&) {}
  Fresh(Fresh&&) noexcept = default;
  auto operator=(const Fresh&) -> Fresh& = delete;
  auto operator=(Fresh&&) noexcept -> Fresh& = default;
  ~Fresh() = default;

  auto operator*() -> T& { return value; }
  auto operator*() const -> const T& { return value; }
  auto operator->() -> T* { return &value; }
  auto operator->() const -> const T* { return &value; }
};

/// A user's lambda threw inside an operator. Becomes a `UserError` where the record's number is known: in the task's
/// loop.
class LambdaThrew : public std::exception {
 public:
  /// @param place  what it was called for, if not for a record that had just come: "key 3, at the end of the stream"
  LambdaThrew(std::string operator_title, std::string thrown, std::string place = {})
      : title_(std::move(operator_title)), thrown_(std::move(thrown)), place_(std::move(place)) {}
  auto what() const noexcept -> const char* override { return thrown_.c_str(); }
  auto operator_title() const -> const std::string& { return title_; }
  auto place() const -> const std::string& { return place_; }

 private:
  std::string title_, thrown_, place_;
};

/// Call from a catch block: rethrows what a lambda threw, with its operator's name.
[[noreturn]] void rethrow_as_lambda_threw(const plan::Operator& op);

/// Calls a user's lambda. Costs nothing until it throws.
template <class F, class... Args>
inline auto call(plan::OperatorRef op, F& f, Args&&... args) -> decltype(auto) {
  if constexpr (std::is_nothrow_invocable_v<F&, Args...>) {
    return std::invoke(f, std::forward<Args>(args)...);
  } else {
    try {
      return std::invoke(f, std::forward<Args>(args)...);
    } catch (...) {
      rethrow_as_lambda_threw(*op);
    }
  }
}

/// The graph's ids number the channels too: operator `id` receives its records on channel `id + 1` (0 is the nodes'
/// own).
inline auto channel_of(const plan::Operator& op) -> net::ChannelId {
  return static_cast<net::ChannelId>(op.id) + 1;
}

auto stream_type(const std::type_info& record) -> std::string;
template <class T>
auto stream_type() -> std::string {
  return stream_type(typeid(T));
}

}  // namespace tensair::operators
