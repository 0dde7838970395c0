#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <tensair/model/delta.hpp>
#include <tensair/model/network.hpp>
#include <tensair/model/optimizer.hpp>
#include <tensair/model/options.hpp>
#include <tensair/model/results.hpp>
#include <tensair/model/sparse_change.hpp>
#include <tensair/model/tensor_batch.hpp>
#include <vector>

namespace tensair {

/// What a replica drives: a model whose parameters lie in one flat buffer, in main memory or on a device (a GPU). What
/// a learner on a device is asked for in main memory is copied; its steps, and what others have changed, need no such
/// copy.
///
/// A learner belongs to one replica, and only that replica's thread calls it or touches its parameters: ThreadSanitizer
/// cannot see a race with a kernel inside LibTorch, so there is nothing to race with by design. What other threads see
/// are deltas, which are copies.
class Learner {
 public:
  virtual ~Learner() = default;

  /// All that training changes and replicas share: trainable parameters and, behind them, the float buffers (a batch
  /// norm's running mean). The same memory for the learner's life. What the caller changes of them holds from the next
  /// call of the learner on; to see what that changes, ask again. On a device this copies all, twice: see `values`.
  virtual auto parameters() -> std::span<float> = 0;
  /// The same, to be read only.
  virtual auto values() -> std::span<const float> { return parameters(); }
  /// How many there are.
  virtual auto size() -> std::size_t { return parameters().size(); }
  /// How many of them are parameters: the first ones.
  virtual auto trained() -> std::size_t { return size(); }
  /// The gradient of the last `compute`; for a buffer, this replica's share of what the batch would have changed it by,
  /// negative.
  virtual auto gradient() -> std::span<const float> = 0;

  /// Forward and backward: fills `gradient` and scores the batch, before anything is changed.
  virtual auto compute(const TensorBatch& batch) -> Score = 0;
  /// Whether a batch touches few of the parameters, the rows of embeddings, so that `gradient` has values only for
  /// those that the last `compute` has touched.
  virtual auto touches_few() const -> bool { return false; }
  /// Which these are: ascending and apart.
  virtual auto touched() const -> std::span<const Segment> { return {}; }
  /// Whether the gradient has neither an infinity nor NaN.
  virtual auto gradient_is_finite() -> bool;

  /// Changes the parameters as an optimiser says, which `make_optimizer` made.
  /// @param gradient  by which; empty: the one of the last `compute`
  /// @param change    becomes what was changed, once `finish_change` has returned; until then the caller leaves it
  ///                  alone. Best is memory of `change_buffer`. Empty: nobody asks
  virtual void update(Optimizer& optimizer, std::span<const float> gradient, std::span<float> change);
  /// Changes the parameters in some segments, by a gradient that has values for these. So has `change`, if it is not
  /// empty: it becomes what was changed.
  void update_some(Optimizer& optimizer, std::span<const Segment> segments, std::span<const float> gradient,
                   std::span<float> change) {
    optimizer.lazy_step(parameters(), segments, gradient, change);
  }
  /// Waits for the last change that was asked for.
  virtual void finish_change() {}
  /// Whether the parameters had neither an infinity nor NaN after the last `update`; to be asked before anything else
  /// changes them.
  virtual auto update_was_finite() -> bool;
  /// Whether these two take their time, so that something may be done before they are waited for.
  virtual auto updates_later() const -> bool { return false; }
  /// Memory that a change is quickly written to.
  virtual auto change_buffer(std::size_t count) -> std::shared_ptr<float> {
    return DeltaBuffers::in_main_memory(count);
  }
  /// Is called in each `compute`, when the device has all its work and is to be waited for; never by a learner without.
  virtual void meanwhile(std::function<void()>) {}

  /// Adds what others have changed.
  virtual void add(const Delta& delta);
  /// Moves the parameters by a delta for a while: for the next `compute`. They come back to the bit.
  virtual void displace(const Delta& by);
  virtual void put_back();

  /// Whether a batch touches few of the parameters, so that steps are made by `step`, in place, and cost what they
  /// touch, instead of by `compute` and an optimiser, which cost a pass over all of them.
  virtual auto steps_in_place() const -> bool { return false; }
  /// Learns from a batch in place and scores it as it was before.
  /// @param change  becomes what was changed; null: nobody asks
  virtual auto step(const TensorBatch& batch, SparseChange* change) -> Score;

  /// Scores a batch as `predict` would see it.
  virtual auto score(const TensorBatch& batch) -> Score = 0;
  /// The same, and what the model said: `outputs` becomes its (first) output for the batch.
  virtual auto score(const TensorBatch& batch, at::Tensor& outputs) -> Score {
    outputs = predict(batch).first();
    return score(batch);
  }
  /// The model's outputs for the batch's inputs.
  virtual auto predict(const TensorBatch& batch) -> Outputs = 0;
  /// The first of them for [N, …] inputs.
  auto predict(const at::Tensor& input) -> at::Tensor;

  /// An optimiser for the parameters: the factory's, and for groups and buffers what they need.
  virtual auto make_optimizer(const OptimizerFactory& wanted) -> std::unique_ptr<Optimizer> { return wanted(size()); }

  /// All parameters and buffers, by name, where they lie: maybe on a device.
  virtual auto tensors() -> NamedTensors = 0;

  /// Writes all parameters and buffers, by name, as a dictionary that Python's `torch.load` reads; by rename, so never
  /// half.
  void save(const std::filesystem::path& file);
  /// Reads what `save`, or Python's `torch.save(dict(module.state_dict()), file)`, wrote, or the model in a checkpoint.
  /// @throws Error  not such a file; another architecture (names the first parameter that is missing or differs)
  void load(const std::filesystem::path& file);
  /// Takes values for all parameters and buffers.
  /// @param from  where they come from, for errors
  /// @throws Error  another architecture
  void assign(const NamedTensors& values, const std::string& from);

 private:
  std::vector<float> placed_;  // the parameters, while they are displaced, or
  SparseChange placed_some_;   // those of them that are
};

/// A network as a learner: moves its parameters into one flat buffer, keeping each one's memory layout, and its float
/// buffers behind them.
///
/// Buffers are merged as parameters are: what a batch would have changed a buffer by is divided by the number of
/// replicas, and every replica adds all of these. So a running mean moves as far for all replicas' batches together as
/// a lone replica's does for one.
/// @param options   loss, groups, and the device, "cpu" or one that there is: the module is made in main memory, and
///                  moves there with all it has
/// @param replicas  of the model
/// @throws Error       the module has no parameter that can be trained, or one that is not float32 in main memory; the
///                     device has no room
/// @throws UsageError  a group's pattern matches no parameter
auto make_learner(Network network, const ModelOptions& options, int replicas = 1) -> std::unique_ptr<Learner>;

/// The same on a device that there is. On the CPU, too, it does all that it would on a GPU: for tests.
auto make_learner_on(const at::Device& device, Network network, const ModelOptions& options, int replicas = 1)
    -> std::unique_ptr<Learner>;

/// The same of a `torch::nn` module.
/// @param forward  the module's output for a batch of inputs
auto make_learner(std::shared_ptr<torch::nn::Module> module, std::function<at::Tensor(const at::Tensor&)> forward,
                  Loss loss) -> std::unique_ptr<Learner>;

}  // namespace tensair
