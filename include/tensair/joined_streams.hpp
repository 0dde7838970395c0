#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <memory>
#include <string>
#include <tensair/error.hpp>
#include <tensair/mistake.hpp>
#include <tensair/operators/chain.hpp>
#include <tensair/operators/interval_join.hpp>
#include <tensair/operators/regular_join.hpp>
#include <tensair/operators/two_inputs.hpp>
#include <tensair/window_joined_streams.hpp>
#include <type_traits>
#include <utility>

namespace tensair {

template <class T, class SomeChain>
class Stream;

/// A join of streams where the times of a pair must lie close to each other: what `left.join(right).between(…)`
/// returns. See `JoinedStreams`.
template <class Left, class Right>
class IntervalJoinedStreams {
 public:
  IntervalJoinedStreams(Left left, Right right, operators::JoinInterval interval)
      : left_(std::move(left)), right_(std::move(right)), interval_(interval) {}

  /// Each pair becomes `f(left record, right record)`, with the later time of the two.
  ///
  /// @code
  /// views.key_by(&View::ad)
  ///     .join(clicks.key_by(&Click::ad))
  ///     .between(0s, 10s)
  ///     .with([](const View& view, const Click& click) { return click.when - view.when; });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class F>
  auto with(F f) && {
    constexpr bool has_time = Left::timed && Right::timed;
    static_assert(has_time, "an interval join needs event time on both sides: call assign_timestamps before key_by");
    static_assert(!Left::expires && !Right::expires,
                  "an interval join keeps records as long as its bounds say: no time_to_live");
    constexpr bool fits =
        operators::JoinFunction<F, operators::Unmatched::none, typename Left::value_type, typename Right::value_type>;
    static_assert(fits, "with(f): f takes a record of the left stream and one of the right stream");
    if constexpr (has_time && fits) {
      left_.refuse_in_loop("an interval join");
      return std::move(left_).template join_with<operators::Unmatched::none, EventTime>(
          "interval_join", std::move(right_), std::move(f), [&](auto op, auto left, auto right) {
            op->detail = operators::describe(interval_);
            using Operator = operators::IntervalJoin<typename Left::key_type, decltype(left), decltype(right)>;
            return Operator{std::move(op), std::move(left), std::move(right), interval_};
          });
    } else {
      return detail::Mistake{};
    }
  }

 private:
  Left left_;
  Right right_;
  operators::JoinInterval interval_;
};

/// A join of two keyed streams that has not been given its kind yet: what `left.key_by(f).join(right.key_by(g))`
/// returns. Records with the same key meet; every pair comes out once, whichever of the two came first.
///
/// Both sides are exchanged by key, and meet in the instances of the join: as many as the side with the greater
/// `parallel(n)` has. The same stream may be on both sides. Neither side waits for the other: what is ahead is kept
/// until the other one has caught up.
///
/// A floating-point key that is not a number equals nothing, so its records have no partners.
template <class Left, class Right>
class JoinedStreams {
 public:
  JoinedStreams(Left left, Right right) : left_(std::move(left)), right_(std::move(right)) {}

  /// Pairs whose times differ by at least `lower` and at most `upper`: left time + lower ≤ right time ≤ left time +
  /// upper. Bounds may be negative; they are kept in microseconds.
  ///
  /// A record is kept until the watermark, the lesser of both sides', says that no partner can come any more. Late
  /// records, those older than the watermark, are left out and counted in the run's figures.
  ///
  /// @code
  /// orders.key_by(&Order::id)
  ///     .join(payments.key_by(&Payment::order))
  ///     .between(0s, 30min)
  ///     .with([](const Order& order, const Payment&) { return order.id; });
  /// @endcode
  /// @throws UsageError  the lower bound is above the upper one
  template <class RepA, class PeriodA, class RepB, class PeriodB>
  auto between(std::chrono::duration<RepA, PeriodA> lower, std::chrono::duration<RepB, PeriodB> upper) && {
    using std::chrono::floor;
    const auto interval = operators::checked({floor<EventTime::duration>(lower), floor<EventTime::duration>(upper)});
    return IntervalJoinedStreams<Left, Right>(std::move(left_), std::move(right_), interval);
  }

  /// Pairs that lie in the same window, and with `left_outer()`, `right_outer()` or `full_outer()` records without a
  /// partner too; or with `co_group`, all records of both sides. See `tumbling`, `sliding`, `session`, and
  /// `WindowJoinedStreams` for what may follow.
  ///
  /// @code
  /// views.key_by(&View::ad)
  ///     .join(clicks.key_by(&Click::ad))
  ///     .window(tensair::tumbling(1min))
  ///     .with([](const View& view, const Click& click) { return std::pair(view.ad, click.user); });
  /// @endcode
  template <class W>
  auto window(W windows) && {
    return WindowJoinedStreams<Left, Right, W>(std::move(left_), std::move(right_), windows);
  }

  /// Every pair with the same key becomes `f(left record, right record)`: a join without a window. With event time, a
  /// pair has the later time of the two.
  ///
  /// All records of both sides are kept until the end, or for the `time_to_live` of their side: each for so long, by
  /// the node's clock, after it came (and up to a 64th of it more).
  ///
  /// @code
  /// orders.key_by(&Order::id)
  ///     .time_to_live(24h)
  ///     .join(payments.key_by(&Payment::order).time_to_live(24h))
  ///     .with([](const Order& order, const Payment& payment) { return order.cents - payment.cents; });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class F>
  auto with(F f) && {
    constexpr bool same_time = Left::timed == Right::timed;
    static_assert(same_time,
                  "streams with event time join with such only: call assign_timestamps on both sides, or on none");
    constexpr bool fits =
        operators::JoinFunction<F, operators::Unmatched::none, typename Left::value_type, typename Right::value_type>;
    static_assert(fits, "with(f): f takes a record of the left stream and one of the right stream");
    if constexpr (same_time && fits) {
      using Stamp = typename Left::Stamp;
      return std::move(left_).template join_with<operators::Unmatched::none, Stamp>(
          "join", std::move(right_), std::move(f), [](auto op, auto left, auto right) {
            using Operator = operators::RegularJoin<typename Left::key_type, decltype(left), decltype(right), Stamp>;
            return Operator{std::move(op), std::move(left), std::move(right)};
          });
    } else {
      return detail::Mistake{};
    }
  }

 private:
  Left left_;
  Right right_;
};

}  // namespace tensair
