#pragma once

#include <chrono>
#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <tensair/mistake.hpp>
#include <tensair/operators/window_join.hpp>
#include <tensair/windowed_stream.hpp>
#include <type_traits>
#include <utility>

namespace tensair {

/// Two streams in the same windows: what `left.key_by(f).join(right.key_by(g)).window(w)` returns. Records meet that
/// have the same key and lie in the same window.
///
/// A window is dealt with when the watermark, the lesser of both sides', has passed its end; what becomes of its
/// records has the time `window.last()`, and then the records are forgotten. A record in several (sliding) windows
/// meets its partners in each. In session windows records of both sides keep a session going.
///
/// Late records are dropped and counted, or go to the sinks given with `late`.
template <class Left, class Right, class W, operators::Unmatched emitted = operators::Unmatched::none,
          class LateLeft = operators::NoLateSink, class LateRight = operators::NoLateSink>
class WindowJoinedStreams {
  using K = typename Left::key_type;
  using L = typename Left::value_type;
  using R = typename Right::value_type;
  using Kind = operators::WindowKind<W>;
  using OutStamp = std::conditional_t<Kind::processing_time, operators::Untimed, EventTime>;

 public:
  WindowJoinedStreams(Left left, Right right, W windows, LateLeft late_left = {}, LateRight late_right = {},
                      std::chrono::microseconds lateness = {})
      : left_(std::move(left)),
        right_(std::move(right)),
        windows_(windows),
        late_left_(std::move(late_left)),
        late_right_(std::move(late_right)),
        lateness_(lateness) {}

  /// Left records without a partner in their window come out too: the function of `with` is then `f(const L&, const
  /// R*)`, with null for the partner.
  ///
  /// @code
  /// clicks.key_by(&Click::ad)
  ///     .join(views.key_by(&View::ad))
  ///     .window(tensair::tumbling(10s))
  ///     .left_outer()
  ///     .with([](const Click& click, const View* view) { return std::pair(click.user, view != nullptr); });
  /// @endcode
  auto left_outer() && { return std::move(*this).template with_unmatched<operators::Unmatched::left>(); }
  /// Right records without a partner come out too: `f(const L*, const R&)`.
  ///
  /// @code
  /// clicks.key_by(&Click::ad)
  ///     .join(views.key_by(&View::ad))
  ///     .window(tensair::tumbling(10s))
  ///     .right_outer()
  ///     .with([](const Click* click, const View& view) { return std::pair(view.ad, click != nullptr); });
  /// @endcode
  auto right_outer() && { return std::move(*this).template with_unmatched<operators::Unmatched::right>(); }
  /// Records without a partner come out from both sides: `f(const L*, const R*)`, one of them null.
  ///
  /// @code
  /// orders.key_by(&Order::id)
  ///     .join(payments.key_by(&Payment::order))
  ///     .window(tensair::session(24h))
  ///     .full_outer()
  ///     .with([](const Order* order, const Payment* payment) {
  ///       return (order ? order->cents : 0) - (payment ? payment->cents : 0);
  ///     });
  /// @endcode
  auto full_outer() && { return std::move(*this).template with_unmatched<operators::Unmatched::both>(); }

  /// Windows are kept for so long after their end: with a record that comes in that time, everything of its key and
  /// window comes out again.
  ///
  /// @code
  /// clicks.key_by(&Click::ad)
  ///     .join(views.key_by(&View::ad))
  ///     .window(tensair::tumbling(10s))
  ///     .allowed_lateness(1min)
  ///     .with([](const Click& click, const View&) { return click.user; });
  /// @endcode
  /// @throws UsageError  the lateness is negative, or more than a thousand years
  auto allowed_lateness(std::chrono::microseconds lateness) && -> WindowJoinedStreams {
    static_assert(!Kind::processing_time, "nothing is late in processing time");
    lateness_ = operators::checked_lateness(lateness);
    return std::move(*this);
  }

  /// Late records go to these sinks, on node 0: those of the left stream to the first.
  ///
  /// @code
  /// clicks.key_by(&Click::ad)
  ///     .join(views.key_by(&View::ad))
  ///     .window(tensair::tumbling(10s))
  ///     .late([](const Click& click) { std::puts(click.user.c_str()); }, [](const View&, tensair::EventTime) {})
  ///     .with([](const Click& click, const View&) { return click.user; });
  /// @endcode
  template <class OfLeft, class OfRight>
  auto late(OfLeft of_left, OfRight of_right) && {
    static_assert(!Kind::processing_time, "nothing is late in processing time");
    static_assert((std::invocable<OfLeft&, L> || std::invocable<OfLeft&, L, EventTime>)&&(
                      std::invocable<OfRight&, R> || std::invocable<OfRight&, R, EventTime>),
                  "late(a, b): a takes records of the left stream, b those of the right one");
    return WindowJoinedStreams<Left, Right, W, emitted, OfLeft, OfRight>(
        std::move(left_), std::move(right_), windows_, std::move(of_left), std::move(of_right), lateness_);
  }

  /// Each pair of a key and window becomes `f(left record, right record)`.
  ///
  /// @code
  /// clicks.key_by(&Click::ad)
  ///     .join(views.key_by(&View::ad))
  ///     .window(tensair::tumbling(10s))
  ///     .with([](const Click& click, const View& view) { return std::pair(click.user, view.when); });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class F>
  auto with(F f) && {
    constexpr bool can = can_meet();
    constexpr bool fits = operators::JoinFunction<F, emitted, L, R>;
    static_assert(fits,
                  "with(f): f takes a record of the left stream and one of the right stream; of a side that may have "
                  "none (left_outer, right_outer, full_outer) a pointer");
    if constexpr (!can || !fits) {
      return detail::Mistake{};
    } else {
      if constexpr (!Kind::processing_time) left_.refuse_in_loop("a window in event time");
      return std::move(left_).template join_with<emitted, OutStamp>(
          "window_join", std::move(right_), std::move(f),
          maker<operators::MatchInWindow<emitted, L, R>>(emitted == operators::Unmatched::none    ? "inner"
                                                         : emitted == operators::Unmatched::left  ? "left outer"
                                                         : emitted == operators::Unmatched::right ? "right outer"
                                                                                                  : "full outer"));
    }
  }

  /// Calls `f(key, window, left, right, emit)` for each key and window that has records, with all of them: spans of
  /// const records, in the order in which they came (in sliding windows: by slice), one of them perhaps empty. It emits
  /// with `emit(Out)`. What is a view (`std::string_view`) has been copied: the span is of what owns it.
  ///
  /// @code
  /// clicks.key_by(&Click::ad)
  ///     .join(views.key_by(&View::ad))
  ///     .window(tensair::tumbling(1h))
  ///     .co_group<double>([](long, const tensair::Window&, std::span<const Click> clicked, std::span<const View> seen,
  ///                          auto emit) {
  ///       if (!seen.empty()) emit(double(clicked.size()) / double(seen.size()));
  ///     });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `f` throws
  template <class Out, class F>
  auto co_group(F f) && {
    constexpr bool can = can_meet();
    static_assert(emitted == operators::Unmatched::none, "co_group sees all records as it is: no outer join");
    using Emit = void (*)(Out);
    constexpr bool fits =
        std::invocable<F&, const Owned<K>&, const Window&, std::span<const Owned<L>>, std::span<const Owned<R>>, Emit>;
    static_assert(fits, "co_group<Out>(f): f takes key, window, std::span<const L>, std::span<const R> and emit(Out)");
    if constexpr (can && fits) {
      if constexpr (!Kind::processing_time) left_.refuse_in_loop("a window in event time");
      return std::move(left_).template two_inputs<Out, OutStamp>(
          "co_group", std::move(right_), maker<operators::GroupBothSides<K, L, R>>(""), [&](auto op) {
            return operators::CoGroup<Out, F>{std::move(op), std::move(f)};
          });
    } else {
      return detail::Mistake{};
    }
  }

 private:
  template <class, class, class, operators::Unmatched, class, class>
  friend class WindowJoinedStreams;

  static constexpr auto can_meet() -> bool {
    static_assert(!Kind::counts, "streams meet in windows of time: a number of records is no window for two streams");
    constexpr bool has_time = Kind::processing_time || (Left::timed && Right::timed);
    static_assert(has_time,
                  "a window in event time needs event time on both sides: call assign_timestamps before key_by, or "
                  "window(processing_time(…))");
    static_assert(!Left::expires && !Right::expires, "a window says itself how long records are kept: no time_to_live");
    constexpr bool copies = std::copy_constructible<Owned<L>> && std::copy_constructible<Owned<R>>;
    static_assert(copies, "a window keeps copies of the records of both streams: make them copyable");
    return !Kind::counts && has_time && copies;
  }

  template <operators::Unmatched which>
  auto with_unmatched() && {
    static_assert(emitted == operators::Unmatched::none, "left_outer, right_outer or full_outer: one of them");
    return WindowJoinedStreams<Left, Right, W, which, LateLeft, LateRight>(
        std::move(left_), std::move(right_), windows_, std::move(late_left_), std::move(late_right_), lateness_);
  }

  // What makes the operator in front of the user's function.
  template <class A>
  auto maker(std::string kind) {
    return [this, kind](auto op, auto left, auto right) {
      using Function = operators::KeyOfEither<decltype(left.function), decltype(right.function)>;
      using Late = operators::LateOfEither<operators::LateRecords<L, LateLeft>, operators::LateRecords<R, LateRight>>;
      using Parts = operators::WindowParts<K, void, Function, A, Late, operators::AtEndOfWindow, Kind::processing_time>;
      op->detail = kind + (kind.empty() ? "" : ", ") + Kind::of(windows_).describe();
      auto late = Late{detail::late_records<L>(left_.graph(), op, std::move(late_left_)),
                       detail::late_records<R>(left_.graph(), op, std::move(late_right_))};
      return operators::TwoSidedWindow<L, R, operators::WindowOperator<W, Parts>>{
          {windows_,
           Parts{op, Function{std::move(left.function), std::move(right.function)}, A{}, std::move(late), lateness_}}};
    };
  }

  Left left_;
  Right right_;
  W windows_;
  LateLeft late_left_;
  LateRight late_right_;
  std::chrono::microseconds lateness_;
};

}  // namespace tensair
