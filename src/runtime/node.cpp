#include <algorithm>
#include <tensair/runtime/node.hpp>

namespace tensair::runtime {

Node::Node(net::Rank rank, int count, std::uint64_t seed, net::Transport& transport, Scheduler& scheduler)
    : rank_(rank), count_(count), seed_(seed), transport_(transport), scheduler_(scheduler) {
  has_bursts_ = transport.after_burst([this] {
    for (auto* task : arrived_for_) task->wake();
    arrived_for_.clear();
  });
}

void Node::wake_after_burst(Task& task) {
  if (!has_bursts_) return task.wake();
  const bool is_there = std::find(arrived_for_.begin(), arrived_for_.end(), &task) != arrived_for_.end();
  if (!is_there) arrived_for_.push_back(&task);
}

void Node::when_built(std::function<void()> action) {
  built_.push_back(std::move(action));
}

auto Node::counter_in(Counters& counters, const std::string& name) -> std::shared_ptr<Counter> {
  auto& counter = counters[name];
  if (!counter) counter = std::make_shared<Counter>();
  return counter;
}

void Node::start_when_built(std::unique_ptr<Task> made) {
  if (profiling_) made->count_time(busy_counter(made->name()));
  when_built([this, task = std::shared_ptr<Task>(std::move(made))] {
    task->open();
    scheduler_.spawn(task);
  });
}

void Node::built() {
  for (auto& action : built_) action();
}

void Node::report(std::string name, std::function<std::string()> part) {
  reports_.emplace_back(std::move(name), std::move(part));
}

void Node::at_end(std::function<void()> action) {
  endings_.push_back(std::move(action));
}

void Node::end() {
  for (auto& ending : endings_) ending();
}

}  // namespace tensair::runtime
