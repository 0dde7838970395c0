#pragma once

#include <tensair/operators/event_time.hpp>
#include <utility>

namespace tensair::operators {

/// What a stage passes on of watermarks when it has done what they ask for: each once, and that the stream is idle only
/// behind the watermark before it, which may have become due at the same moment and would wake it up again.
class WatermarkRelay {
 public:
  /// The stream is idle. Passed on with the next `pass_on`.
  void idle() { idle_ = Idle::to_be_told; }

  /// What has been passed on last.
  auto last() const -> EventTime { return last_; }

  /// Passes the stage's watermark on to all of `next`. One that says what the last one said is passed on only after
  /// `idle`: the stream is back.
  template <class... Next>
  [[gnu::always_inline]] void pass_on(EventTime time, Next&... next) {
    if (idle_ != Idle::no) [[unlikely]] {
      pass_on_idle(time, next...);
    } else if (std::exchange(last_, time) != time) {
      (next.watermark(time), ...);
    }
  }

 private:
  enum class Idle : unsigned char { no, to_be_told, told };

  template <class... Next>
  [[gnu::noinline]] void pass_on_idle(EventTime time, Next&... next) {
    const bool is_back = idle_ == Idle::told;
    if (std::exchange(last_, time) != time || is_back) (next.watermark(time), ...);
    if (!is_back) (next.idle(), ...);
    idle_ = is_back ? Idle::no : Idle::told;
  }

  EventTime last_ = beginning_of_time;
  Idle idle_ = Idle::no;
};

}  // namespace tensair::operators
