#pragma once

#include <tensair/operators/stage.hpp>

namespace tensair::operators {

/// The stage of `stream.map(f)`: each record becomes `f(record)`.
template <class F, class Next>
class MapStage : public StageBase<Next> {
 public:
  static constexpr bool heeds_watermarks = operators::heeds_watermarks<Next>;

  MapStage(plan::OperatorRef op, F f, Next next) : StageBase<Next>(std::move(next)), op_(op), f_(std::move(f)) {}

  template <class T, class Stamp>
  void operator()(T&& record, Stamp stamp) {
    this->next_(call(op_, f_, std::forward<T>(record)), stamp);
  }

 private:
  plan::OperatorRef op_;
  [[no_unique_address]] F f_;
};

/// The operator before it is bound to the stage behind it.
template <class F>
struct Map {
  plan::OperatorRef op;
  F f;

  template <class Next>
  auto bind(Next next) && -> MapStage<F, Next> {
    return {op, std::move(f), std::move(next)};
  }
};

}  // namespace tensair::operators
