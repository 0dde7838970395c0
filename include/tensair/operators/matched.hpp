#pragma once

#include <memory>
#include <optional>
#include <tensair/operators/stage.hpp>
#include <type_traits>
#include <utility>

// What becomes of records that meet.
//
// A join emits the records it has brought together as two pointers, and the user's function is an operator of its own
// behind it: so what is said of operators (`on_error`) holds for that function without the join's doing.

namespace tensair::operators {

/// Two records that a join has brought together, valid during the call; null: the side has none for the other one.
template <class L, class R>
struct Matched {
  const L* left = nullptr;
  const R* right = nullptr;

  /// What is kept of them: a pair of records, or of `std::optional` ones where there may be none.
  template <class A, class B>
  operator std::pair<A, B>() const {
    return {kept<A>(left), kept<B>(right)};
  }

 private:
  template <class Kept, class T>
  static auto kept(const T* record) -> Kept {
    if constexpr (requires { typename Kept::value_type; } && std::is_constructible_v<Kept, std::nullopt_t>) {
      return record == nullptr ? Kept{} : Kept{typename Kept::value_type(*record)};
    } else {
      return Kept(*record);
    }
  }
};

/// Which records a join emits that have no partner: null stands for it.
enum class Unmatched { none, left, right, both };

/// Whether the function of a join takes the left (right) record by pointer, because there may be none.
template <Unmatched emitted>
inline constexpr bool may_lack_left = emitted == Unmatched::right || emitted == Unmatched::both;
template <Unmatched emitted>
inline constexpr bool may_lack_right = emitted == Unmatched::left || emitted == Unmatched::both;

template <bool MayLack, class T>
using JoinArgument = std::conditional_t<MayLack, const T*, const T&>;

/// A function of the records of both sides that a join with these unmatched records can call.
template <class F, Unmatched emitted, class L, class R>
concept JoinFunction = std::move_constructible<F> &&
    std::invocable<F&, JoinArgument<may_lack_left<emitted>, L>, JoinArgument<may_lack_right<emitted>, R>>;

template <class F, Unmatched emitted, class L, class R>
using JoinResult = std::remove_cvref_t<
    std::invoke_result_t<F&, JoinArgument<may_lack_left<emitted>, L>, JoinArgument<may_lack_right<emitted>, R>>>;

/// The stage of a join's `with(f)`: records that have met become `f(left, right)`.
template <Unmatched emitted, class F, class Next>
class CombineStage : public StageBase<Next> {
 public:
  CombineStage(plan::OperatorRef op, F f, Next next) : StageBase<Next>(std::move(next)), op_(op), f_(std::move(f)) {}

  template <class L, class R, class Stamp>
  void operator()(const Matched<L, R>& matched, Stamp stamp) {
    this->next_(
        call(op_, f_, argument<may_lack_left<emitted>>(matched.left), argument<may_lack_right<emitted>>(matched.right)),
        stamp);
  }

 private:
  template <bool may_lack, class T>
  static auto argument(const T* record) -> JoinArgument<may_lack, T> {
    if constexpr (may_lack) {
      return record;
    } else {
      return *record;
    }
  }

  plan::OperatorRef op_;
  [[no_unique_address]] F f_;
};

/// The operator before it is bound to the stage behind it.
template <Unmatched emitted, class F>
struct Combine {
  plan::OperatorRef op;
  F f;

  template <class Next>
  auto bind(Next next) && -> CombineStage<emitted, F, Next> {
    return {op, std::move(f), std::move(next)};
  }
};

}  // namespace tensair::operators
