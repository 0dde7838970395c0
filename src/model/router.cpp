#include <deque>
#include <tensair/model/model_runtime.hpp>

namespace tensair {

struct RouterStage::State {
  std::shared_ptr<ModelRuntime> model;
  std::size_t use = 0;
  std::vector<runtime::Outlet<TensorBatch>> outlets;
  std::vector<std::size_t> order;  // this node's replicas first
  std::deque<TensorBatch> waiting;
  std::int32_t node = 0;
  std::uint64_t batches = 0;
  bool finishing = false, ended = false;
};

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
}

void RouterStage::push(TensorBatch batch) {
  auto& state = *state_;
  batch.number = state.batches++;
  batch.node = state.node;
  state.waiting.push_back(std::move(batch));
  flush();
}

void RouterStage::flush() {
  auto& state = *state_;
  while (!state.waiting.empty()) {
    auto* outlet = outlet_with_room(state.outlets, state.order);
    if (!outlet) break;
    outlet->put(std::move(state.waiting.front()));
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
