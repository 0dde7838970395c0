#pragma once

#include <concepts>
#include <memory>
#include <tensair/operators/owned.hpp>
#include <tensair/operators/stage.hpp>
#include <utility>
#include <vector>

// A stream whose every instance knows all records of another one.
//
// The left input stays where it is: each instance in front has one behind, on the same node. The right one is sent to
// all of them. So what an instance knows is a copy, in the order in which things came there.

namespace tensair::operators {

/// A record, and what is known when it comes. Valid during the call.
template <class T, class State>
struct Informed {
  const T& record;
  const State& state;

  /// What is kept of it when the function behind fails.
  operator Owned<T>() const { return OwnedRecord<T>::own(record); }
};

/// Keeps all records of the other stream, in a `std::vector`.
struct KeepAll {};

/// The stage that holds the state of one instance.
template <class T, class Rule, class State, class Update, class Next>
class BroadcastJoinStage : public StageBase<Next> {
 public:
  static constexpr bool watermark_of_left = true;

  BroadcastJoinStage(plan::OperatorRef op, Update update, Next next)
      : StageBase<Next>(std::move(next)), op_(op), update_(std::move(update)) {}

  template <class Stamp>
  void left(const T& record, Stamp stamp) {
    this->next_(Informed<T, State>{record, *state_}, stamp);
  }
  template <class R, class Stamp>
  void right(R&& rule, Stamp) {
    if constexpr (std::same_as<Update, KeepAll>) {
      state_->push_back(OwnedRecord<Rule>::own(std::forward<R>(rule)));
    } else {
      call(op_, update_, *state_, std::forward<R>(rule));
    }
  }

 private:
  plan::OperatorRef op_;
  [[no_unique_address]] Update update_;
  Fresh<State> state_;
};

/// The operator before it is bound to the stage behind it.
template <class T, class Rule, class State, class Update>
struct BroadcastJoin {
  plan::OperatorRef op;
  Update update;

  template <class Next>
  auto bind(Next next) && -> BroadcastJoinStage<T, Rule, State, Update, Next> {
    return {op, std::move(update), std::move(next)};
  }
};

/// The stage behind it, of the user's function: each record becomes `f(record, state)`.
template <class F, class Next>
class InformedMapStage : public StageBase<Next> {
 public:
  InformedMapStage(plan::OperatorRef op, F f, Next next)
      : StageBase<Next>(std::move(next)), op_(op), f_(std::move(f)) {}

  template <class T, class State, class Stamp>
  void operator()(const Informed<T, State>& informed, Stamp stamp) {
    this->next_(call(op_, f_, informed.record, informed.state), stamp);
  }

 private:
  plan::OperatorRef op_;
  [[no_unique_address]] F f_;
};

template <class F>
struct InformedMap {
  plan::OperatorRef op;
  F f;

  template <class Next>
  auto bind(Next next) && -> InformedMapStage<F, Next> {
    return {op, std::move(f), std::move(next)};
  }
};

}  // namespace tensair::operators
