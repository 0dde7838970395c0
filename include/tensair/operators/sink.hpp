#pragma once

#include <tensair/operators/stage.hpp>

namespace tensair::operators {

/// Whether a sink is told where it is, and so may have told others.
template <class K>
concept OpenedWithWaker = requires(K& sink, StageContext& context) {
  sink.open(context.node, context.task.waker());
};
template <class K>
concept OpenedWithNode = requires(K& sink, StageContext& context) {
  sink.open(context.node);
};

/// In a stage that others may refer to once it is open: its task must not work with a copy of it.
struct Stays {
  Stays() = default;
  Stays(Stays&&) noexcept {}  // what has such a member is not trivially copyable
  auto operator=(Stays&&) noexcept -> Stays& { return *this; }
  ~Stays() = default;
};
struct MayBeCopied {};
/// What a sink has been told.
struct Watermarks {
  EventTime last = beginning_of_time;
};
struct NoWatermarks {};

/// The end of a chain: calls a sink with each record. A sink is a lambda, or an object that may also have `open(node)`
/// or `open(node, waker)`, `watermark(EventTime)`, `flush()`, `finish()`, `deadline()` with `tick(now)`, and
/// `blocked()`: true while it cannot take more, and after `finish` until all has gone; it then uses the waker when it
/// can, and `flush` is called. On a timed stream it may take the record's time as a second argument.
template <class K>
class SinkStage {
 public:
  static constexpr bool heeds_watermarks = requires(K & sink, EventTime time) { sink.watermark(time); };

  SinkStage(plan::OperatorRef op, K sink) : op_(op), sink_(std::move(sink)) {}

  template <class T, class Stamp>
  void operator()(T&& record, Stamp stamp) {
    if constexpr (is_timed<Stamp> && std::invocable<K&, T, EventTime>) {
      call(op_, sink_, std::forward<T>(record), stamp);
    } else {
      call(op_, sink_, std::forward<T>(record));
    }
  }

  void open(StageContext& context) {
    if constexpr (OpenedWithWaker<K>) {
      sink_.open(context.node, context.task.waker());
    } else if constexpr (OpenedWithNode<K>) {
      sink_.open(context.node);
    }
  }
  void watermark(EventTime time) {
    if constexpr (heeds_watermarks) {
      if (time <= told_.last) return;  // it says that the stream is back, which is of no concern here
      told_.last = time;
      sink_.watermark(time);
    }
  }
  void idle() {}
  void flush() {
    if constexpr (requires { sink_.flush(); }) sink_.flush();
  }
  void finish() {
    if constexpr (requires { sink_.finish(); }) sink_.finish();
  }
  auto blocked() -> bool {
    if constexpr (requires { sink_.blocked(); }) {
      return sink_.blocked();
    } else {
      return false;
    }
  }
  auto deadline() -> Time {
    if constexpr (requires { sink_.deadline(); }) {
      return sink_.deadline();
    } else {
      return never;
    }
  }
  void tick(Time now) {
    if constexpr (requires { sink_.tick(now); }) sink_.tick(now);
  }

 private:
  plan::OperatorRef op_;
  K sink_;
  [[no_unique_address]] std::conditional_t<OpenedWithWaker<K> || OpenedWithNode<K>, Stays, MayBeCopied> stays_;
  [[no_unique_address]] std::conditional_t<heeds_watermarks, Watermarks, NoWatermarks> told_;
};

}  // namespace tensair::operators
