#include <tensair/runtime/node.hpp>

namespace tensair::runtime {

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
