#include <algorithm>
#include <tensair/operators/ahead_limit.hpp>
#include <utility>

namespace tensair::operators {

AheadLimit::AheadLimit(std::chrono::microseconds bound, std::size_t enough, std::shared_ptr<runtime::Counter> broken)
    : bound_(bound), enough_(enough), broken_(std::move(broken)) {
  aside_.reserve(enough);
}

auto AheadLimit::decide(EventTime time) -> bool {
  if (!is_far(time)) {
    broken_->add(aside_.size());
    aside_.clear();
    latest_ = std::max(latest_, time);
    return true;
  }
  aside_.push_back(time);
  if (aside_.size() < enough_) return false;
  begin_anew();
  return true;
}

void AheadLimit::begin_anew() {
  std::sort(aside_.begin(), aside_.end());
  latest_ = aside_.front();
  for (const EventTime time : aside_) {
    if (is_far(time)) {
      broken_->add(1);
    } else {
      latest_ = time;
    }
  }
  aside_.clear();
}

void AheadLimit::finish() {
  if (latest_ == beginning_of_time && !aside_.empty()) return begin_anew();  // too few to be sure of
  broken_->add(aside_.size());
  aside_.clear();
}

}  // namespace tensair::operators
