#pragma once

#include <deque>
#include <exception>
#include <memory>
#include <tensair/model/adapting.hpp>
#include <tensair/model/averaging.hpp>
#include <tensair/model/delay_compensation.hpp>
#include <tensair/model/exchange.hpp>
#include <tensair/model/mode_board.hpp>
#include <tensair/model/model_runtime.hpp>
#include <tensair/model/pace.hpp>
#include <tensair/model/step_rule.hpp>

namespace tensair {

/// One live copy of a model: trains on the batches that are routed to it, answers predictions, and applies the others'
/// deltas.
///
/// It is a task with a thread of its own, and nothing else ever touches its learner: between two steps it takes what
/// the exchange has summed up for it, adds that to its parameters, then steps, then publishes a copy of its own change.
///
/// A step begins at the end of a turn, with the gradient, and is finished at the beginning of the next: so in a
/// simulation, too, in which a turn takes time and nothing within it, others are heard of while a gradient is computed.
class Replica final : public runtime::Task {
 public:
  Replica(runtime::Node& node, ModelRuntime& model, int number, std::unique_ptr<Learner> learner,
          std::shared_ptr<Exchange> exchange);

  void open();
  auto occupies_thread() const -> bool override { return true; }
  auto run() -> runtime::Turn override;

  /// Goes on from a checkpoint: the optimiser, the schedule and the clock. The learner has its parameters already.
  void resume(const ModelCheckpoint& checkpoint, const std::filesystem::path& file);
  /// What another replica can go on from.
  auto checkpoint() const -> ModelCheckpoint;

  auto learner() -> Learner& { return *learner_; }
  auto batches(std::size_t use) -> runtime::Inlet<TensorBatch> { return uses_[use].input.batches; }
  auto requests(std::size_t use) -> runtime::Inlet<PredictRequest> { return uses_[use].input.requests; }

  struct Figures {
    std::uint64_t steps = 0, examples = 0;
    std::uint64_t dropped = 0;                   // steps not made, because they were too stale
    std::uint64_t skipped = 0, rolled_back = 0;  // batches with something that is not finite
    std::uint64_t untrained = 0;                 // examples that came and, as the mode said, were not trained on
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
    std::optional<operators::ChunkSender<Decision>> decisions;
    std::vector<TensorBatch> held_out;
    std::uint64_t every = 0, next = 0;  // examples between validations, and at the next one
    bool validated_last = false;
    bool outputs = false;  // evaluations carry the model's
  };

  /// A step whose gradient has been computed.
  struct Begun {
    TensorBatch batch;
    std::size_t use;
    Score score;
    Contribution contribution;
    Time began{};
    Duration core_before{};
    std::shared_ptr<SparseChange> change{};  // of a step that is made in place
  };

  auto work() -> runtime::Turn;
  auto learn() -> bool;
  void learn_from(TensorBatch batch, std::size_t use);
  void read_mode();
  auto trains() const -> bool;
  // Adaptation, in replica_adaptation.cpp:
  void read_decisions();
  void obey(const Decision& decision);
  void obey_mode(const Decision& decision);
  auto take_again() -> bool;
  auto begin_taken() -> bool;
  void learn_and_tell(TensorBatch batch, std::size_t use);
  void compare_with_challenger(const TensorBatch& batch, BatchOutcome& outcome);
  auto errors_of(const at::Tensor& outputs, const TensorBatch& batch) const -> std::vector<std::uint8_t>;
  void reset_optimizer();
  void jump_to(std::span<const float> target, const Decision& decision);
  auto has_decided_all() -> bool;
  auto wait_for_peers() -> Time;
  auto answer() -> bool;
  auto compute(const TensorBatch& batch) -> Score;
  void begin_step(TensorBatch batch, std::size_t use);
  void finish_step();
  void finish_in_place(Begun begun);
  void note_pace(const Begun& begun);
  void evaluate(const TensorBatch& batch, Use& use);
  auto change(std::span<const float> gradient, float share) -> std::shared_ptr<const std::span<float>>;
  auto sparse_change(std::span<const float> gradient, float share) -> std::shared_ptr<SparseChange>;
  void take_back(std::span<float> change, float share);
  void make_step(const TensorBatch& batch, std::span<const float> latest, float share);
  void reject(const TensorBatch& batch, const char* problem);
  // What replicas tell each other, in replica_exchange.cpp:
  auto apply_deltas() -> bool;
  void apply(const Delta& delta);
  auto unseen_by(const Contribution& one) const -> std::uint64_t;
  auto is_late(const Delta& delta) const -> bool;
  auto contribution_now() const -> Contribution;
  void publish(std::shared_ptr<Delta> delta);
  void send();
  void send_unless_astray();
  void hold(SharedDelta delta);
  auto held_until() const -> Time;
  void publish_held();
  void tell_sketch_if_due();
  auto averages() const -> bool;
  auto average_if_due(bool complete) -> bool;
  auto averaged_for_good() const -> bool { return !averages() || averaged_last_; }
  // The rest again:
  void write_checkpoint_if_due(bool final);
  void validate_if_due(Use& use, bool final);
  void finish_training_if_ended();
  auto requests_ended() const -> bool;
  auto validated() const -> bool;

  template <class Body>
  auto on_batch(const TensorBatch& batch, Body body) const {
    try {
      return body();
    } catch (const std::exception& error) {
      fail_at(batch, error);
    }
  }
  [[noreturn]] void fail_at(const TensorBatch& batch, const std::exception& error) const;
  [[noreturn]] void fail(const std::string& what, const TensorBatch& batch, const std::string& remedy) const;
  [[noreturn]] void fail(const std::string& what, const TensorBatch& batch, std::uint64_t step,
                         const std::string& remedy) const;
  [[noreturn]] void fail_astray(const TensorBatch& batch, std::uint64_t step) const;
  auto version() const -> std::uint64_t;
  auto examples_seen() const -> std::uint64_t;

  template <class Body>
  void for_each_sender(Body body);

  runtime::Node& node_;
  ModelRuntime& model_;
  int number_;
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<Optimizer> optimizer_;
  StepRule rule_;
  std::optional<RollBack> roll_back_;
  TensorBatch last_batch_;            // of a step that waits for more batches
  Contribution step_contribution_{};  // of the step that is being made
  std::uint64_t step_examples_ = 0;
  double step_loss_ = 0;
  std::uint64_t checkpoint_steps_ = 0;  // of this replica, when the last checkpoint was written, and
  Time checkpoint_time_{};
  std::shared_ptr<Exchange> exchange_;
  std::shared_ptr<DeltaBuffers> buffers_;
  std::shared_ptr<SparseChanges> changes_ = std::make_shared<SparseChanges>();
  /// A batch that a step was made with, of which nobody knows yet whether its parameters are finite.
  struct Unchecked {
    std::uint64_t batch;
    std::int32_t node;
  };
  std::optional<Unchecked> unchecked_;
  SharedDelta unsent_;  // of the last step, until its change is there
  std::exception_ptr send_failure_;
  std::vector<float> kept_;  // to work out a change in
  Pace pace_;
  ModeWatch mode_;
  std::unique_ptr<Adapting> adapting_;  // null without `Automatic`
  double last_loss_ = 0;                // of the batch that was trained on or scored last
  std::optional<Begun> begun_;
  DelayCompensation compensation_;
  Accumulator held_;  // steps that the others have not been told of yet
  std::uint64_t held_steps_ = 0;
  Time held_since_{};
  AveragedValues averaged_;
  std::uint64_t averaged_marks_ = 0;                     // rounds by steps that this replica has begun
  std::size_t diverged_marks_ = 0;                       // and rounds by divergence
  bool averaging_last_ = false, averaged_last_ = false;  // the round at the end
  std::uint64_t mark_ = 0;                               // the last at which a sketch was made
  SharedDelta late_;                                     // what came too late for the last gradient
  VersionVector clock_;                                  // steps of each replica that the parameters contain
  std::vector<std::uint64_t> examples_;                  // and examples
  std::uint64_t last_staleness_ = 0;
  std::vector<Use> uses_;
  std::size_t turn_ = 0;  // which use is served first
  Figures figures_;
  bool started_ = false, training_ended_ = false, results_finished_ = false;
};

}  // namespace tensair
