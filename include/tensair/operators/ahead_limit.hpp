#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <tensair/operators/event_time.hpp>
#include <tensair/runtime/counter.hpp>
#include <vector>

namespace tensair::operators {

/// Which of a stream's times to believe when some may be far in the future (`WatermarkStrategy::at_most_ahead`).
///
/// A time is far ahead when it is more than `bound` after the latest that is believed. Such times are set aside until
/// one comes that is not, which shows that they were broken, or until there are `enough` of them in a row, which shows
/// that the stream has moved on; then the earliest is believed, and of the others, by time, what is not far ahead of
/// those before. Before anything is believed, every time is far ahead.
class AheadLimit {
 public:
  /// @param broken  counts those that were found not to be true
  /// @pre  `bound` is not negative, `enough` 2 or more
  AheadLimit(std::chrono::microseconds bound, std::size_t enough, std::shared_ptr<runtime::Counter> broken);

  /// The next record's time; returns whether it is to move the watermark.
  auto believes(EventTime time) -> bool {
    if (!is_far(time) && aside_.empty()) [[likely]] {
      if (time > latest_) latest_ = time;
      return true;
    }
    return decide(time);
  }
  /// The latest that is believed.
  auto latest() const -> EventTime { return latest_; }
  /// `time`, or as far as a time is believed.
  auto at_most(EventTime time) const -> EventTime { return is_far(time) ? latest_ + bound_ : time; }
  /// No more come.
  void finish();

 private:
  auto is_far(EventTime time) const -> bool {
    return latest_ == beginning_of_time || (latest_ < end_of_time - bound_ && time > latest_ + bound_);
  }
  auto decide(EventTime time) -> bool;
  void begin_anew();

  std::chrono::microseconds bound_;
  std::size_t enough_;
  std::shared_ptr<runtime::Counter> broken_;
  EventTime latest_ = beginning_of_time;
  std::vector<EventTime> aside_;
};

}  // namespace tensair::operators
