#pragma once

#include <tensair/operators/stage.hpp>

namespace tensair::operators {

/// The stage of `stream.filter(keep)`: passes on the records for which `keep(record)` is true.
template <class F, class Next>
class FilterStage : public StageBase<Next> {
 public:
  static constexpr bool heeds_watermarks = operators::heeds_watermarks<Next>;

  FilterStage(plan::OperatorRef op, F keep, Next next)
      : StageBase<Next>(std::move(next)), op_(op), keep_(std::move(keep)) {}

  template <class T, class Stamp>
  void operator()(T&& record, Stamp stamp) {
    if (call(op_, keep_, std::as_const(record))) this->next_(std::forward<T>(record), stamp);
  }

 private:
  plan::OperatorRef op_;
  [[no_unique_address]] F keep_;
};

/// The operator before it is bound to the stage behind it.
template <class F>
struct Filter {
  plan::OperatorRef op;
  F keep;

  template <class Next>
  auto bind(Next next) && -> FilterStage<F, Next> {
    return {op, std::move(keep), std::move(next)};
  }
};

}  // namespace tensair::operators
