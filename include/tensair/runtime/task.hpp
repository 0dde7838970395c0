#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <tensair/cold.hpp>
#include <tensair/runtime/clock.hpp>
#include <tensair/runtime/counter.hpp>
#include <utility>

namespace tensair::runtime {

class Scheduler;
class Task;

/// Wakes a task from outside: what is handed to whoever has something for it (a socket's thread, a user's callback).
///
/// May be copied, and may outlive its task and the whole run: waking a task that is gone has no effect. Any thread, but
/// in a simulated cluster the cluster's own.
class Waker {
 public:
  /// Wakes nobody.
  Waker() = default;
  void wake() const;

 private:
  friend class Scheduler;
  friend class Task;

  // The lock is held while the task is woken, so that neither it nor its scheduler can go meanwhile.
  struct Handle {
    explicit Handle(Task* whose) : task(whose) {}
    std::mutex mutex;
    Task* task;
    void detach() {
      const std::lock_guard lock{mutex};
      task = nullptr;
    }
  };
  explicit Waker(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}

  std::shared_ptr<Handle> handle_;
};

/// What a task says when it gives the thread back.
struct Turn {
  enum class State {
    again,  ///< there is more to do: run me again when it is my turn
    wait,   ///< nothing to do until somebody wakes me, or until `deadline`
    done,   ///< finished; never run again
  };

  State state;
  Time deadline = never;

  static auto again() -> Turn { return {State::again, never}; }
  static auto wait(Time deadline = never) -> Turn { return {State::wait, deadline}; }
  static auto done() -> Turn { return {State::done, never}; }
};

/// One parallel instance of a chain of fused operators, or a replica of a model: the unit that a scheduler runs.
///
/// A task is run by one thread at a time, so nothing inside it needs a lock. It never blocks on another task: when it
/// cannot go on it returns `wait`, and whoever removes the obstacle calls `wake`. A wake that arrives while the task
/// runs is kept: the task is run again.
class Task {
 public:
  explicit Task(std::string name) : name_(std::move(name)) {}
  Task(const Task&) = delete;
  auto operator=(const Task&) -> Task& = delete;
  virtual ~Task() { handle_->detach(); }

  /// Called once before the first turn, when everything of the graph has been made on this node.
  virtual void open() {}

  /// Does a bounded amount of work. An exception ends the run of the whole pipeline with that error.
  virtual auto run() -> Turn = 0;

  /// Whether a turn may keep its thread for long (training, a source that waits for its input): such a task has a
  /// thread of its own.
  virtual auto occupies_thread() const -> bool { return false; }

  /// Makes a waiting task run again. Any thread; before the scheduler knows the task, and after it is done, it has no
  /// effect.
  void wake();

  /// A way to wake this task that may outlive it.
  auto waker() const -> Waker { return Waker{handle_}; }

  /// Within a turn of this task: if it then waits, it is run again at that time at the latest, whatever deadline it
  /// returns. Lasts for one wait.
  void wake_at(Time time) { alarm_ = std::min(alarm_, time); }

  auto name() const -> const std::string& { return name_; }

  /// From now on the microseconds of its turns are counted.
  void count_time(std::shared_ptr<Counter> counter) { busy_ = std::move(counter); }

 private:
  friend class Scheduler;
  std::string name_;
  std::shared_ptr<Counter> busy_;
  std::atomic<Scheduler*> scheduler_{nullptr};
  Time alarm_ = never;
  std::shared_ptr<Waker::Handle> handle_ = std::make_shared<Waker::Handle>(this);
};

/// Runs tasks until all are done. Two kinds: threads (`ThreadScheduler`) and a seeded simulation
/// (`testing::SimulatedScheduler`).
class Scheduler {
 public:
  virtual ~Scheduler() = default;

  /// Takes a task over, to be run once the scheduler runs.
  virtual void spawn(std::shared_ptr<Task> task) = 0;

  virtual auto clock() const -> const Clock& = 0;

  /// Whether time is virtual: then there is one thread, and nothing may wait for the world outside.
  virtual auto simulated() const -> bool { return false; }

  /// Asked to stop when the run has failed or is drained: what waits for something outside gives up then.
  auto stop_token() const -> std::stop_token { return stop_.get_token(); }

  /// Ends the run early and well: sources give no more records, and what flows is finished. Any thread.
  void drain();
  auto draining() const -> bool { return draining_.load(std::memory_order_acquire); }

 protected:
  friend class Task;
  virtual void wake(Task& task) = 0;
  /// Every task that waits.
  virtual void wake_all() = 0;
  void adopt(Task& task) { task.scheduler_.store(this, std::memory_order_release); }
  void release(Task& task) {
    task.handle_->detach();
    task.scheduler_.store(nullptr, std::memory_order_release);
  }
  void request_stop() { stop_.request_stop(); }

  /// Runs one turn of a task, and heeds what it has set with `wake_at`.
  auto turn_of(Task& task) -> Turn {
    const Time start = task.busy_ ? clock().now() : Time{};
    auto turn = task.run();
    if (task.busy_) {
      const auto busy = std::chrono::duration_cast<std::chrono::microseconds>(clock().now() - start);
      task.busy_->add(static_cast<std::uint64_t>(busy.count()));
    }
    if (turn.state == Turn::State::wait) turn.deadline = std::min(turn.deadline, std::exchange(task.alarm_, never));
    return turn;
  }

 private:
  std::stop_source stop_;
  std::atomic<bool> draining_{false};
};

inline void Scheduler::drain() {
  draining_.store(true, std::memory_order_release);
  request_stop();
  wake_all();
}

inline void Task::wake() {
  if (auto* scheduler = scheduler_.load(std::memory_order_acquire)) scheduler->wake(*this);
}

inline void Waker::wake() const {
  if (!handle_) return;
  const std::lock_guard lock{handle_->mutex};
  if (handle_->task != nullptr) handle_->task->wake();
}

}  // namespace tensair::runtime
