#pragma once

#include <string>
#include <tensair/operators/chain.hpp>
#include <tensair/operators/on_error.hpp>
#include <type_traits>
#include <utility>

namespace tensair::operators {

/// The records that the last operator of a chain fails on: those it takes, or of a source the texts it reads; void
/// where that is not known.
template <class SomeChain>
struct FailedRecord {
  using type = typename SomeChain::Input;
};
template <class S>
struct FailedRecord<Chain<SourceHead<S>, NoBinder>> {
  using type = std::string;
};
template <class SomeChain, class Record>
inline constexpr bool can_be_letter = std::is_void_v<typename FailedRecord<SomeChain>::type> ||
                                      std::is_constructible_v<Record, typename FailedRecord<SomeChain>::type>;

/// The chain whose last operator's failures go to `handler`.
template <class Head, class Before, class Last, class Stamp, class In, class Handler>
auto guard(Chain<Head, Then<Before, Last>, Stamp, In> chain, Handler handler) {
  const auto replace = [&](auto last) {
    return Chain<Head, Then<Before, decltype(last)>, Stamp, In>{std::move(chain.head),
                                                                {std::move(chain.binder.before), std::move(last)}};
  };
  if constexpr (requires { std::move(chain.binder.last).with(std::move(handler)); }) {
    return replace(std::move(chain.binder.last).with(std::move(handler)));
  } else {
    return replace(Guarded<Last, Handler>{std::move(chain.binder.last), std::move(handler)});
  }
}

/// The same for a source.
template <class S, class Handler>
auto guard(Chain<SourceHead<S>, NoBinder> chain, Handler handler) {
  using Head = SourceHead<Tolerant<S>>;
  return Chain<Head, Then<NoBinder, Sort<Handler>>>{
      Head{std::move(chain.head.op), Tolerant<S>{std::move(chain.head.source)}}, {{}, {std::move(handler)}}};
}

}  // namespace tensair::operators
