#pragma once

#include <algorithm>
#include <concepts>
#include <memory>
#include <optional>
#include <tensair/operators/ahead_limit.hpp>
#include <tensair/operators/event_time.hpp>
#include <tensair/operators/stage.hpp>
#include <utility>

namespace tensair {

namespace operators {

/// @throws UsageError  see `WatermarkStrategy::at_most_ahead`
void check_ahead(std::chrono::microseconds bound, std::size_t records);

}  // namespace operators

/// How a stream with event time says how far it has come. Made by `monotonous`, `bounded_out_of_orderness` or
/// `punctuated`, and refined by its members.
///
/// A watermark of t promises that no record with a time before t is expected any more. Windows and timers wait for it;
/// a record that breaks the promise is late.
/// @tparam Advance  `std::optional<EventTime> operator()(const T& record, EventTime time, EventTime latest)`: a watermark after that record, or none; `latest` is the latest time so far
template <class Advance>
struct WatermarkStrategy {
  Advance advance;
  Duration idle_timeout = Duration::max();
  std::chrono::microseconds ahead = std::chrono::microseconds::max();
  std::size_t believed_after = 8;

  /// When nothing has come for `timeout` (of the node's clock), the stream is idle: operators with several inputs do
  /// not wait for this one until it has records again. Noticed between two turns of the source's task, so not while a
  /// source blocks in `next()`.
  ///
  /// @code
  /// clicks.assign_timestamps(&Click::when, tensair::monotonous().idle_after(10s));
  /// @endcode
  auto idle_after(Duration timeout) && -> WatermarkStrategy {
    idle_timeout = timeout;
    return std::move(*this);
  }

  /// A record whose time is more than `bound` after all before it (a broken clock) does not move the watermark, and is
  /// counted in the run's figures. The record itself keeps its time.
  ///
  /// When `records` in a row are so far ahead, that is the stream's time: it had a gap. Then they count from the
  /// earliest of them on, and only those are broken that are more than `bound` after all earlier ones. So it is at the
  /// beginning, too: the watermark waits for that many records, and a first one that is broken makes none late. For
  /// each instance of the stream.
  ///
  /// @code
  /// clicks.assign_timestamps(&Click::when, tensair::monotonous().at_most_ahead(1h));
  /// @endcode
  /// @throws UsageError  `bound` is negative, or `records` is less than 2
  template <class Rep, class Period>
  auto at_most_ahead(std::chrono::duration<Rep, Period> bound, std::size_t records = 8) && -> WatermarkStrategy {
    ahead = std::chrono::duration_cast<std::chrono::microseconds>(bound);
    believed_after = records;
    operators::check_ahead(ahead, records);
    return std::move(*this);
  }
};

namespace operators {

struct Monotonous {
  template <class T>
  auto operator()(const T&, EventTime, EventTime latest) const -> std::optional<EventTime> {
    return latest;
  }
};

struct BoundedOutOfOrderness {
  std::chrono::microseconds bound;
  template <class T>
  auto operator()(const T&, EventTime, EventTime latest) const -> std::optional<EventTime> {
    return latest - bound;
  }
};

template <class F>
struct Punctuated {
  F f;
  template <class T>
  auto operator()(const T& record, EventTime time, EventTime) -> std::optional<EventTime> {
    return f(record, time);
  }
};

}  // namespace operators

/// Times never go back in one instance of the stream: the watermark is the latest time. What `assign_timestamps(f)`
/// takes.
///
/// @code
/// readings.assign_timestamps(&Reading::when, tensair::monotonous());
/// @endcode
inline auto monotonous() -> WatermarkStrategy<operators::Monotonous> {
  return {};
}

/// A record may be up to `bound` older than the latest before it.
///
/// @code
/// clicks.assign_timestamps(&Click::when, tensair::bounded_out_of_orderness(5s));
/// @endcode
template <class Rep, class Period>
auto bounded_out_of_orderness(std::chrono::duration<Rep, Period> bound)
    -> WatermarkStrategy<operators::BoundedOutOfOrderness> {
  return {{std::chrono::duration_cast<std::chrono::microseconds>(bound)}};
}

/// Records say themselves: `f(record, time)` returns a watermark (`std::optional<EventTime>`), or nothing.
///
/// @code
/// const auto each_hundredth = [](const Order& order, tensair::EventTime time) {
///   return order.id % 100 == 0 ? std::optional(time) : std::nullopt;
/// };
/// orders.assign_timestamps(&Order::when, tensair::punctuated(each_hundredth));
/// @endcode
template <class F>
auto punctuated(F f) -> WatermarkStrategy<operators::Punctuated<F>> {
  return {{std::move(f)}};
}

namespace operators {

/// A function from records of type T to a time of the system clock's.
template <class F, class T>
concept Timing = std::move_constructible<F> && std::invocable<F&, const T&> &&
    std::convertible_to<decltype(std::chrono::floor<std::chrono::microseconds>(
                            std::declval<std::invoke_result_t<F&, const T&>>())),
                        EventTime>;

/// Counts, for all instances on a node, the records whose times were found to be too far ahead.
auto count_ahead(runtime::Node& node, const plan::Operator& op) -> std::shared_ptr<runtime::Counter>;

/// The stage of `stream.assign_timestamps(f, strategy)`: from here on records have times, and watermarks flow.
template <class F, class Advance, class Next>
class TimestampStage : public StageBase<Next> {
 public:
  TimestampStage(plan::OperatorRef op, F f, WatermarkStrategy<Advance> strategy, Next next)
      : StageBase<Next>(std::move(next)), op_(op), f_(std::move(f)), strategy_(std::move(strategy)) {}

  void open(StageContext& context) {
    clock_ = &context.node.clock();
    last_active_ = clock_->now();
    if (strategy_.ahead != std::chrono::microseconds::max()) {
      limit_.emplace(strategy_.ahead, strategy_.believed_after, count_ahead(context.node, *op_));
    }
    this->next_.open(context);
  }

  template <class T, class Stamp>
  void operator()(T&& record, Stamp) {
    const EventTime time = std::chrono::floor<std::chrono::microseconds>(call(op_, f_, std::as_const(record)));
    const bool believed = !limit_ || limit_->believes(time);
    if (believed) latest_ = limit_ ? limit_->latest() : std::max(latest_, time);
    active_ = true;
    std::optional<EventTime> watermark;
    if (believed) watermark = call(op_, strategy_.advance, std::as_const(record), time, latest_);
    if (idle_) [[unlikely]]
      come_back();
    this->next_(std::forward<T>(record), time);
    if (watermark && *watermark > watermark_) advance_to(*watermark);
  }

  // Nothing but this stage's own watermarks: it may stand behind another one, which says when the stream is idle.
  void watermark(EventTime) {
    if (idle_) come_back();
  }
  void idle() {
    idle_ = true;
    this->next_.idle();
  }

  void flush() {
    if (active_ && strategy_.idle_timeout != Duration::max()) {
      last_active_ = clock_->now();
      active_ = false;
    }
    this->next_.flush();
  }

  void finish() {
    if (limit_) limit_->finish();
    this->next_.watermark(end_of_time);
    this->next_.finish();
  }

  auto deadline() -> Time { return std::min(idle_deadline(), this->next_.deadline()); }
  void tick(Time now) {
    if (!active_ && idle_deadline() <= now) idle();
    if (this->next_.deadline() <= now) this->next_.tick(now);
  }

 private:
  auto idle_deadline() const -> Time {
    if (idle_ || strategy_.idle_timeout == Duration::max()) return never;
    return last_active_ + strategy_.idle_timeout;
  }

  // Before the record that shows it: others have to wait for this stream from now on.
  [[gnu::noinline]] void come_back() {
    idle_ = false;
    active_ = true;
    this->next_.watermark(watermark_);
  }

  void advance_to(EventTime time) {
    // A punctuated watermark is a record's word too. And the end is for `finish` to say.
    if (limit_) time = limit_->at_most(time);
    watermark_ = std::min(time, end_of_time - std::chrono::microseconds{1});
    this->next_.watermark(watermark_);
  }

  plan::OperatorRef op_;
  [[no_unique_address]] F f_;
  WatermarkStrategy<Advance> strategy_;
  const Clock* clock_ = nullptr;
  std::optional<AheadLimit> limit_;
  EventTime latest_ = beginning_of_time, watermark_ = beginning_of_time;
  Time last_active_{};
  bool active_ = false, idle_ = false;
};

/// The operator before it is bound to the stage behind it.
template <class F, class Advance>
struct AssignTimestamps {
  using StampBehind = EventTime;

  plan::OperatorRef op;
  F f;
  WatermarkStrategy<Advance> strategy;

  template <class Next>
  auto bind(Next next) && -> TimestampStage<F, Advance, Next> {
    return {op, std::move(f), std::move(strategy), std::move(next)};
  }
};

}  // namespace operators
}  // namespace tensair
