#include "model/device_queue.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace tensair {

DeviceQueue::DeviceQueue(const c10::Device& device) {
  if (device.is_cpu()) return;
  stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  event_.emplace(device.type());
  follow_caller();
}

void DeviceQueue::follow_caller() {
  if (!stream_) return;
  event_->record(c10::impl::VirtualGuardImpl(stream_->device_type()).getStream(stream_->device()));
  event_->block(*stream_);
}

void DeviceQueue::wait() const {
  if (stream_) c10::impl::VirtualGuardImpl(stream_->device_type()).synchronizeStream(*stream_);
}

void DeviceQueue::follow(DeviceQueue& other) {
  if (!stream_) return;
  other.event_->record(*other.stream_);
  other.event_->block(*stream_);
}

}  // namespace tensair
