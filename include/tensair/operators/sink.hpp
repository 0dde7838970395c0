#pragma once

#include <tensair/operators/stage.hpp>

namespace tensair::operators {

/// The end of a chain: calls a sink with each record. A sink is a lambda, or an object that may also have `open(node)`
/// or `open(node, waker)`, `flush()`, `finish()`, and `blocked()`: true while it cannot take more, and after `finish`
/// until all has gone; it then uses the waker when it can, and `flush` is called.
template <class K>
class SinkStage {
 public:
  SinkStage(std::shared_ptr<plan::Operator> op, K sink) : op_(std::move(op)), sink_(std::move(sink)) {}

  template <class T>
  void operator()(T&& record) {
    call(op_, sink_, std::forward<T>(record));
  }

  void open(StageContext& context) {
    if constexpr (requires { sink_.open(context.node, context.task.waker()); }) {
      sink_.open(context.node, context.task.waker());
    } else if constexpr (requires { sink_.open(context.node); }) {
      sink_.open(context.node);
    }
  }
  void flush() {
    if constexpr (requires { sink_.flush(); }) sink_.flush();
  }
  void finish() {
    if constexpr (requires { sink_.finish(); }) sink_.finish();
  }
  auto blocked() -> bool {
    if constexpr (requires { sink_.blocked(); }) {
      return sink_.blocked();
    } else {
      return false;
    }
  }

 private:
  std::shared_ptr<plan::Operator> op_;
  K sink_;
};

}  // namespace tensair::operators
