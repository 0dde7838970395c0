#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <tensair/model/adaptation_board.hpp>
#include <tensair/model/exchange.hpp>
#include <tensair/model/learner.hpp>
#include <tensair/model/step_rule.hpp>
#include <vector>

namespace tensair {

/// A second model that is trained on a replica's batches beside its own: see `ChallengerOptions`. Its learner is kept
/// when it is given up, for the next one.
class Challenger {
 public:
  /// @param fresh    a new learner; null: the one that is there begins again
  /// @param weights  what it begins with; empty: what the learner has
  /// @param number   of the decision that starts it
  void start(std::unique_ptr<Learner> fresh, std::span<const float> weights, const ModelOptions& options,
             std::uint64_t number);
  void drop() { number_ = 0; }

  auto has_learner() const -> bool { return learner_ != nullptr; }
  /// Of the decision that started it; 0 when it is not there.
  auto number() const -> std::uint64_t { return number_; }

  /// Replicas' challengers learn together: each tells the others what its steps change.
  void share(std::shared_ptr<Exchange> exchange, int replica);
  /// Tests it on a batch: its loss; `outputs`, unless null, becomes what it said.
  auto test(const TensorBatch& batch, at::Tensor* outputs) -> double;
  /// Trains it on the batch. One with something that is not finite is left out.
  void learn(const TensorBatch& batch);

  auto parameters() const -> std::span<const float> { return learner_->values(); }
  auto optimizer_state() const -> OptimizerState { return optimizer_->state(); }
  auto schedule_state() const -> std::vector<double> { return rule_->schedule_state(); }

 private:
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<StepRule> rule_;
  std::uint64_t number_ = 0;
  std::uint64_t steps_ = 0, examples_ = 0;
  std::shared_ptr<Exchange> exchange_;  // null: there is nobody else
  std::shared_ptr<DeltaBuffers> buffers_;
  int replica_ = 0;
};

/// One replica's part in its model's adaptation.
struct Adapting {
  Adapting(const Automatic& given, std::shared_ptr<AdaptationBoard> shared) : wanted(given), board(std::move(shared)) {}

  struct Taken {
    TensorBatch batch;
    std::size_t use;
  };

  /// Keeps a batch since a warning; the oldest goes when there are too many.
  void keep(const TensorBatch& batch, std::size_t use);

  const Automatic& wanted;
  std::shared_ptr<AdaptationBoard> board;
  bool training = true;
  std::optional<Taken> taken;  // a batch that may have to wait until all is known that holds for it
  at::Tensor outputs;          // of the batch that was scored last
  bool buffers = false;        // batches are kept
  std::deque<Taken> buffer;
  std::deque<Taken> replay;  // kept batches that are to be trained on before new ones
  bool replays = false;      // the step that is being made is one with such a batch
  Challenger challenger;
  std::uint64_t anticipates_from = 0;  // the step of this replica: see `Replica::jump_to`
  bool end_told = false;
};

}  // namespace tensair
