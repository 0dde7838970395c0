#include <ctime>
#include <tensair/runtime/clock.hpp>

namespace tensair {

auto SteadyClock::core_time() const -> Duration {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

}  // namespace tensair
