#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <tensair/operators/chain.hpp>
#include <tensair/operators/on_error.hpp>
#include <type_traits>
#include <utility>

namespace tensair {

template <class T, class SomeChain>
class Stream;

namespace operators {

/// The records that the last operator of a chain fails on: those it takes, or of a source the texts it reads; void
/// where that is not known.
template <class SomeChain>
struct FailedRecord {
  using type = typename SomeChain::Input;
};
template <class S, bool Placed>
struct FailedRecord<Chain<SourceHead<S, Placed>, NoBinder>> {
  using type = std::string;
};
template <class Head, class Before, class Last, class Stamp, class In>
requires requires {
  typename Last::FailedRecord;
}
struct FailedRecord<Chain<Head, Then<Before, Last>, Stamp, In>> {
  using type = typename Last::FailedRecord;
};

/// Whether a letter of this type can be made of one of these.
template <class Letter, class Kinds>
inline constexpr bool is_letter_of = false;
template <class Letter, class... Failed>
inline constexpr bool is_letter_of<Letter, Fails<Failed...>> = (makes_letter<Letter, Failed> || ...);

/// What the last operator of a chain fails on apart from records.
template <class SomeChain>
struct LastFailures {
  using type = Fails<>;
};
template <class Head, class Before, class Last, class Stamp, class In>
struct LastFailures<Chain<Head, Then<Before, Last>, Stamp, In>> : FailuresOf<Last> {};

/// Whether a letter can be made of anything that the last operator of a chain fails on.
template <class SomeChain, class Letter>
inline constexpr bool can_be_letter = makes_letter<Letter, typename FailedRecord<SomeChain>::type> ||
                                      is_letter_of<Letter, typename LastFailures<SomeChain>::type>;

/// Whether a chain ends in an operator, or is a source: something that can fail.
template <class SomeChain>
inline constexpr bool ends_in_operator = false;
template <class Head, class Before, class Last, class Stamp, class In>
inline constexpr bool ends_in_operator<Chain<Head, Then<Before, Last>, Stamp, In>> = true;
template <class S, bool Placed>
inline constexpr bool ends_in_operator<Chain<SourceHead<S, Placed>, NoBinder>> = true;

/// The chain whose last operator's failures go to `handler`.
template <class Head, class Before, class Last, class Stamp, class In, class Handler>
auto guard(Chain<Head, Then<Before, Last>, Stamp, In> chain, Handler handler) {
  const auto replace = [&](auto last) {
    return Chain<Head, Then<Before, decltype(last)>, Stamp, In>{std::move(chain.head),
                                                                {std::move(chain.binder.before), std::move(last)}};
  };
  if constexpr (requires { requires Last::template hands_over_records<Handler>; }) {
    auto head = Last::without_front(std::move(chain.head));
    auto last = Guarded<Last, Handler>{std::move(chain.binder.last), std::move(handler)};
    return Chain<decltype(head), Then<Before, decltype(last)>, Stamp, In>{
        std::move(head), {std::move(chain.binder.before), std::move(last)}};
  } else if constexpr (requires { std::move(chain.binder.last).with(std::move(handler)); }) {
    return replace(std::move(chain.binder.last).with(std::move(handler)));
  } else {
    if constexpr (std::same_as<Handler, SkipHandler> && requires { chain.binder.last.skip_errors(); })
      chain.binder.last.skip_errors();
    return replace(Guarded<Last, Handler>{std::move(chain.binder.last), std::move(handler)});
  }
}

/// The same for a source.
template <class S, bool Placed, class Handler>
auto guard(Chain<SourceHead<S, Placed>, NoBinder> chain, Handler handler) {
  using Head = SourceHead<Tolerant<S>, Placed>;
  return Chain<Head, Then<NoBinder, Sort<Handler>>>{
      Head{std::move(chain.head.op), Tolerant<S>{std::move(chain.head.source)}}, {{}, {std::move(handler)}}};
}

}  // namespace operators

namespace detail {

// The stream of an operator's dead letters, which ends in their sink.
template <bool Everywhere, class Record, class K>
auto dead_letters(const std::shared_ptr<plan::Graph>& graph, const std::shared_ptr<plan::Operator>& of,
                  DeadLetters<Record, K> letters) -> operators::ForkStage<DeadLetter<Record>> {
  using Letter = DeadLetter<Record>;
  using Head = operators::ForkHead<Letter, Everywhere>;
  auto op = graph->add("dead_letter", operators::stream_type<Letter>(), of->placement);
  op->input = of->id;
  op->edge = plan::Edge::fork;
  op->parallel = of->parallel;
  op->loop = of->loop;
  op->compression = of->compression;
  auto point = std::make_shared<operators::ForkPoint<Letter, operators::Untimed>>();
  Stream<Letter, operators::Chain<Head, operators::NoBinder>>(graph, op, {Head{point}, {}})
      .sink(std::move(letters.sink));
  return operators::ForkStage<Letter>(point);
}

}  // namespace detail
}  // namespace tensair
