#pragma once

#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>

#include <optional>

namespace tensair {

/// What is asked of a device here is done in order, and apart from what is asked of it elsewhere: CUDA calls it a
/// stream. On the CPU all is done at once, and there is nothing to wait for.
///
/// By LibTorch's interfaces that know no particular kind of device: nothing here needs CUDA to be compiled.
class DeviceQueue {
 public:
  /// What is asked of it begins when all is done that the calling thread has asked of the device.
  explicit DeviceQueue(const c10::Device& device);

  /// While it lives, what the calling thread asks of the device goes into the queue.
  class Use {
   public:
    explicit Use(const std::optional<c10::Stream>& stream) {
      if (stream) guard_.emplace(*stream);
    }

   private:
    std::optional<c10::StreamGuard> guard_;
  };
  auto use() const -> Use { return Use(stream_); }

  /// Waits until all is done.
  void wait() const;
  /// What is asked from now on begins when all is done that the other queue has now.
  void follow(DeviceQueue& other);
  /// The same of what the calling thread has asked of the device outside of any of these queues.
  void follow_caller();

 private:
  std::optional<c10::Stream> stream_;
  std::optional<c10::Event> event_;
};

}  // namespace tensair
