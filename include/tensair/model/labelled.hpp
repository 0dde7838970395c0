#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <tensair/model/learner.hpp>
#include <tensair/model/predict_task.hpp>
#include <tensair/model/results.hpp>
#include <tensair/operators/batch_within.hpp>
#include <vector>

namespace tensair {

/// A prediction, and the label that has come for its record.
template <class T, class L>
struct Labelled {
  Prediction<T> prediction;
  L label;
};

/// How `train_on` matches and learns.
struct LabelOptions {
  Duration within = std::chrono::hours{1};  ///< how long a prediction is kept for its label, and a label for its record
  BatchOptions batch{.size = 32};           ///< of what is learnt
  PredictOptions predict{};
};

/// What `train_on` returns.
template <class Predictions, class Evaluations>
struct LabelledStreams {
  Predictions predictions;  ///< `Prediction<T>` of every record, when it has come
  Evaluations
      evaluations;  ///< `Evaluation` of each batch of labelled records, by the predictions that were made of them
};

namespace detail {

/// Whether a label says a target: a tensor, a class number (an integer), or a value (a floating-point number).
template <class V>
concept Target = std::same_as<V, at::Tensor> || std::integral<V> || std::floating_point<V>;

/// Targets of a batch: tensors stacked, class numbers as int64 [N], values as float32 in the shape of `output`, if they
/// are as many.
auto target_of(const std::vector<at::Tensor>& labels, const at::Tensor& output) -> at::Tensor;
auto target_of(const std::vector<std::int64_t>& labels, const at::Tensor& output) -> at::Tensor;
auto target_of(const std::vector<double>& labels, const at::Tensor& output) -> at::Tensor;

/// One output a record, as a batch's.
auto stack_outputs(const std::vector<at::Tensor>& outputs) -> at::Tensor;

/// What the model's loss says of outputs that have been kept.
auto score_of(const ModelRuntime& model, const at::Tensor& output, const at::Tensor& target) -> Score;

/// The node of a replica; -1 of none.
auto node_of(const ModelRuntime& model, std::int32_t replica) -> std::int32_t;

/// The outputs of labelled records, and their targets by `label`.
template <class T, class L, class LabelOf>
auto outputs_and_targets(std::span<const Labelled<T, L>> records, LabelOf& label) -> std::pair<at::Tensor, at::Tensor> {
  using Value = std::remove_cvref_t<std::invoke_result_t<LabelOf&, const L&>>;
  using Kept = std::conditional_t<std::integral<Value>, std::int64_t,
                                  std::conditional_t<std::floating_point<Value>, double, at::Tensor>>;
  std::vector<at::Tensor> outputs;
  std::vector<Kept> labels;
  for (const auto& one : records) {
    outputs.push_back(one.prediction.output);
    labels.push_back(static_cast<Kept>(std::invoke(label, one.label)));
  }
  auto output = stack_outputs(outputs);
  auto target = target_of(labels, output);
  return {std::move(output), std::move(target)};
}

/// Makes a batch to learn from.
template <class T, class L, class Collate, class LabelOf>
struct CollateLabelled {
  Collate collate;
  LabelOf label;

  auto operator()(std::span<const Labelled<T, L>> labelled) -> TensorBatch {
    std::vector<T> records;
    records.reserve(labelled.size());
    for (const auto& one : labelled) records.push_back(one.prediction.record);
    auto batch = to_batch(collate(std::span<const T>{records}));
    batch.target = outputs_and_targets<T, L>(labelled, label).second;
    return batch;
  }
};

/// Scores a batch as it was predicted.
template <class T, class L, class LabelOf>
struct EvaluateLabelled {
  std::shared_ptr<ModelRuntime> model;
  LabelOf label;

  auto operator()(const Batch<Labelled<T, L>>& batch) -> Evaluation {
    const auto [output, target] = outputs_and_targets<T, L>(std::span<const Labelled<T, L>>{batch.records}, label);
    const auto& first = batch.records.front().prediction;
    Evaluation all;
    all.replica = first.replica;
    all.version = first.version;
    for (const auto& one : batch) {
      all.version = std::min(all.version, one.prediction.version);
      if (one.prediction.replica != all.replica) all.replica = -1;
    }
    all.node = node_of(*model, all.replica);
    all.score = score_of(*model, output, target);
    return all;
  }
};

}  // namespace detail
}  // namespace tensair
