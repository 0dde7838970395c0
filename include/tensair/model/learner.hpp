#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <tensair/model/loss.hpp>
#include <tensair/model/results.hpp>
#include <tensair/model/tensor_batch.hpp>

namespace torch::nn {
class Module;
}

namespace tensair {

/// What a replica drives: a model whose parameters lie in one flat buffer.
///
/// A learner belongs to one replica, and only that replica's thread calls it or touches its parameters: ThreadSanitizer
/// cannot see a race with a kernel inside LibTorch, so there is nothing to race with by design. What other threads see
/// are deltas, which are copies.
class Learner {
 public:
  virtual ~Learner() = default;

  /// All trainable parameters. The same memory for the learner's life.
  virtual auto parameters() -> std::span<float> = 0;
  /// The gradient of the last `compute`.
  virtual auto gradient() -> std::span<const float> = 0;

  /// Forward and backward: fills `gradient` and scores the batch, before anything is changed.
  virtual auto compute(const TensorBatch& batch) -> Score = 0;
  /// Scores a batch as `predict` would see it.
  virtual auto score(const TensorBatch& batch) -> Score = 0;
  /// The same, and what the model said: `outputs` becomes its output for the batch.
  virtual auto score(const TensorBatch& batch, at::Tensor& outputs) -> Score {
    outputs = predict(batch.input);
    return score(batch);
  }
  /// The model's output for [N, …] inputs.
  virtual auto predict(const at::Tensor& input) -> at::Tensor = 0;

  /// Writes all parameters and buffers, by name, as a dictionary that Python's `torch.load` reads; by rename, so never
  /// half.
  virtual void save(const std::filesystem::path& file) = 0;
  /// Reads what `save`, or Python's `torch.save(dict(module.state_dict()), file)`, wrote.
  /// @throws Error  not such a file; another architecture (names the first parameter that is missing or differs)
  virtual void load(const std::filesystem::path& file) = 0;
};

/// A `torch::nn` module as a learner: moves its parameters into one flat buffer, keeping each one's memory layout.
/// @param forward  the module's output for a batch of inputs
/// @throws Error  the module has no parameter that can be trained, or one that is not float32 on the CPU
auto make_learner(std::shared_ptr<torch::nn::Module> module, std::function<at::Tensor(const at::Tensor&)> forward,
                  Loss loss) -> std::unique_ptr<Learner>;

}  // namespace tensair
