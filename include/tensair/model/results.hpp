#pragma once

#include <cstdint>

namespace tensair {

/// What a model thought of a batch.
struct Score {
  double loss = 0;  ///< mean over the batch
  std::uint64_t examples = 0;
  std::uint64_t correct = 0;  ///< examples whose largest output is their class; 0 when targets are no class numbers

  auto accuracy() const -> double {
    return examples == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(examples);
  }
};

/// One step of one replica: what `stream.model(net).train()` emits, for each batch.
struct TrainStep {
  std::int32_t replica = 0;
  std::int32_t node = 0;
  std::uint64_t step = 0;  ///< of this replica, from 1
  std::uint64_t examples_seen =
      0;                        ///< examples, of all replicas, that this replica's parameters contain after the step
  std::uint64_t staleness = 0;  ///< the largest among the deltas applied before this step: steps they had not seen
  Score score;                  ///< of the batch before it was trained on, from the training's own forward pass
};

/// What `stream.model(net).validate(…)` emits: the score of the held-out examples.
struct Validation {
  std::uint64_t examples_seen = 0;  ///< training examples that the validated parameters contain
  std::uint64_t due = 0;      ///< the number of training examples that it was due at; for the last one, `examples_seen`
  std::uint64_t version = 0;  ///< steps that they contain
  bool final = false;         ///< the last one: training has ended, and all deltas have arrived
  Score score;
};

}  // namespace tensair
