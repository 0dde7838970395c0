#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <tensair/operators/aggregate.hpp>
#include <tensair/operators/failures.hpp>
#include <tensair/operators/fork.hpp>
#include <tensair/operators/record_row.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/operators/trigger.hpp>
#include <tensair/operators/watermark_relay.hpp>
#include <tensair/operators/window_partial.hpp>
#include <tensair/operators/window_result.hpp>
#include <utility>
#include <vector>

// What all windows have in common: when they fire, and what becomes of records that come too late.
//
// A window fires when the watermark has reached its end, and each result goes before that watermark. With many results
// the stage behind may be blocked in between; the stage then keeps where it was, says that it is blocked itself, and
// holds the watermark back. A window in processing time has the node's clock for a watermark.

namespace tensair {

/// Windows in the node's processing time: see `processing_time`.
template <class Windows>
struct ProcessingTimeWindows {
  Windows windows;
};

/// Windows in processing time, the time when a record arrives, by the node's clock; its axis is that of `Time`. Exact
/// to a turn of the task, about a millisecond. The results have no event time.
///
/// @code
/// clicks.key_by(&Click::page).window(tensair::processing_time(tensair::tumbling(1s))).count();
/// @endcode
template <class Windows>
auto processing_time(Windows windows) -> ProcessingTimeWindows<Windows> {
  return {windows};
}

namespace operators {

/// Late records are dropped and counted.
class DropLate : public LastStage {
 public:
  explicit DropLate(plan::OperatorRef op) : op_(op) {}

  void open(StageContext& context) { count_ = context.node.counter(op_->title() + ": late records"); }
  template <class R>
  void take(R&& record, EventTime) {
    if constexpr (is_window_partial<std::remove_cvref_t<R>>) {
      count_->add(record.value.records);
    } else {
      count_->add(1);
    }
  }

 private:
  plan::OperatorRef op_;
  std::shared_ptr<runtime::Counter> count_;
};

/// Late records go to a stream of their own, and are counted.
template <class T>
class SendLate : public ForkStage<T, EventTime> {
 public:
  SendLate(plan::OperatorRef op, std::shared_ptr<ForkPoint<T, EventTime>> point)
      : ForkStage<T, EventTime>(std::move(point)), op_(op) {}

  void open(StageContext& context) {
    count_ = context.node.counter(op_->title() + ": late records");
    ForkStage<T, EventTime>::open(context);
  }
  template <class R>
  void take(R&& record, EventTime time) {
    count_->add(1);
    (*this)(T(std::forward<R>(record)), time);
  }

 private:
  plan::OperatorRef op_;
  std::shared_ptr<runtime::Counter> count_;
};

/// What a window's function sees of an aggregate: the records themselves. `f(key, window, records, emit)`, or where a
/// window is no stretch of time `f(key, records, emit)`.
template <class T, class Out, class F>
struct CollectRecords {
  using Emitted = Out;

  F f;

  static auto init() -> RecordRow<T> { return {}; }
  static void add(RecordRow<T>& all, const T& record) { all.push_back(record); }
  static void merge(RecordRow<T>& all, RecordRow<T> other) { append(all, std::move(other)); }
  static auto result(const RecordRow<T>& all) -> const RecordRow<T>& { return all; }
  template <class K, class Emit>
  void emit(const K& key, const Window& window, const RecordRow<T>& all, Emit emit) {
    std::invoke(f, key, window, std::span<const T>(all), emit);
  }
  template <class K, class Emit>
  void emit(const K& key, const std::vector<T>& all, Emit emit) {
    std::invoke(f, key, std::span<const T>(all), emit);
  }
};

/// What an operator on windows emits: what its aggregate does, or `Result<K, V>`.
template <template <class, class> class Result, class K, class A>
struct WindowOutput {
  using type = Result<K, AggregateResult<A>>;
};
template <template <class, class> class Result, class K, class A>
requires requires {
  typename A::Emitted;
}
struct WindowOutput<Result, K, A> {
  using type = typename A::Emitted;
};

/// Whether an aggregate only keeps the records, for a function that is called at the end.
template <class A>
inline constexpr bool keeps_records = false;
template <class A>
requires requires {
  typename A::Emitted;
}
inline constexpr bool keeps_records<A> = true;

// Further away from 1970 there are no windows: their edges must be times too.
inline constexpr std::chrono::microseconds most_remote = std::chrono::hours{24 * 365 * 10'000};
/// @throws Error
[[noreturn]] void throw_too_remote(const plan::Operator& op);

/// @throws UsageError  the lateness is negative, or more than a thousand years
auto checked_lateness(std::chrono::microseconds lateness) -> std::chrono::microseconds;

/// What a window stage is made of.
template <class K, class T, class SomeFunction, class SomeAggregate, class SomeLate, class SomeTrigger,
          bool ProcessingTime>
struct WindowParts {
  using Key = K;
  using Record = T;
  using Function = SomeFunction;
  using A = SomeAggregate;
  using State = AggregateState<A>;
  using Late = SomeLate;
  using Trigger = SomeTrigger;
  static constexpr bool processing_time = ProcessingTime;

  plan::OperatorRef op;
  Function function;
  A aggregate;
  Late late;
  std::chrono::microseconds lateness;
  [[no_unique_address]] Trigger trigger{};
  bool discarding = false;  // what has been emitted early is not in the window's later results
};

/// What the stages of all windows build on. `Self` has `take(record, time)`; `fire()`, which emits what is due by
/// `watermark_` and returns false if the stage behind was blocked before all was done; and `due()`, the earliest time
/// at which it has something to do. With a trigger that has a timer also `fire_early(now)` and `early_due()`, the same
/// in processing time.
template <class Self, class Parts, class Next>
class WindowStage : public StageBase<Next> {
 public:
  using Key = typename Parts::Key;
  using State = typename Parts::State;
  /// Whether a watermark says nothing but which windows are over, or gone: nobody behind asks for it.
  static constexpr bool heeds_only_ends = !operators::heeds_watermarks<Next>;

  WindowStage(Parts parts, Next next) : StageBase<Next>(std::move(next)), parts_(std::move(parts)) {}

  void open(StageContext& context) {
    clock_ = &context.node.clock();
    now_ = clock_->now();
    failures_.open(context);
    parts_.late.open(context);
    this->next_.open(context);
  }

  template <class R, class Stamp>
  [[gnu::always_inline]] void operator()(R&& record, Stamp stamp) {
    if constexpr (reads_clock) {
      if (until_clock_-- == 0) [[unlikely]]
        read_clock();
    }
    if constexpr (Parts::processing_time) {
      self().take(std::forward<R>(record), event_time(now_));
    } else {
      self().take(std::forward<R>(record), stamp);
    }
  }

  // There is one for each record where times only rise, and mostly nothing is due.
  [[gnu::always_inline]] void watermark(EventTime time) {
    if constexpr (!Parts::processing_time) {
      watermark_ = time;
      relay_.heard();
      if (firing_ || self().due() <= time) {
        advance();
      } else {
        relay_.pass_on(time, parts_.late, this->next_);
      }
    }
  }
  void idle() {
    if constexpr (!Parts::processing_time) {
      relay_.idle();
      if (!firing_) relay_.pass_on(watermark_, parts_.late, this->next_);
    }
  }
  void flush() {
    until_clock_ = 0;
    parts_.late.flush();
    this->next_.flush();
    if (!firing_) return;
    if constexpr (reads_clock) read_clock();
    advance();
    this->next_.flush();
  }
  void finish() {
    finishing_ = true;
    watermark_ = end_of_time;
    advance();
  }
  [[gnu::always_inline]] auto blocked() -> bool {
    const bool late = parts_.late.blocked();  // asked in any case: it may go on when it is
    return firing_ || this->next_.blocked() || late;
  }
  auto deadline() -> Time {
    Time first = std::min(this->next_.deadline(), parts_.late.deadline());
    if (firing_) return first;
    if constexpr (Parts::processing_time) first = std::min(first, time_of(self().due()));
    if constexpr (Parts::Trigger::has_timer) first = std::min(first, time_of(self().early_due()));
    return first;
  }
  void tick(Time now) {
    if constexpr (reads_clock) {
      now_ = std::max(now_, now);
      if constexpr (Parts::processing_time) watermark_ = std::max(watermark_, event_time(now_));
      advance();
    }
    if (parts_.late.deadline() <= now) parts_.late.tick(now);
    if (this->next_.deadline() <= now) this->next_.tick(now);
  }

 protected:
  template <class R>
  auto key_of(const R& record) -> decltype(auto) {
    if constexpr (is_window_partial<R>) {
      return (record.key);
    } else {
      return parts_.function.key(record);
    }
  }
  auto hash_of(const auto& key) const -> std::uint64_t { return parts_.function.hash(key); }

  auto new_state() -> State { return parts_.aggregate.init(); }
  template <class R>
  void add(State& state, const R& record) {
    const auto run = [&] {
      if constexpr (is_window_partial<R>) {
        parts_.aggregate.merge(state, record.value.state);
      } else {
        parts_.aggregate.add(state, record);
      }
    };
    call(parts_.op, run);
  }
  void merge(State& state, State other) {
    const auto run = [&] { parts_.aggregate.merge(state, std::move(other)); };
    call(parts_.op, run);
  }
  /// The same for a window that fires, or has. False: it could not be merged, and that is dealt with.
  auto merge_for(const Owned<Key>& key, const Window& window, State& state, State other) -> bool {
    try {
      merge(state, std::move(other));
      return true;
    } catch (...) {
      failed(key, window, state);
      return false;
    }
  }

  // What the aggregate throws is this window's failure, and those of other keys are to come still.
  void emit(const Owned<Key>& key, const Window& window, State& state) {
    bool behind = false;  // what is thrown then is not the aggregate's
    try {
      if constexpr (requires { typename Parts::A::Emitted; }) {
        const auto out = [&](typename Parts::A::Emitted record) {
          behind = true;
          send(std::move(record), window);
          behind = false;
        };
        const auto run = [&] { parts_.aggregate.emit(key, window, state, out); };
        call(parts_.op, run);
      } else {
        using Result = AggregateResult<typename Parts::A>;
        const auto result = [&]() -> Result { return parts_.aggregate.result(state); };
        auto out = WindowResult<Key, Result>{Key(key), window, call(parts_.op, result)};
        behind = true;
        send(std::move(out), window);
      }
    } catch (...) {
      if (behind) throw;
      failed(key, window, state);
    }
  }

  /// The node's clock as of this turn, as an event time.
  auto processing_time() const -> EventTime { return event_time(now_); }
  /// Whether a window with this end is gone: its state is given up, and records for it are late.
  auto gone(EventTime end) const -> bool { return end + parts_.lateness <= watermark_; }
  template <class R>
  void drop(R&& record, EventTime time) {
    parts_.late.take(std::forward<R>(record), time);
  }
  void check_time(EventTime time) const {
    if (time > EventTime{most_remote} || time < EventTime{-most_remote}) throw_too_remote(*parts_.op);
  }

  Parts parts_;
  EventTime watermark_ = beginning_of_time;

 private:
  static constexpr bool reads_clock = Parts::processing_time || Parts::Trigger::has_timer;

  auto self() -> Self& { return static_cast<Self&>(*this); }

  // Once a turn: a record that ends a pause is one of now, not of the turn before. And once in so many records, for a
  // turn that has no end because more come all the time.
  void read_clock() {
    now_ = std::max(now_, clock_->now());
    until_clock_ = 255;
  }

  static auto event_time(Time time) -> EventTime {
    return EventTime{std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch())};
  }
  static auto time_of(EventTime time) -> Time {
    return time >= event_time(never) ? never : Time{std::chrono::nanoseconds{time.time_since_epoch()}};
  }

  // In a catch block.
  [[gnu::cold, gnu::noinline]] void failed(const Owned<Key>& key, const Window& window, const State& state) {
    failures_.handle(FailedWindow<Key, State>{key, window, state}, [&] {
      // The clock of processing time says nothing to people.
      return Parts::processing_time ? text_of_key(key) : text_of_key(key) + ", " + window_text(window);
    });
  }

  template <class Out>
  void send(Out&& out, const Window& window) {
    if constexpr (Parts::processing_time) {
      this->next_(std::forward<Out>(out), Untimed{});
    } else {
      this->next_(std::forward<Out>(out), window.last());
    }
  }

  void advance() {
    firing_ = true;
    if (self().due() <= watermark_ && !self().fire()) return;
    if constexpr (Parts::Trigger::has_timer) {
      if (!self().fire_early(processing_time())) return;
    }
    firing_ = false;
    if constexpr (!Parts::processing_time) relay_.pass_on(watermark_, parts_.late, this->next_);
    if (!finishing_ || std::exchange(ended_, true)) return;
    this->next_.finish();
    parts_.late.finish();
  }

  Failures<FailedWindow<Key, State>> failures_;
  const Clock* clock_ = nullptr;
  Time now_{};
  std::uint32_t until_clock_ = 0;  // records until it is read again
  WatermarkRelay relay_;
  bool firing_ = false, finishing_ = false, ended_ = false;
};

}  // namespace operators
}  // namespace tensair
