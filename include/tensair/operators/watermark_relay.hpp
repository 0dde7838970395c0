#pragma once

#include <tensair/operators/event_time.hpp>
#include <utility>

namespace tensair::operators {

/// What a stage passes on of watermarks when it has done what they ask for: each once, and that the stream is idle only
/// behind the watermark before it, which may have become due at the same moment and would wake it up again.
class WatermarkRelay {
 public:
  /// A watermark has come: the stream is not idle any more. Passed on with the next `pass_on`.
  [[gnu::always_inline]] void heard() {
    if (idle_) [[unlikely]]
      idle_ = false;
  }
  /// The stream is idle. Passed on with the next `pass_on`.
  void idle() { idle_ = true; }

  /// What has been passed on last.
  auto last() const -> EventTime { return last_; }

  /// Passes the stage's watermark on to all of `next`. One that says what the last one said is passed on only after
  /// `idle`: the stream is back.
  template <class... Next>
  [[gnu::always_inline]] void pass_on(EventTime time, Next&... next) {
    if (idle_ || told_idle_) [[unlikely]] {
      pass_on_idle(time, next...);
    } else if (std::exchange(last_, time) != time) {
      (next.watermark(time), ...);
    }
  }

 private:
  template <class... Next>
  [[gnu::noinline]] void pass_on_idle(EventTime time, Next&... next) {
    if (std::exchange(last_, time) != time || !idle_) {
      told_idle_ = false;
      (next.watermark(time), ...);
    }
    if (idle_ && !std::exchange(told_idle_, true)) (next.idle(), ...);
  }

  EventTime last_ = beginning_of_time;
  bool idle_ = false, told_idle_ = false;
};

}  // namespace tensair::operators
