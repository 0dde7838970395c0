#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <tensair/runtime/thread_scheduler.hpp>
#include <thread>
#include <unordered_map>
#include <vector>

// One mutex guards who runs what. A task is idle, queued, running, or done; a wake that meets a running task is
// remembered in `woken`, so that no wake is lost between a task's last look at its inputs and its return. A turn does a
// chunk's worth of work, so the lock is taken once a chunk and not once a record.

namespace tensair::runtime {

struct ThreadScheduler::State {
  enum class Status { idle, queued, running, done };

  struct Entry {
    std::shared_ptr<Task> task;
    Status status = Status::queued;
    bool woken = false;
    Time deadline = never;
    std::unique_ptr<std::condition_variable> own;  // a task with a thread of its own waits here
  };

  std::mutex mutex;
  std::condition_variable work;      // workers wait here
  std::condition_variable finished;  // `run` waits here
  std::unordered_map<Task*, Entry> entries;
  std::deque<Task*> queue;
  std::multimap<Time, Task*> timers;  // of tasks that share workers
  std::size_t unfinished = 0;
  bool stopping = false;
  std::exception_ptr error;
  std::vector<std::thread> threads;
  SteadyClock clock;
  int workers = 1;
  std::function<void()> on_stop;

  void stop(std::exception_ptr why) {
    {
      const std::lock_guard lock{mutex};
      if (!error && !stopping) error = std::move(why);
      stopping = true;
      wake_everybody();
    }
    on_stop();  // without the lock: it calls what users have registered
  }

  void wake_everybody() {
    work.notify_all();
    finished.notify_all();
    for (auto& [task, entry] : entries) {
      if (entry.own) entry.own->notify_all();
    }
  }

  // Caller holds the lock.
  void enqueue(Entry& entry) {
    if (entry.deadline != never && !entry.own) forget_timer(entry);
    entry.status = Status::queued;
    if (entry.own) {
      entry.own->notify_one();
    } else {
      queue.push_back(entry.task.get());
      work.notify_one();
    }
  }

  void forget_timer(Entry& entry) {
    auto [first, last] = timers.equal_range(entry.deadline);
    for (; first != last; ++first) {
      if (first->second == entry.task.get()) {
        timers.erase(first);
        break;
      }
    }
    entry.deadline = never;
  }

  void finish(Entry& entry) {
    entry.status = Status::done;
    if (--unfinished == 0) {
      stopping = true;
      wake_everybody();
    }
  }

  // Runs one turn with the lock released; returns false when the run is over.
  auto turn(Entry& entry, std::unique_lock<std::mutex>& lock) -> bool {
    entry.status = Status::running;
    entry.woken = false;
    lock.unlock();
    Turn turn = Turn::done();
    try {
      turn = turn_of(*entry.task);
    } catch (...) {
      stop(std::current_exception());
      lock.lock();
      return false;
    }
    lock.lock();
    if (turn.state == Turn::State::done) {
      finish(entry);
    } else if (turn.state == Turn::State::again || entry.woken) {
      // Nobody is woken for it: this thread takes the next task of the queue itself.
      entry.deadline = never;
      entry.status = Status::queued;
      if (!entry.own) queue.push_back(entry.task.get());
    } else {
      entry.status = Status::idle;
      entry.deadline = turn.deadline;
      if (turn.deadline != never && !entry.own) {
        timers.emplace(turn.deadline, entry.task.get());
        work.notify_one();  // somebody must wait for the new deadline
      }
    }
    return !stopping;
  }

  void work_shared() {
    std::unique_lock lock{mutex};
    while (!stopping) {
      const Time now = clock.now();
      while (!timers.empty() && timers.begin()->first <= now) enqueue(entries.at(timers.begin()->second));
      if (!queue.empty()) {
        Entry& entry = entries.at(queue.front());
        queue.pop_front();
        turn(entry, lock);
      } else if (timers.empty()) {
        work.wait(lock);
      } else {
        const Time deadline = timers.begin()->first;
        work.wait_until(lock, deadline);
      }
    }
  }

  void work_alone(Entry& entry) {
    std::unique_lock lock{mutex};
    while (!stopping && entry.status != Status::done) {
      if (entry.status == Status::queued || entry.deadline <= clock.now()) {
        turn(entry, lock);
      } else if (entry.deadline == never) {
        entry.own->wait(lock);
      } else {
        const Time deadline = entry.deadline;
        entry.own->wait_until(lock, deadline);
      }
    }
  }

  // Caller holds the lock. References into an unordered_map stay valid when it grows.
  void start_thread(Entry& entry) {
    threads.emplace_back([this, &entry] { work_alone(entry); });
  }
};

ThreadScheduler::ThreadScheduler(int workers) : state_(std::make_unique<State>()) {
  state_->workers = std::max(1, workers);
  state_->on_stop = [this] { request_stop(); };
}

ThreadScheduler::~ThreadScheduler() {
  for (auto& [task, entry] : state_->entries) release(*task);
}

auto ThreadScheduler::clock() const -> const Clock& {
  return state_->clock;
}

void ThreadScheduler::spawn(std::shared_ptr<Task> task) {
  const std::lock_guard lock{state_->mutex};
  auto* key = task.get();
  auto& entry = state_->entries[key];
  entry.task = std::move(task);
  if (key->occupies_thread()) entry.own = std::make_unique<std::condition_variable>();
  ++state_->unfinished;
  adopt(*key);
  state_->enqueue(entry);
}

void ThreadScheduler::run() {
  {
    const std::lock_guard lock{state_->mutex};
    if (state_->unfinished == 0) state_->stopping = true;
    for (auto& [task, entry] : state_->entries) {
      if (entry.own) state_->start_thread(entry);
    }
    for (int i = 0; i < state_->workers; ++i) {
      state_->threads.emplace_back([this] { state_->work_shared(); });
    }
  }
  {
    std::unique_lock lock{state_->mutex};
    state_->finished.wait(lock, [&] { return state_->stopping; });
  }
  for (auto& thread : state_->threads) thread.join();
  state_->threads.clear();
  if (state_->error) std::rethrow_exception(state_->error);
}

void ThreadScheduler::fail(std::exception_ptr error) {
  state_->stop(std::move(error));
}

void ThreadScheduler::wake(Task& task) {
  const std::lock_guard lock{state_->mutex};
  const auto found = state_->entries.find(&task);
  if (found == state_->entries.end()) return;
  auto& entry = found->second;
  if (entry.status == State::Status::running) {
    entry.woken = true;
  } else if (entry.status == State::Status::idle) {
    state_->enqueue(entry);
  }
}

}  // namespace tensair::runtime
