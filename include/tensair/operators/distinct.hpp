#pragma once

#include <memory>
#include <tensair/operators/key_by.hpp>
#include <utility>

namespace tensair::operators {

struct Nothing {};

/// The stage of `distinct()`: passes on the first record of each key.
template <class K, class Function, class Next>
class DistinctStage : public KeyedStage<K, Function, Nothing, Next> {
 public:
  using KeyedStage<K, Function, Nothing, Next>::KeyedStage;

  template <class T, class Stamp>
  void operator()(T&& record, Stamp stamp) {
    bool first = false;
    this->entry_of(std::as_const(record), [&] {
      first = true;
      return Nothing{};
    });
    if (first) this->next_(std::forward<T>(record), stamp);
  }
};

/// The operator before it is bound to the stage behind it.
template <class K, class Function>
struct Distinct {
  Function function;

  template <class Next>
  auto bind(Next next) && -> DistinctStage<K, Function, Next> {
    return {std::move(function), std::move(next)};
  }
};

}  // namespace tensair::operators
