#pragma once

#include <cstddef>
#include <tensair/operators/event_time.hpp>
#include <vector>

namespace tensair::runtime {

/// The watermark of a task with several senders: what all of them have promised. Idle senders are not waited for; if
/// all are idle, what any of them promised holds. It never goes back: a sender that wakes up behind the others sends
/// late records.
class InputWatermarks {
 public:
  explicit InputWatermarks(std::size_t senders) : senders_(senders) {}

  auto size() const -> std::size_t { return senders_.size(); }

  /// A sender's chunk has come. Precondition: `sender < size()`
  void update(std::size_t sender, EventTime watermark, bool idle);

  /// A sender is not idle any more, if it was.
  /// @return  whether that ends that all are idle
  auto come_back(std::size_t sender) -> bool;

  /// The watermark of all senders together.
  auto watermark() const -> EventTime { return watermark_; }
  /// Whether all senders that have not ended are idle.
  auto idle() const -> bool { return idle_; }

 private:
  struct Sender {
    EventTime watermark = beginning_of_time;
    bool idle = false;
  };
  std::vector<Sender> senders_;
  EventTime watermark_ = beginning_of_time;
  bool idle_ = false;
};

}  // namespace tensair::runtime
