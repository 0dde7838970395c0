#pragma once

#include <string>
#include <string_view>
#include <tensair/operators/stage.hpp>
#include <type_traits>

namespace tensair::operators {

template <class T>
struct OwnedType {
  using type = T;
};
template <>
struct OwnedType<std::string_view> {
  using type = std::string;
};

/// What a record is kept as where it outlives the call that brings it: in a batch, in a fork, on its way to another
/// task. Text that a source shows only for a moment (`std::string_view`) becomes a `std::string`.
template <class T>
using Owned = typename OwnedType<T>::type;

template <class T>
inline constexpr bool is_owned = std::is_same_v<T, Owned<T>>;

/// Makes records owned.
template <class T, class Next>
class OwnStage : public StageBase<Next> {
 public:
  explicit OwnStage(Next next) : StageBase<Next>(std::move(next)) {}

  template <class... Stamp>
  void operator()(T record, Stamp&&... stamp) {
    this->next_(Owned<T>(record), std::forward<Stamp>(stamp)...);
  }
};

/// The operator before it is bound to the stage behind it.
template <class T>
struct Own {
  template <class Next>
  auto bind(Next next) && -> OwnStage<T, Next> {
    return OwnStage<T, Next>(std::move(next));
  }
};

}  // namespace tensair::operators
