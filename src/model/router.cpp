#include <tensair/model/model_runtime.hpp>

namespace tensair {

void RouterStage::open(operators::StageContext& context) {
  node_ = context.node.rank();
  outlets_ = model_->batch_outlets(context.node, use_);
  for (auto& outlet : outlets_) outlet.bind(context.task);
  order_ = local_first(outlets_, context.node.rank());
}

void RouterStage::push(TensorBatch batch) {
  batch.number = batches_++;
  batch.node = node_;
  waiting_.push_back(std::move(batch));
  flush();
}

void RouterStage::flush() {
  while (!waiting_.empty()) {
    auto* outlet = outlet_with_room(outlets_, order_);
    if (!outlet) return;
    outlet->put(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  if (finishing_ && !ended_) {
    ended_ = true;
    for (auto& outlet : outlets_) outlet.end();
  }
}

void RouterStage::finish() {
  finishing_ = true;
  flush();
}

}  // namespace tensair
