#pragma once

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <tensair/error.hpp>
#include <utility>

#include "file_descriptor.hpp"

namespace tensair::detail {

constexpr unsigned char from_terminal = 0x80;

inline std::atomic<int> wake_up{
    -1};  // where the handler writes the signal's number; also the lock of "one call at a time"

inline void on_signal(int signal, siginfo_t* info, void*) {
  const int saved = errno;
  // Ctrl-C reaches the nodes too, being in the terminal's foreground group: passing it on would make it two.
  const bool sent_to_all = info->si_code == SI_KERNEL && signal != SIGCHLD;
  const auto event = static_cast<unsigned char>(signal | (sent_to_all ? from_terminal : 0));
  [[maybe_unused]] const auto written = write(wake_up.load(), &event, 1);
  errno = saved;
}

/// While it lives, SIGINT, SIGTERM and SIGCHLD are bytes in a pipe, and a write to a closed pipe is an error, no
/// signal.
class Signals {
 public:
  Signals() : pipe_(make_pipe()) {
    make_non_blocking(pipe_.read);
    make_non_blocking(pipe_.write);
    int none = -1;
    if (!wake_up.compare_exchange_strong(none, pipe_.write.get())) {
      throw Error{"launch_local is already running in this process", {}, "Launch one run after the other."};
    }
    auto wake = sigset_t{};
    sigemptyset(&wake);
    for (auto& [signal, before] : before_) {
      struct sigaction action = {};
      sigaction(signal, nullptr, &before);
      if (signal == SIGPIPE) {
        action.sa_handler = SIG_IGN;
      } else if (signal != SIGCHLD && before.sa_handler == SIG_IGN) {
        continue;  // as nohup or a shell's & wants it, for the nodes too
      } else {
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_RESTART | SA_NOCLDSTOP;
        sigaddset(&wake, signal);
      }
      sigaction(signal, &action, nullptr);
    }
    pthread_sigmask(SIG_UNBLOCK, &wake, &mask_);
  }
  Signals(const Signals&) = delete;
  auto operator=(const Signals&) -> Signals& = delete;
  ~Signals() {
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
    for (const auto& [signal, before] : before_) sigaction(signal, &before, nullptr);
    wake_up = -1;
  }

  auto file() const -> int { return pipe_.read.get(); }
  /// The next signal that came, from_terminal or'ed in; 0: no more.
  auto next() -> unsigned char {
    unsigned char event = 0;
    return read(pipe_.read.get(), &event, 1) == 1 ? event : 0;
  }
  /// In a forked child: what was ignored is ignored again, all else has its default. Safe after a fork.
  void give_back() const {
    for (const auto& [signal, before] : before_) {
      struct sigaction action = {};
      action.sa_handler = before.sa_handler == SIG_IGN && signal != SIGCHLD ? SIG_IGN : SIG_DFL;
      sigaction(signal, &action, nullptr);
    }
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }

 private:
  Pipe pipe_;
  sigset_t mask_ = {};
  std::array<std::pair<int, struct sigaction>, 4> before_{{{SIGINT, {}}, {SIGTERM, {}}, {SIGCHLD, {}}, {SIGPIPE, {}}}};
};

/// Holds every signal back: a child must not run the launcher's handlers before it is another program.
class SignalsHeldBack {
 public:
  SignalsHeldBack() {
    auto all = sigset_t{};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsHeldBack(const SignalsHeldBack&) = delete;
  auto operator=(const SignalsHeldBack&) -> SignalsHeldBack& = delete;
  ~SignalsHeldBack() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_ = {};
};

}  // namespace tensair::detail
