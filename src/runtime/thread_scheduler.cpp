#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <tensair/runtime/ring.hpp>
#include <tensair/runtime/thread_scheduler.hpp>
#include <thread>
#include <unordered_map>
#include <vector>

// One mutex guards who runs what. A task is idle, queued, running, or done; a wake that meets a running task is
// remembered in `woken`, so that no wake is lost between a task's last look at its inputs and its return. A turn does a
// chunk's worth of work, so the lock is taken once a chunk and not once a record. Nothing is allocated between start
// and end: neither by a turn nor by a wake nor by a deadline.
//
// Of the workers with nothing to do one, the watcher, sleeps until the soonest deadline; the others sleep until they
// are needed. A worker that begins a turn first sees to it that somebody takes what else there is, or watches the
// deadlines: so no deadline is missed because the one who watched is at work.

namespace tensair::runtime {
namespace {

// Linux lets a thread sleep 50 µs longer than it asked for, to wake several at once. A deadline is meant as it is: this
// one has 1 µs. A system that refuses keeps what it has.
void wake_in_time() {
  constexpr unsigned long nanoseconds = 1'000;
  ::prctl(PR_SET_TIMERSLACK, nanoseconds, 0UL, 0UL, 0UL);
}

// Linux since 6.12 lets a thread choose how long it runs before others get their share: by default milliseconds, and
// all of what is left of it is forfeited by one that yields. Others keep what they have.
void ask_for_short_slices() {
  struct {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;  // ns
    std::uint32_t least_speed, most_speed;
  } attributes{};
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  attributes.runtime = 100'000;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

// What wakes up behind a busy worker, on the same processor, waits for the kernel's next tick (4 ms on many systems)
// even when another processor has become free since: of a link's thread each message does. So a worker offers its
// processor between turns, now and then. Where nobody waits for it that costs less than a microsecond.
class Offer {
 public:
  /// After a turn; looks whether it is time again.
  void after_turn(Time now) { due_ = now - last_ >= often; }
  /// Without the lock.
  void make(const Clock& clock) {
    std::this_thread::yield();
    last_ = clock.now();
    due_ = false;
  }
  auto is_due() const -> bool { return due_; }

 private:
  static constexpr auto often = std::chrono::microseconds{200};
  Time last_{};
  bool due_ = false;
};

}  // namespace

struct ThreadScheduler::State {
  enum class Status { idle, queued, running, done };

  struct Entry {
    std::shared_ptr<Task> task;
    Status status = Status::queued;
    bool woken = false;
    Time deadline = never;
    std::unique_ptr<std::condition_variable> own;  // a task with a thread of its own waits here
  };
  struct Timer {
    Time deadline;
    Entry* entry;
    friend auto operator<(const Timer& a, const Timer& b) -> bool { return b.deadline < a.deadline; }
  };

  std::mutex mutex;
  std::condition_variable work;   // workers wait here, but for the watcher
  std::condition_variable alarm;  // the watcher waits here
  int sleeping = 0;               // workers at `work`
  Time watched = never;           // what the watcher sleeps until
  bool has_watcher = false;
  std::condition_variable finished;  // `run` waits here
  std::unordered_map<Task*, Entry> entries;
  Ring<Entry*> queue;
  std::vector<Timer>
      timers;  // a heap, soonest first, of tasks that share workers; one that its task has left is skipped
  std::size_t unfinished = 0;
  bool stopping = false;
  std::exception_ptr error;
  std::vector<std::thread> threads;
  SteadyClock clock;
  int workers = 1;
  ThreadScheduler* scheduler = nullptr;

  void stop(std::exception_ptr why) {
    {
      const std::lock_guard lock{mutex};
      if (!error && !stopping) error = std::move(why);
      stopping = true;
      wake_everybody();
    }
    scheduler->request_stop();  // without the lock: it calls what users have registered
  }

  void wake_everybody() {
    work.notify_all();
    alarm.notify_all();
    finished.notify_all();
    for (auto& [task, entry] : entries) {
      if (entry.own) entry.own->notify_all();
    }
  }

  // Caller holds the lock.
  void enqueue(Entry& entry) {
    entry.deadline = never;
    entry.status = Status::queued;
    if (entry.own) {
      entry.own->notify_one();
    } else {
      queue.push_back(&entry);
      call_worker();
    }
  }

  void wake(Entry& entry) {
    if (entry.status == Status::running) {
      entry.woken = true;
    } else if (entry.status == Status::idle) {
      enqueue(entry);
    }
  }

  void call_worker() {
    if (sleeping > 0) {
      work.notify_one();
    } else if (has_watcher) {
      alarm.notify_one();
    }
  }

  void add_timer(Entry& entry) {
    // Timers that tasks have left are many when they are woken before each deadline: then they go all at once.
    if (timers.size() >= 64 && timers.size() >= 2 * entries.size()) {
      std::erase_if(timers, [](const Timer& timer) { return left(timer); });
      std::make_heap(timers.begin(), timers.end());
    }
    timers.push_back({entry.deadline, &entry});
    std::push_heap(timers.begin(), timers.end());
  }
  static auto left(const Timer& timer) -> bool { return timer.entry->deadline != timer.deadline; }
  void pop_timer() {
    std::pop_heap(timers.begin(), timers.end());
    timers.pop_back();
  }
  // The soonest deadline of a task that still waits for it.
  auto next_deadline() -> Time {
    while (!timers.empty() && left(timers.front())) pop_timer();
    return timers.empty() ? never : timers.front().deadline;
  }

  void finish(Entry& entry) {
    entry.status = Status::done;
    if (--unfinished == 0) {
      stopping = true;
      wake_everybody();
    }
  }

  // Runs one turn with the lock released; returns false when the run is over.
  auto turn(Entry& entry, std::unique_lock<std::mutex>& lock, Offer* offer = nullptr) -> bool {
    entry.status = Status::running;
    entry.woken = false;
    lock.unlock();
    Turn turn = Turn::done();
    try {
      turn = scheduler->turn_of(*entry.task);
    } catch (...) {
      stop(std::current_exception());
      lock.lock();
      return false;
    }
    if (offer != nullptr) offer->after_turn(clock.now());
    lock.lock();
    if (turn.state == Turn::State::done) {
      finish(entry);
    } else if (turn.state == Turn::State::again || entry.woken) {
      // Nobody is woken for it: this thread takes the next task of the queue itself.
      entry.deadline = never;
      entry.status = Status::queued;
      if (!entry.own) queue.push_back(&entry);
    } else {
      entry.status = Status::idle;
      entry.deadline = turn.deadline;
      if (turn.deadline != never && !entry.own) {
        add_timer(entry);
        if (has_watcher && entry.deadline < watched) alarm.notify_one();
      }
    }
    return !stopping;
  }

  void work_shared() {
    wake_in_time();
    ask_for_short_slices();
    Offer offer;
    std::unique_lock lock{mutex};
    while (!stopping) {
      const Time now = timers.empty() ? Time{} : clock.now();
      while (next_deadline() <= now) {
        auto& entry = *timers.front().entry;
        pop_timer();
        enqueue(entry);
      }
      if (!queue.empty()) {
        Entry& entry = *queue.front();
        queue.pop_front();
        if (!queue.empty() || (!timers.empty() && !has_watcher)) call_worker();
        if (turn(entry, lock, &offer) && offer.is_due()) {
          lock.unlock();
          offer.make(clock);
          lock.lock();
        }
      } else if (timers.empty() || has_watcher) {
        ++sleeping;
        work.wait(lock);
        --sleeping;
      } else {
        has_watcher = true;
        watched = timers.front().deadline;
        alarm.wait_until(lock, Time{watched});
        has_watcher = false;
      }
    }
  }

  void work_alone(Entry& entry) {
    wake_in_time();
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
  state_->scheduler = this;
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
  state_->wake(found->second);
}

void ThreadScheduler::wake_all() {
  const std::lock_guard lock{state_->mutex};
  for (auto& [task, entry] : state_->entries) state_->wake(entry);
}

}  // namespace tensair::runtime
