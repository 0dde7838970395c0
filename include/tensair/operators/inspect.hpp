#pragma once

#include <tensair/operators/stage.hpp>

namespace tensair::operators {

/// The stage of `stream.inspect(look)`: calls `look(record)`, and passes the record on as it is.
template <class F, class Next>
class InspectStage : public StageBase<Next> {
 public:
  static constexpr bool heeds_watermarks = operators::heeds_watermarks<Next>;

  InspectStage(plan::OperatorRef op, F look, Next next)
      : StageBase<Next>(std::move(next)), op_(op), look_(std::move(look)) {}

  template <class T, class Stamp>
  void operator()(T&& record, Stamp stamp) {
    call(op_, look_, std::as_const(record));
    this->next_(std::forward<T>(record), stamp);
  }

 private:
  plan::OperatorRef op_;
  [[no_unique_address]] F look_;
};

/// The operator before it is bound to the stage behind it.
template <class F>
struct Inspect {
  plan::OperatorRef op;
  F look;

  template <class Next>
  auto bind(Next next) && -> InspectStage<F, Next> {
    return {op, std::move(look), std::move(next)};
  }
};

}  // namespace tensair::operators
