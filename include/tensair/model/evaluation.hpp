#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tensair/model/results.hpp>
#include <tensair/model/tensor_batch.hpp>

namespace tensair {

/// What `stream.model(net).evaluate()` emits: a batch is first predicted and scored, as by `predict`, and then trained
/// on (prequential evaluation).
struct Evaluation {
  std::int32_t replica = 0;
  std::int32_t node = 0;
  std::uint64_t version = 0;  ///< steps, of all replicas, that the parameters contained when they were scored
  Score score;
  at::Tensor outputs{};  ///< the model's outputs, [N, …], and
  at::Tensor targets{};  ///< the batch's targets; both undefined unless asked for: `evaluate({.outputs = true})`

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& replica& node& version& score& outputs& targets;
  }
};

/// What an evaluation carries.
struct EvaluateOptions {
  bool outputs = false;  ///< the outputs and targets of each batch too: what metrics are made of, see `class_outcomes`
};

}  // namespace tensair
