#pragma once

#include <tensair/operators/stage.hpp>

namespace tensair::operators {

/// The end of a chain: calls a sink with each record. A sink is a lambda, or an object that may also have `open()`,
/// `flush()` and `finish()`.
template <class K>
class SinkStage {
 public:
  SinkStage(std::shared_ptr<plan::Operator> op, K sink) : op_(std::move(op)), sink_(std::move(sink)) {}

  template <class T>
  void operator()(T&& record) {
    call(op_, sink_, std::forward<T>(record));
  }

  void open(StageContext& context) {
    if constexpr (requires { sink_.open(context.node); }) sink_.open(context.node);
  }
  void flush() {
    if constexpr (requires { sink_.flush(); }) sink_.flush();
  }
  void finish() {
    if constexpr (requires { sink_.finish(); }) sink_.finish();
  }
  static constexpr auto blocked() -> bool { return false; }

 private:
  std::shared_ptr<plan::Operator> op_;
  K sink_;
};

}  // namespace tensair::operators
