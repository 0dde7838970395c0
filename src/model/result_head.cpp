#include <tensair/model/adaptation.hpp>
#include <tensair/model/evaluation.hpp>
#include <tensair/model/mode.hpp>
#include <tensair/model/model_runtime.hpp>
#include <tensair/model/result_head.hpp>
#include <tensair/model/results.hpp>
#include <tensair/operators/chain.hpp>

namespace tensair::operators {
namespace {

/// The first stage of a chain that is known by its interface alone. Its task asks `blocked` before each record, so a
/// record is always taken.
template <class R>
class UseStage {
 public:
  explicit UseStage(std::unique_ptr<ForkUse<R, Untimed>> use) : use_(std::move(use)) {}
  UseStage(UseStage&&) noexcept = default;
  auto operator=(UseStage&&) noexcept -> UseStage& = default;
  ~UseStage() = default;
  UseStage(const UseStage& other) : use_(other.use_->clone()) {}
  auto operator=(const UseStage&) -> UseStage& = delete;

  void operator()(R record, Untimed) {
    one_.assign(1, std::move(record));
    use_->push(one_, {});
  }
  void open(StageContext& context) { use_->open(context); }
  void watermark(EventTime time) { use_->watermark(time); }
  void idle() { use_->idle(); }
  void flush() { use_->flush(); }
  void finish() { use_->finish(); }
  auto blocked() -> bool { return use_->blocked(); }
  auto deadline() -> Time { return use_->deadline(); }
  void tick(Time now) { use_->tick(now); }

 private:
  std::unique_ptr<ForkUse<R, Untimed>> use_;
  std::vector<R> one_;
};

}  // namespace

template <class R>
ResultHead<R>::ResultHead(std::shared_ptr<plan::Operator> op, std::shared_ptr<ModelRuntime> model)
    : queue_(std::make_shared<QueueHead<R, true>>(QueueHead<R, true>{
          .op = std::move(op),
          .senders = [model = std::move(model)](const runtime::Node& node) { return model->local_replicas(node); }})) {}

template <class R>
auto ResultHead<R>::inlet() const -> std::shared_ptr<runtime::Inlet<std::vector<R>>> {
  return queue_->inlet;
}

template <class R>
void ResultHead<R>::end(plan::Graph& graph, Use fused) {
  queue_->end(graph, UseStage<R>(std::move(fused)));
}

template <class R>
void ResultHead<R>::gather(plan::Graph& graph, std::shared_ptr<plan::Operator> from, std::shared_ptr<plan::Operator> op,
                           Use last) {
  end_on_first_node<R>(graph, Chain<QueueHead<R, true>, NoBinder>{*queue_, {}}, std::move(from), std::move(op),
                       UseStage<R>(std::move(last)));
}

template class ResultHead<TrainStep>;
template class ResultHead<Evaluation>;
template class ResultHead<Validation>;
template class ResultHead<ModeChange>;
template class ResultHead<Decision>;

}  // namespace tensair::operators
