#pragma once

#include <concepts>
#include <memory>
#include <span>
#include <tensair/error.hpp>
#include <tensair/model/learner.hpp>
#include <utility>
#include <vector>

namespace tensair {

/// A model that is no LibTorch module: a hand-fused kernel, say. `pipeline.model(name, factory)` takes a factory of it.
///
/// `parameters()` is one stretch of floats, at the same place for the model's life, that the factory fills alike on
/// every node. `step(batch)` learns from a batch: it changes the parameters and returns the batch's score from before.
/// `predict(batch)` returns the outputs for the batch's inputs, one row an example. With `score(batch)`, which changes
/// nothing, there are `evaluate` and `validate`, too. It gets exchange, routing, and saving; its optimiser is its own
/// affair, so of `ModelOptions` those that are about losses, optimisers and groups do not touch it.
///
/// A model of which a batch touches few parameters says so: see `SparseOwnModel`.
///
/// @code
/// struct Mean {  // of all targets
///   float mean = 0;
///   auto parameters() -> std::span<float> { return {&mean, 1}; }
///   auto step(const tensair::TensorBatch& batch) -> tensair::Score {
///     const float difference = (batch.target - mean).mean().item<float>();
///     mean += 0.1F * difference;
///     return {.loss = difference * difference, .examples = static_cast<std::uint64_t>(batch.examples())};
///   }
///   auto predict(const tensair::TensorBatch& batch) -> at::Tensor { return torch::full({batch.examples()}, mean); }
/// };
/// pipeline.model("mean", [] { return Mean{}; });
/// @endcode
template <class M>
concept OwnModel = requires(M& model, const TensorBatch& batch) {
  { model.parameters() } -> std::convertible_to<std::span<float>>;
  { model.step(batch) } -> std::convertible_to<Score>;
  { model.predict(batch) } -> std::convertible_to<Outputs>;
};

/// One that knows, before it steps, which parameters a batch will touch: the rows of an embedding. A step, a delta and
/// what others do with it then cost as much as those, not as much as the model.
///
/// `touched(batch)` is asked right before `step(batch)`, if there is anybody to tell: stretches of the parameters,
/// ascending and apart, with all that the step will change. A step is made in place, so options about gradients
/// (clipping, accumulation, schedules, delay compensation, anticipation) do not touch such a model, and its replicas
/// exchange updates whatever `ModelOptions::exchange` says.
///
/// @code
/// struct Counts {  // of how often each word came
///   std::vector<float> counts = std::vector<float>(60'000);
///   std::vector<tensair::Segment> rows;
///   auto parameters() -> std::span<float> { return counts; }
///   auto touched(const tensair::TensorBatch& batch) -> std::span<const tensair::Segment> {
///     rows = {{static_cast<std::uint32_t>(batch.input.min().item<long>()), 1}};
///     return rows;
///   }
///   auto step(const tensair::TensorBatch& batch) -> tensair::Score {
///     counts[static_cast<std::size_t>(batch.input.min().item<long>())] += 1;
///     return {.loss = 0, .examples = 1};
///   }
///   auto predict(const tensair::TensorBatch& batch) -> at::Tensor {
///     return torch::tensor(counts).index_select(0, batch.input);
///   }
/// };
/// pipeline.model("counts", [] { return Counts{}; });
/// @endcode
template <class M>
concept SparseOwnModel = OwnModel<M> && requires(M& model, const TensorBatch& batch) {
  { model.touched(batch) } -> std::convertible_to<std::span<const Segment>>;
};

namespace detail {

/// A tensor that is the values, where they lie.
auto tensor_over(std::span<float> values) -> at::Tensor;

// A step is taken back, and what it changed is handed on as a gradient that is subtracted as it is: so an own model's
// step goes the way of every other, to the exchange, the checks and the accumulator, at two passes over the parameters.
template <OwnModel M>
class OwnLearner final : public Learner {
 public:
  explicit OwnLearner(M model) : model_(std::make_unique<M>(std::move(model))) {}

  auto parameters() -> std::span<float> override { return model_->parameters(); }
  auto gradient() -> std::span<const float> override { return gradient_; }

  auto compute(const TensorBatch& batch) -> Score override {
    const auto values = parameters();
    gradient_.assign(values.begin(), values.end());
    const Score score = model_->step(batch);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float before = gradient_[i];
      gradient_[i] = before - values[i];
      values[i] = before;
    }
    return score;
  }

  auto steps_in_place() const -> bool override { return SparseOwnModel<M>; }
  auto step(const TensorBatch& batch, SparseChange* change) -> Score override {
    if constexpr (SparseOwnModel<M>) {
      if (change) change->begin(model_->touched(batch), parameters());
      const Score score = model_->step(batch);
      if (change) change->finish(parameters());
      return score;
    } else {
      return Learner::step(batch, change);
    }
  }

  using Learner::score;
  auto score(const TensorBatch& batch) -> Score override {
    if constexpr (requires {
                    { model_->score(batch) } -> std::convertible_to<Score>;
                  }) {
      return model_->score(batch);
    } else {
      throw Error("a model of one's own has no score(batch)", "model",
                  "Give it one that changes nothing: evaluate and validate need it.");
    }
  }

  auto predict(const TensorBatch& batch) -> Outputs override { return model_->predict(batch); }
  auto make_optimizer(const OptimizerFactory&) -> std::unique_ptr<Optimizer> override {
    return whole_step()(parameters().size());
  }
  auto tensors() -> NamedTensors override { return {{"parameters", tensor_over(parameters())}}; }

 private:
  std::unique_ptr<M> model_;
  std::vector<float> gradient_;
};

/// A learner of whatever a model's factory has made.
template <class Made>
auto learner_of(Made made, const ModelOptions& options, int replicas) -> std::unique_ptr<Learner> {
  if constexpr (std::same_as<Made, Network>) {
    return make_learner(std::move(made), options, replicas);
  } else if constexpr (OwnModel<Made>) {
    return std::make_unique<OwnLearner<Made>>(std::move(made));
  } else {
    return make_learner(network(std::move(made)), options, replicas);
  }
}

}  // namespace detail
}  // namespace tensair
