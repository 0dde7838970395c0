#pragma once

#include <tensair/operators/chain.hpp>
#include <tensair/operators/on_error.hpp>
#include <utility>

namespace tensair::operators {

/// The chain whose last operator's failures go to `handler`.
template <class Head, class Before, class Last, class Stamp, class Handler>
auto guard(Chain<Head, Then<Before, Last>, Stamp> chain, Handler handler) {
  const auto replace = [&](auto last) {
    return Chain<Head, Then<Before, decltype(last)>, Stamp>{std::move(chain.head),
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
