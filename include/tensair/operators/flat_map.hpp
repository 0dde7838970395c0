#pragma once

#include <span>  // enable_view, without the half second that <ranges> costs each unit
#include <tensair/operators/stage.hpp>

namespace tensair::operators {

/// The stage of `stream.flat_map(f)`: each record becomes every element of the range `f(record)`, or everything that
/// `f(record, emit)` emits.
template <class F, class Next>
class FlatMapStage : public StageBase<Next> {
 public:
  static constexpr bool heeds_watermarks = operators::heeds_watermarks<Next>;

  FlatMapStage(plan::OperatorRef op, F f, Next next) : StageBase<Next>(std::move(next)), op_(op), f_(std::move(f)) {}

  template <class T, class Stamp>
  void operator()(T&& record, Stamp stamp) {
    const auto emit = [this, stamp]<class Out>(Out&& out) { this->next_(std::forward<Out>(out), stamp); };
    if constexpr (std::invocable<F&, T, decltype(emit)&>) {
      call(op_, f_, std::forward<T>(record), emit);
    } else {
      decltype(auto) range = call(op_, f_, std::forward<T>(record));
      // Elements are moved only out of a container that was made for us; a view or a reference may show somebody
      // else's.
      using Range = decltype(range);
      for (auto&& out : range) {
        using Out = std::remove_cvref_t<decltype(out)>;
        if constexpr (std::is_reference_v<Range> || std::ranges::enable_view<std::remove_cvref_t<Range>>) {
          this->next_(Out(out), stamp);
        } else {
          this->next_(Out(std::move(out)), stamp);
        }
      }
    }
  }

 private:
  plan::OperatorRef op_;
  [[no_unique_address]] F f_;
};

/// The operator before it is bound to the stage behind it.
template <class F>
struct FlatMap {
  plan::OperatorRef op;
  F f;

  template <class Next>
  auto bind(Next next) && -> FlatMapStage<F, Next> {
    return {op, std::move(f), std::move(next)};
  }
};

}  // namespace tensair::operators
