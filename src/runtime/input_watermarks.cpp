#include <algorithm>
#include <tensair/runtime/input_watermarks.hpp>
#include <utility>

namespace tensair::runtime {

void InputWatermarks::update(std::size_t sender, EventTime watermark, bool idle) {
  auto& own = senders_[sender];
  const bool unchanged = own.watermark == watermark && own.idle == idle;
  own = {std::max(own.watermark, watermark), idle};
  if (unchanged) return;
  EventTime least = end_of_time, most = beginning_of_time;
  bool active = false, open = false;
  for (const auto& one : senders_) {
    if (one.watermark == end_of_time) continue;  // it has ended
    open = true;
    most = std::max(most, one.watermark);
    if (one.idle) continue;
    active = true;
    least = std::min(least, one.watermark);
  }
  idle_ = open && !active;
  watermark_ = std::max(watermark_, idle_ ? most : least);
}

auto InputWatermarks::come_back(std::size_t sender) -> bool {
  if (!senders_[sender].idle) return false;
  senders_[sender].idle = false;
  return std::exchange(idle_, false);
}

}  // namespace tensair::runtime
