#pragma once

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <utility>

#include "net/loopback.hpp"

namespace tensair::net::test {

/// A network between a caller and a node, which loses connections and never a byte that it has passed on. It may cut at
/// any byte.
class Proxy {
 public:
  explicit Proxy(std::uint16_t target) : target_(target) {
    thread_ = std::thread{[this] { run(); }};
  }
  Proxy(const Proxy&) = delete;
  auto operator=(const Proxy&) -> Proxy& = delete;
  ~Proxy() {
    stopped_ = true;
    wake();
    thread_.join();
    ::close(listening_.socket);
    ::close(wakes_);
  }

  auto address() const -> std::string { return listening_.address(); }
  auto cuts() const -> int { return cuts_; }
  /// How many have called.
  auto calls() const -> int { return calls_; }

  /// From now on cuts all connections when so many more bytes have passed, both ways together; then again.
  void cut_after(std::deque<std::size_t> bytes, bool with_reset) {
    const std::lock_guard lock{mutex_};
    gaps_ = std::move(bytes);
    with_reset_ = with_reset;
  }

  /// What comes over the connections there are goes nowhere from now on, and they stay open.
  void go_deaf() { deaf_ = true, wake(); }

  /// Cuts all connections once.
  void cut() { cut_ = true, wake(); }

  /// Cuts all connections, and from then on hangs up on whoever calls.
  void hang_up() { hangs_up_ = true, cut(); }

  /// Cuts all connections, and from then on lets whoever calls wait. Returns when they are cut.
  void go_away() {
    away_ = true;
    wake();
    gone_.wait(false);
  }

 private:
  struct Pair {
    int ends[2];
    bool deaf = false;
  };

  void wake() const {
    const std::uint64_t one = 1;
    if (::write(wakes_, &one, sizeof one) < 0) std::abort();
  }

  void close(Pair& pair, bool with_reset) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    for (int& end : pair.ends) {
      if (with_reset) ::setsockopt(end, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      ::close(std::exchange(end, -1));
    }
  }

  void run() {
    while (!stopped_) {
      std::vector<pollfd> polled{{wakes_, POLLIN, 0}, {listening_.socket, POLLIN, 0}};
      for (const auto& pair : pairs_) {
        for (const int end : pair.ends) polled.push_back({end, POLLIN, 0});
      }
      ::poll(polled.data(), polled.size(), -1);
      if (polled[0].revents != 0) {
        std::uint64_t ignored = 0;
        if (::read(wakes_, &ignored, sizeof ignored) < 0) std::abort();
        if (deaf_.exchange(false)) {
          for (auto& pair : pairs_) pair.deaf = true;
        }
        if (cut_.exchange(false)) {
          for (auto& pair : pairs_) close(pair, false);
        }
        if (away_) {
          for (auto& pair : pairs_) close(pair, false);
          gone_ = true;
          gone_.notify_all();
        }
      }
      for (std::size_t i = 0; i < pairs_.size(); ++i) {
        for (std::size_t end : {0U, 1U}) {
          if (polled[2 + 2 * i + end].revents != 0 && pairs_[i].ends[end] >= 0) pass_on(pairs_[i], end);
        }
      }
      std::erase_if(pairs_, [](const Pair& pair) { return pair.ends[0] < 0; });
      if (polled[1].revents != 0 && !away_) accept();
      if (away_ && polled[1].revents != 0) ::poll(nullptr, 0, 1);  // a caller stays where it is
    }
    for (auto& pair : pairs_) close(pair, false);
  }

  void accept() {
    const auto address = loopback(target_);
    Pair pair{{::accept4(listening_.socket, nullptr, nullptr, SOCK_CLOEXEC),
               ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)}};
    ++calls_;
    if (hangs_up_) return close(pair, false);
    if (::connect(pair.ends[1], reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      return close(pair, true);
    }
    pairs_.push_back(pair);
  }

  void pass_on(Pair& pair, std::size_t from) {
    std::array<char, 16 * 1024> bytes;
    const std::lock_guard lock{mutex_};
    const auto most = gaps_.empty() ? bytes.size() : std::min(bytes.size(), gaps_.front());
    const auto count = ::recv(pair.ends[from], bytes.data(), most, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return close(pair, count < 0);
    if (pair.deaf) return;
    for (ssize_t sent = 0; sent < count;) {
      const auto more =
          ::send(pair.ends[1 - from], bytes.data() + sent, static_cast<std::size_t>(count - sent), MSG_NOSIGNAL);
      if (more <= 0) return close(pair, true);
      sent += more;
    }
    if (gaps_.empty()) return;
    gaps_.front() -= static_cast<std::size_t>(count);
    if (gaps_.front() > 0) return;
    gaps_.pop_front();
    ++cuts_;
    for (auto& each : pairs_) close(each, with_reset_);
  }

  const std::uint16_t target_;
  const Listening listening_ = listen_on_loopback();
  const int wakes_ = ::eventfd(0, EFD_CLOEXEC);
  std::atomic<bool> stopped_ = false, deaf_ = false, cut_ = false, hangs_up_ = false, away_ = false, gone_ = false;
  std::atomic<int> cuts_ = 0, calls_ = 0;
  std::mutex mutex_;
  std::deque<std::size_t> gaps_;
  bool with_reset_ = false;
  std::vector<Pair> pairs_;
  std::thread thread_;
};

}  // namespace tensair::net::test
