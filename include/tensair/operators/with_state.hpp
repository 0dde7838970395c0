#pragma once

#include <memory>
#include <tensair/operators/key_by.hpp>
#include <utility>

namespace tensair::operators {

/// The stage of `with_state<S>(f)`: each record becomes `f(state of its key, record)`.
template <class K, class Function, class S, class F, class Next>
class WithStateStage : public KeyedStage<K, Function, S, Next> {
 public:
  WithStateStage(plan::OperatorRef op, Function function, F f, Next next)
      : KeyedStage<K, Function, S, Next>(std::move(function), std::move(next)), op_(op), f_(std::move(f)) {}

  template <class T, class Stamp>
  void operator()(T&& record, Stamp stamp) {
    auto& entry = this->entry_of(std::as_const(record), [] { return S{}; });
    this->next_(call(op_, f_, this->state(entry), std::forward<T>(record)), stamp);
  }

 private:
  plan::OperatorRef op_;
  [[no_unique_address]] F f_;
};

/// The operator before it is bound to the stage behind it.
template <class K, class Function, class S, class F>
struct WithState {
  plan::OperatorRef op;
  Function function;
  F f;

  template <class Next>
  auto bind(Next next) && -> WithStateStage<K, Function, S, F, Next> {
    return {op, std::move(function), std::move(f), std::move(next)};
  }
};

}  // namespace tensair::operators
