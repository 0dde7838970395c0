#pragma once

#include <chrono>
#include <ctime>

namespace bench {

/// Processor time of this process so far: what runs beside it on the machine does not count.
inline auto cpu_seconds() -> double {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

inline auto wall_seconds() -> double {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace bench
