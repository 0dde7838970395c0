#include <deque>
#include <tensair/model/model_runtime.hpp>

namespace tensair {

struct RouterStage::State {
  std::shared_ptr<ModelRuntime> model;
  std::size_t use = 0;
  std::vector<runtime::Outlet<TensorBatch>> outlets;
  std::vector<std::size_t> order;  // this node's replicas first
  routing::Kind routing{};
  std::size_t turn = 0;       // in_turn: whose it is
  std::vector<bool> has_got;  // all: by replica, whether it has the first of those that wait
  std::deque<RoutedBatch> waiting;
  std::int32_t node = 0;
  std::uint64_t batches = 0;
  bool finishing = false, ended = false;

  /// Sends a batch on; false when it has to wait for somebody.
  auto place(RoutedBatch& one) -> bool;
  auto place_at(std::size_t replica, RoutedBatch& one) -> bool;
  auto place_at_all(const RoutedBatch& one) -> bool;
};

auto RouterStage::State::place(RoutedBatch& one) -> bool {
  switch (routing) {
    case routing::Kind::room: {
      auto* outlet = outlet_with_room(outlets, order);
      if (outlet) outlet->put(std::move(one.batch));
      return outlet != nullptr;
    }
    case routing::Kind::in_turn:
      if (!place_at(turn % outlets.size(), one)) return false;
      ++turn;
      return true;
    case routing::Kind::by_key:
      return place_at(one.hash % outlets.size(), one);
    case routing::Kind::all:
      return place_at_all(one);
  }
  return false;
}

auto RouterStage::State::place_at(std::size_t replica, RoutedBatch& one) -> bool {
  if (outlets[replica].credits() == 0) return false;
  outlets[replica].put(std::move(one.batch));
  return true;
}

// Each gets it as soon as it has room; the batch behind waits for the slowest.
auto RouterStage::State::place_at_all(const RoutedBatch& one) -> bool {
  bool all = true;
  for (std::size_t i = 0; i < outlets.size(); ++i) {
    if (has_got[i]) continue;
    has_got[i] = outlets[i].credits() > 0;
    if (has_got[i]) outlets[i].put(one.batch);
    all = all && has_got[i];
  }
  if (all) has_got.assign(outlets.size(), false);
  return all;
}

RouterStage::RouterStage(std::shared_ptr<ModelRuntime> model, std::size_t use) : state_(std::make_unique<State>()) {
  state_->model = std::move(model);
  state_->use = use;
}
RouterStage::RouterStage(const RouterStage& other) : RouterStage(other.state_->model, other.state_->use) {}
RouterStage::RouterStage(RouterStage&&) noexcept = default;
auto RouterStage::operator=(RouterStage&&) noexcept -> RouterStage& = default;
RouterStage::~RouterStage() = default;

void RouterStage::open(operators::StageContext& context) {
  auto& state = *state_;
  state.node = context.node.rank();
  state.outlets = state.model->batch_outlets(context.node, state.use);
  for (auto& outlet : state.outlets) outlet.bind(context.task);
  state.order = local_first(state.outlets, context.node.rank());
  state.routing = state.model->uses()[state.use].routing;
  state.turn = static_cast<std::size_t>(context.node.rank());
  state.has_got.assign(state.outlets.size(), false);
}

void RouterStage::push(RoutedBatch batch) {
  auto& state = *state_;
  batch.batch.number = state.batches++;
  batch.batch.node = state.node;
  state.waiting.push_back(std::move(batch));
  flush();
}

void RouterStage::flush() {
  auto& state = *state_;
  while (!state.waiting.empty()) {
    if (!state.place(state.waiting.front())) break;
    state.waiting.pop_front();
  }
  if (state.finishing && !state.ended && state.waiting.empty()) {
    state.ended = true;
    for (auto& outlet : state.outlets) outlet.end();
  }
  blocked_ = !state.waiting.empty();  // when nothing waits, an end has been sent too
}

void RouterStage::finish() {
  state_->finishing = true;
  flush();
}

}  // namespace tensair
