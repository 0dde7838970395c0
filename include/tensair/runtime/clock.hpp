#pragma once

#include <chrono>

namespace tensair {

/// Time as tensair's runtime sees it: nanoseconds on a monotonic axis whose origin means nothing.
using Duration = std::chrono::nanoseconds;
using Time = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// "Never", as a deadline.
inline constexpr Time never = Time::max();

/// The one place the runtime asks what time it is, so that tests can run under virtual time.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual auto now() const -> Time = 0;
  /// How long the calling thread has had a core. In virtual time every thread has one of its own.
  virtual auto core_time() const -> Duration { return now().time_since_epoch(); }
};

/// The machine's steady clock.
class SteadyClock final : public Clock {
 public:
  auto now() const -> Time override { return std::chrono::steady_clock::now(); }
  auto core_time() const -> Duration override;
};

}  // namespace tensair
