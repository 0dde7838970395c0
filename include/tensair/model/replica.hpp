#pragma once

#include <deque>
#include <memory>
#include <tensair/model/exchange.hpp>
#include <tensair/model/mode_board.hpp>
#include <tensair/model/model_runtime.hpp>
#include <tensair/model/pace.hpp>

namespace tensair {

/// One live copy of a model: trains on the batches that are routed to it, answers predictions, and applies the others'
/// deltas.
///
/// It is a task with a thread of its own, and nothing else ever touches its learner: between two steps it takes what
/// the exchange has summed up for it, adds that to its parameters, then steps, then publishes a copy of its own change.
class Replica final : public runtime::Task {
 public:
  Replica(runtime::Node& node, ModelRuntime& model, int number, std::unique_ptr<Learner> learner,
          std::shared_ptr<Exchange> exchange);

  void open();
  auto occupies_thread() const -> bool override { return true; }
  auto run() -> runtime::Turn override;

  auto learner() -> Learner& { return *learner_; }
  auto batches(std::size_t use) -> runtime::Inlet<TensorBatch> { return uses_[use].input.batches; }
  auto requests(std::size_t use) -> runtime::Inlet<PredictRequest> { return uses_[use].input.requests; }

  struct Figures {
    std::uint64_t steps = 0, examples = 0;
    std::uint64_t untrained = 0;  // examples that came and, as the mode said, were not trained on
    std::vector<std::uint64_t>
        staleness_counts;  // [v]: how many steps of others were applied here with staleness v (the last: or more)
  };
  auto figures() const -> const Figures& { return figures_; }

 private:
  /// One stream that uses the model, as this replica sees it. Senders are there when somebody listens to the results.
  struct Use {
    detail::ModelUse::Kind kind;
    detail::ReplicaInput input;
    std::optional<operators::ChunkSender<TrainStep>> train_steps;
    std::optional<operators::ChunkSender<Evaluation>> evaluations;
    std::optional<operators::ChunkSender<Validation>> validations;
    std::optional<operators::ChunkSender<ModeChange>> mode_changes;
    std::vector<TensorBatch> held_out;
    std::uint64_t every = 0, next = 0;  // examples between validations, and at the next one
    bool validated_last = false;
  };

  auto work() -> runtime::Turn;
  auto apply_deltas() -> bool;
  void apply(const Delta& delta);
  auto learn() -> bool;
  void learn_from(const TensorBatch& batch, Use& use);
  void read_mode();
  auto wait_for_peers() -> Time;
  auto answer() -> bool;
  auto is_late(const Delta& delta) const -> bool;
  auto compute(const TensorBatch& batch) -> Score;
  void step(const TensorBatch& batch, Use& use);
  void evaluate(const TensorBatch& batch, Use& use);
  auto change() -> std::shared_ptr<std::vector<float>>;
  void publish(const TensorBatch& batch, std::shared_ptr<std::vector<float>> change);
  void validate_if_due(Use& use, bool final);
  void finish_training_if_ended();
  auto requests_ended() const -> bool;
  auto validated() const -> bool;

  template <class Body>
  auto on_batch(const TensorBatch& batch, Body body) const;
  [[noreturn]] void fail(const std::string& what, const TensorBatch& batch, const std::string& remedy) const;
  auto version() const -> std::uint64_t;
  auto examples_seen() const -> std::uint64_t;
  auto unseen_by(const Contribution& one) const -> std::uint64_t;

  template <class Body>
  void for_each_sender(Body body);

  runtime::Node& node_;
  ModelRuntime& model_;
  int number_;
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<Optimizer> optimizer_;
  std::shared_ptr<Exchange> exchange_;
  std::shared_ptr<DeltaBuffers> buffers_;
  std::vector<float> kept_;  // the parameters, while a gradient is taken elsewhere
  Pace pace_;
  ModeWatch mode_;
  double last_loss_ = 0;                 // of the batch that was trained on or scored last
  SharedDelta late_;                     // what came too late for the last gradient
  VersionVector clock_;                  // steps of each replica that the parameters contain
  std::vector<std::uint64_t> examples_;  // and examples
  std::uint64_t last_staleness_ = 0;
  std::vector<Use> uses_;
  std::size_t turn_ = 0;  // which use is served first
  Figures figures_;
  bool started_ = false, training_ended_ = false, results_finished_ = false;
};

}  // namespace tensair
