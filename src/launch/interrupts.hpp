#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <functional>
#include <tensair/error.hpp>
#include <tensair/io/file_descriptor.hpp>
#include <thread>
#include <utility>

namespace tensair::detail {

inline std::atomic<int> interrupted{-1};  // the event that the handler sets; also the lock of "one at a time"

// The first of them is the last that is handled: a second signal ends the process, as it would without this.
inline void on_interrupt(int) {
  const int saved = errno;
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(interrupted.load(), &one, sizeof one);
  errno = saved;
}

/// While it lives, the first SIGINT or SIGTERM calls a function, on a thread of its own, and the second ends the
/// process. A signal that is ignored (nohup, a shell's &) stays so. If there is one already in this process, another
/// does nothing.
class Interrupts {
 public:
  explicit Interrupts(std::function<void()> on_first) : event_(eventfd(0, EFD_CLOEXEC)), end_(eventfd(0, EFD_CLOEXEC)) {
    if (!event_.is_open() || !end_.is_open()) throw Error{"no file descriptor is left to wait for signals with"};
    int none = -1;
    if (!interrupted.compare_exchange_strong(none, event_.number())) return;
    active_ = true;
    thread_ = std::thread{[this, on_first = std::move(on_first)] { wait(on_first); }};
    for (auto& [signal, before] : before_) {
      sigaction(signal, nullptr, &before);
      if (before.sa_handler == SIG_IGN) continue;
      struct sigaction action = {};
      action.sa_handler = on_interrupt;
      action.sa_flags = SA_RESTART;
      sigaction(signal, &action, nullptr);
    }
  }
  Interrupts(const Interrupts&) = delete;
  auto operator=(const Interrupts&) -> Interrupts& = delete;
  ~Interrupts() {
    if (!active_) return;
    for (const auto& [signal, before] : before_) sigaction(signal, &before, nullptr);
    interrupted = -1;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(end_.number(), &one, sizeof one);
    thread_.join();
  }

 private:
  void wait(const std::function<void()>& on_first) {
    std::array<pollfd, 2> files{{{event_.number(), POLLIN, 0}, {end_.number(), POLLIN, 0}}};
    while (poll(files.data(), files.size(), -1) < 0) {
      if (errno != EINTR) return;
    }
    if (files[0].revents != 0) on_first();
  }

  FileDescriptor event_, end_;
  std::array<std::pair<int, struct sigaction>, 2> before_{{{SIGINT, {}}, {SIGTERM, {}}}};
  bool active_ = false;
  std::thread thread_;
};

}  // namespace tensair::detail
