#pragma once

#include <functional>
#include <mutex>
#include <utility>

namespace tensair::detail {

/// Ends a run early, from any thread, whatever it is just doing.
class DrainSwitch {
 public:
  void drain() {
    const std::lock_guard lock{mutex_};
    drained_ = true;
    if (action_) action_();
  }

  /// From now on `action` drains the run; at once, if that has been asked for. It is not called any more when the next
  /// call of this has returned.
  void on_drain(std::function<void()> action) {
    const std::lock_guard lock{mutex_};
    action_ = std::move(action);
    if (drained_ && action_) action_();
  }

 private:
  std::mutex mutex_;
  bool drained_ = false;
  std::function<void()> action_;
};

}  // namespace tensair::detail
