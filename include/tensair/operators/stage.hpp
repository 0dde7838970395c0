#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <tensair/plan/graph.hpp>
#include <tensair/runtime/node.hpp>
#include <tensair/runtime/task.hpp>
#include <type_traits>
#include <typeinfo>
#include <utility>

// How record-wise operators become one loop.
//
// A *stage* is an object that is called with a record and calls the stage behind it; it holds that stage by value. So a
// chain of operators is one object whose call the compiler inlines down to the last stage, and a source's loop around
// it is the loop one would write by hand. A stage is made by `bind`: an operator (Map{f}) is bound to the stage behind
// it, beginning at the end of the chain.
//
// Besides records a stage passes on four calls, all in order with the records:
//   open     once, before the first record: the node and the task it runs in
//   flush    at the end of every turn of its task: what was held back to move in chunks goes on now
//   finish   once, after the last record
//   blocked  asked before a record is sent: true while something behind it cannot take more; the task then waits to be
//   woken

namespace tensair::operators {

/// What a stage learns when its task is built.
struct StageContext {
  runtime::Node& node;
  runtime::Task& task;
};

/// A stage that takes records of type T.
template <class S, class T>
concept Stage = std::movable<S> && requires(S stage, T record, StageContext& context) {
  stage(std::move(record));
  stage.open(context);
  stage.flush();
  stage.finish();
  { stage.blocked() } -> std::convertible_to<bool>;
};

/// Passes everything but records on; what most operators build on.
template <class Next>
class StageBase {
 public:
  explicit StageBase(Next next) : next_(std::move(next)) {}

  void open(StageContext& context) { next_.open(context); }
  void flush() { next_.flush(); }
  void finish() { next_.finish(); }
  auto blocked() -> bool { return next_.blocked(); }

 protected:
  [[no_unique_address]] Next next_;
};

/// A user's lambda threw inside an operator. Becomes a `UserError` where the record's number is known: in the task's
/// loop.
class LambdaThrew : public std::exception {
 public:
  LambdaThrew(std::string operator_title, std::string thrown)
      : title_(std::move(operator_title)), thrown_(std::move(thrown)) {}
  auto what() const noexcept -> const char* override { return thrown_.c_str(); }
  auto operator_title() const -> const std::string& { return title_; }

 private:
  std::string title_, thrown_;
};

/// Call from a catch block: rethrows what a lambda threw, with its operator's name.
[[noreturn]] void rethrow_as_lambda_threw(const plan::Operator& op);

/// Calls a user's lambda. Costs nothing until it throws.
template <class F, class... Args>
inline auto call(const std::shared_ptr<plan::Operator>& op, F& f, Args&&... args) -> decltype(auto) {
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
