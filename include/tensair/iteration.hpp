#pragma once

#include <concepts>
#include <memory>
#include <tensair/error.hpp>
#include <tensair/mistake.hpp>
#include <tensair/operators/chain.hpp>
#include <tensair/operators/iterate.hpp>
#include <type_traits>
#include <utility>

namespace tensair {

template <class T, class SomeChain>
class Stream;

namespace detail {

/// A stream as an operator takes it that takes several: one that has a name is used once more, another one is moved.
struct UseOrMove {
  template <class SomeStream>
  static auto of(SomeStream&& stream) {
    if constexpr (std::is_lvalue_reference_v<SomeStream>) {
      return stream.use();
    } else {
      return std::move(stream);
    }
  }
};
template <class SomeStream>
using UsedOrMoved = decltype(UseOrMove::of(std::declval<SomeStream>()));

}  // namespace detail

/// What the body of a loop returns: the stream that goes round again, and the stream that goes on behind the loop. See
/// `Stream::iterate`.
///
/// @code
/// pipeline.source(std::vector{10, 20}).iterate([](auto loop) {
///   auto halves = std::move(loop).map([](int n) { return n / 2; });
///   return tensair::Iteration{halves.filter([](int n) { return n > 1; }), halves};
/// });
/// @endcode
template <class Feedback, class Output>
struct Iteration {
  template <class SomeFeedback, class SomeOutput>
  Iteration(SomeFeedback&& goes_round, SomeOutput&& goes_on)
      : feedback(detail::UseOrMove::of(std::forward<SomeFeedback>(goes_round))),
        output(detail::UseOrMove::of(std::forward<SomeOutput>(goes_on))) {}

  Feedback feedback;
  Output output;
};
template <class Feedback, class Output>
Iteration(Feedback&&, Output&&) -> Iteration<detail::UsedOrMoved<Feedback>, detail::UsedOrMoved<Output>>;

namespace detail {

template <class T>
inline constexpr bool is_iteration = false;
template <class Feedback, class Output>
inline constexpr bool is_iteration<Iteration<Feedback, Output>> = requires {
  typename Feedback::chain_type;
}
&&requires {
  typename Output::chain_type;
};

/// Whether streams of type T can go round: records of the loop's type, behind operators that pass its markers on.
template <class Feedback, class T>
concept GoesRound = std::same_as<typename Feedback::value_type, T> && Feedback::chain_type::timed;

/// Writes a loop down: see `Stream::iterate`.
struct Loop {
  template <class T, class SomeChain, class Body, class... Others>
  static auto around(Stream<T, SomeChain> stream, Body body, Others&&... others) {
    if (stream.op_->loop >= 0)
      throw UsageError("iterate in a loop", "after " + stream.op_->title(), "Loops cannot be nested.");
    auto op = stream.follow("iterate", operators::stream_type<T>());
    op->edge = plan::Edge::local;
    op->placement = plan::Placement::every_node;
    op->loop = op->id;
    auto shared = std::make_shared<operators::LoopPlan<T>>();
    shared->op = op;
    using Head = operators::LoopHead<T, SomeChain>;
    auto loop = Stream<T, operators::Chain<Head, operators::NoBinder>>(
        stream.graph_, op, {Head{std::move(stream.chain_), stream.op_, shared}, {}});
    using Result = decltype(body(std::move(loop), enter(UseOrMove::of(std::forward<Others>(others)), 0)...));
    constexpr bool fits = is_iteration<Result>;
    static_assert(fits, "iterate(body): body(loop) returns an Iteration{feedback, output} of two streams");
    if constexpr (fits) {
      constexpr bool goes_round = GoesRound<decltype(Result::feedback), T>;
      static_assert(goes_round,
                    "iterate(body): the feedback has the type of the loop's records, and no model or window in "
                    "processing time stands before it");
      if constexpr (goes_round) {
        auto iteration = body(std::move(loop), enter(UseOrMove::of(std::forward<Others>(others)), op->id)...);
        feed_back(std::move(iteration.feedback), std::move(shared));
        return leave(std::move(iteration.output));
      } else {
        return Mistake{};
      }
    } else {
      return Mistake{};
    }
  }

  // A stream from outside where it is used in the loop.
  template <class T, class SomeChain>
  static auto enter(Stream<T, SomeChain> stream, int loop) {
    auto op = stream.follow("enter", operators::stream_type<T>());
    op->loop = loop;
    return stream.template then<T>(op, operators::EnterLoop{});
  }

  // A stream of the loop where it leaves it.
  template <class T, class SomeChain>
  static auto leave(Stream<T, SomeChain> stream) {
    auto op = stream.follow("leave", operators::stream_type<T>());
    op->loop = -1;
    return stream.template then<T>(op, operators::LeaveLoop{});
  }

  template <class T, class SomeChain>
  static void feed_back(Stream<T, SomeChain> stream, std::shared_ptr<operators::LoopPlan<T>> shared) {
    if (stream.op_->loop != shared->op->id)
      throw UsageError("the feedback of iterate does not come from its loop", stream.op_->title(),
                       "Make it of the stream that the body is given.");
    auto op = stream.follow("feedback", "");
    if (!stream.forked_) op->edge = plan::Edge::feedback;
    shared->feedback_op = op;
    std::move(stream.chain_).end(*stream.graph_, operators::FeedbackStage<T>(std::move(shared)));
  }
};

}  // namespace detail
}  // namespace tensair
