#pragma once

// How two systems are measured in turns.
//
// Both stay alive, in processes of their own, and work only while their window is open. A window is measured from the
// end of one step to the end of another: whatever starting and stopping cost is outside. A pipeline is opened and
// closed at its source, which holds back the images between windows; what is still under way when it closes is trained
// on, unmeasured, before the other system's window opens.

#include <cifar10/source.hpp>

#include <time.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace bench {

constexpr auto batch_size = std::size_t{128};

/// Steps of one process in one window.
struct Window {
  std::int64_t steps = 0;
  double seconds = 0;
  double cpu_seconds = 0;  ///< of all threads of the process
};

/// Notes when steps end. Any thread.
class Recorder {
 public:
  using Clock = std::chrono::steady_clock;
  /// Steps at a window's beginning that are not measured. The caches are cold, and while a node had nothing to do it
  /// invited batches of the others, which now come.
  static constexpr auto warm_up = 4;
  static constexpr auto fewest_steps = 4;

  void step(double loss) {
    const auto lock = std::lock_guard{mutex_};
    if (!first_loss_) first_loss_ = loss;
    if (!open_ || over()) return;
    last_ = now();
    if (++ended_ == warm_up) first_ = last_;
    changed_.notify_all();
  }

  void open(std::chrono::milliseconds length) {
    const auto lock = std::lock_guard{mutex_};
    open_ = true;
    ended_ = 0;
    deadline_ = Clock::now() + length;
  }

  /// Whether the window is as long as it should be, and has enough steps. A step under way at that moment does not
  /// count, on either side: it is more likely a slow one, and would make its side look slow.
  auto is_over() -> bool {
    const auto lock = std::lock_guard{mutex_};
    return over();
  }

  void wait_until_over() {
    auto lock = std::unique_lock{mutex_};
    changed_.wait(lock, [&] { return enough(); });
    lock.unlock();
    std::this_thread::sleep_until(deadline_);
  }

  auto close() -> Window {
    const auto lock = std::lock_guard{mutex_};
    open_ = false;
    return {ended_ - warm_up, last_.wall - first_.wall, last_.cpu - first_.cpu};
  }

  auto first_loss() -> double {
    const auto lock = std::lock_guard{mutex_};
    return first_loss_.value_or(0);
  }

 private:
  struct Instant {
    double wall, cpu;
  };

  static auto now() -> Instant {
    auto cpu = timespec{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return {std::chrono::duration<double>(Clock::now().time_since_epoch()).count(),
            static_cast<double>(cpu.tv_sec) + 1e-9 * static_cast<double>(cpu.tv_nsec)};
  }

  auto over() const -> bool { return enough() && Clock::now() >= deadline_; }
  auto enough() const -> bool { return ended_ >= warm_up + fewest_steps; }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  Clock::time_point deadline_{};
  std::int64_t ended_ = 0;
  Instant first_{}, last_{};
  std::optional<double> first_loss_;
};

/// What holds a source back between windows.
class Gate {
 public:
  void open() { change(State::open); }
  /// @returns batches let through since the beginning
  auto close() -> std::uint64_t { return change(State::closed); }
  void end() { change(State::ended); }

  /// Lets one batch through, as soon as the gate is open; or says that there will be no more.
  auto pass() -> bool {
    auto lock = std::unique_lock{mutex_};
    changed_.wait(lock, [&] { return state_ != State::closed; });
    if (state_ == State::ended) return false;
    ++passed_;
    return true;
  }

 private:
  enum class State { closed, open, ended };

  auto change(State state) -> std::uint64_t {
    const auto lock = std::lock_guard{mutex_};
    state_ = state;
    changed_.notify_all();
    return passed_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::closed;
  std::uint64_t passed_ = 0;
};

/// The sample's source behind a gate, which stops it between batches only.
class GatedImages {
 public:
  using value_type = cifar10::Image;
  static constexpr bool occupies_thread = true;

  GatedImages(cifar10::ShuffledImages images, std::shared_ptr<Gate> gate)
      : images_(std::move(images)), gate_(std::move(gate)) {}

  void split(int part, int parts) { images_.split(part, parts); }

  auto next() -> std::optional<cifar10::Image> {
    if (in_batch_ == 0 && !gate_->pass()) return std::nullopt;
    in_batch_ = (in_batch_ + 1) % batch_size;
    return images_.next();
  }

 private:
  cifar10::ShuffledImages images_;
  std::shared_ptr<Gate> gate_;
  std::size_t in_batch_ = 0;
};

/// Counts what has arrived, for whoever waits for it.
class Arrivals {
 public:
  void add() {
    const auto lock = std::lock_guard{mutex_};
    ++count_;
    changed_.notify_all();
  }

  void wait_for(std::uint64_t count) {
    auto lock = std::unique_lock{mutex_};
    changed_.wait(lock, [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t count_ = 0;
};

}  // namespace bench
