#include <tensair/runtime/parcel_queue.hpp>
#include <utility>

namespace tensair::runtime {

void ParcelQueue::connect(detail::AnyOutlet outlet, Task& task) {
  outlet_ = std::move(outlet);
  outlet_.bind(task);
}

void ParcelQueue::push(std::unique_ptr<Parcel> parcel) {
  waiting_.push_back(std::move(parcel));
}

void ParcelQueue::send() {
  while (!waiting_.empty() && outlet_.credits() > 0) {
    outlet_.put(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  if (finishing_ && !ended_ && waiting_.empty()) {
    ended_ = true;
    outlet_.end();
  }
}

void ParcelQueue::finish() {
  finishing_ = true;
  send();
}

}  // namespace tensair::runtime
