#pragma once

#include <algorithm>
#include <optional>
#include <tensair/runtime/clock.hpp>

namespace tensair {

/// When to try again what failed: after delays that double, from the first up to the longest, and not later than so
/// long after the first try (binary exponential back-off).
///
/// @code
/// tensair::BackOff back_off{100ms, 10s, 30s};
/// const auto delay = back_off.next(0ms);  // 100 ms; then 200, 400, …; nothing once the 30 s are over
/// @endcode
class BackOff {
 public:
  BackOff(Duration first, Duration longest, Duration within)
      : delay_(std::min(first, longest)), longest_(longest), within_(within) {}

  /// How long to wait before the next try.
  ///
  /// @param elapsed  since the first try
  /// @return nothing if that try would come too late: give up
  auto next(Duration elapsed) -> std::optional<Duration> {
    if (elapsed > within_ || delay_ > within_ - elapsed) return std::nullopt;
    const auto delay = delay_;
    delay_ = delay_ > longest_ / 2 ? longest_ : 2 * delay_;
    return delay;
  }

 private:
  Duration delay_, longest_, within_;
};

}  // namespace tensair
