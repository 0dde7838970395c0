#pragma once

#include <exception>
#include <memory>
#include <tensair/runtime/task.hpp>

namespace tensair::runtime {

/// Runs tasks on real threads: `workers` of them share the tasks that give their thread back quickly; every task that
/// occupies its thread
/// (`Task::occupies_thread`) has its own. All threads are joined when `run` returns.
class ThreadScheduler final : public Scheduler {
 public:
  /// @param workers  shared threads; at least 1
  explicit ThreadScheduler(int workers);
  ~ThreadScheduler() override;

  void spawn(std::shared_ptr<Task> task) override;
  auto clock() const -> const Clock& override;

  /// Runs until every task is done, or one has thrown or `fail` was called.
  /// @throws the first of these errors
  void run();

  /// Ends the run with this error; tasks are not run again. Any thread; only the first error counts.
  void fail(std::exception_ptr error);

 protected:
  void wake(Task& task) override;
  void wake_all() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tensair::runtime
