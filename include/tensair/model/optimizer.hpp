#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tensair/model/segment.hpp>
#include <vector>

namespace at {
class Tensor;
}
namespace c10 {
struct Device;
}

namespace tensair {

/// What an optimiser remembers from step to step, for a checkpoint.
struct OptimizerState {
  std::map<std::string, std::vector<float>> values;  ///< one for each parameter, by name: "mean"
  std::map<std::string, double> numbers;
  std::string other;  ///< bytes that only the optimiser itself can read
};

/// Changes parameters that are a tensor, by their gradient: on a GPU, say.
class TensorOptimizer {
 public:
  virtual ~TensorOptimizer() = default;
  /// Both are flat, float32, and on the device that this one was made for. Does not wait for the device.
  virtual void step(at::Tensor& parameters, const at::Tensor& gradient) = 0;
  /// These as `Optimizer`'s; `state` copies to main memory.
  virtual void scale_rate(double factor) = 0;
  virtual auto state() const -> OptimizerState = 0;
  virtual void restore(const OptimizerState& state) = 0;
};

/// Changes parameters by their gradient. Each replica has its own, with its own state; parameters and gradient are flat
/// buffers.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual void step(std::span<float> parameters, std::span<const float> gradient) = 0;
  /// The same, and writes down what has changed: `change` becomes the parameters after it less those before it. An
  /// optimiser that does this in the same pass saves two over the parameters.
  virtual void tracked_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> change);

  /// Whether it can step some of the parameters and leave the rest alone, with `lazy_step`.
  virtual auto steps_lazily() const -> bool { return false; }
  /// A step of the parameters in some segments. All others, and what is remembered of them, stay as they are, though
  /// their gradient is zero: momentum does not move them on, nor does weight decay make them smaller (as PyTorch's
  /// `SparseAdam` has it). So a step of an embedding costs what its touched rows do.
  /// @param parameters  all of them
  /// @param segments    ascending and apart
  /// @param gradient    of one segment after the other
  /// @param change      becomes what has changed, likewise; empty: nobody asks
  /// @throws UsageError  unless `steps_lazily()`
  virtual void lazy_step(std::span<float> parameters, std::span<const Segment> segments,
                         std::span<const float> gradient, std::span<float> change);

  /// From now on its learning rate is `factor` times the one it was made with: how schedules work.
  /// @throws UsageError  an optimiser of one's own that does not override this is given a factor other than 1
  virtual void scale_rate(double factor);

  /// A copy of what it remembers; empty for one that remembers nothing.
  virtual auto state() const -> OptimizerState { return {}; }
  /// Goes on from what `state` returned, of an optimiser made alike.
  /// @throws Error  names what is missing or of another size
  virtual void restore(const OptimizerState& state);

  /// The same optimiser for parameters on a device, as it was made: what this one has come to remember stays here.
  /// Null: there is none, and a model on a device brings its parameters to main memory for each step.
  virtual auto on(const c10::Device&) const -> std::unique_ptr<TensorOptimizer> { return nullptr; }
};

/// Makes a replica's optimiser for that many parameters.
using OptimizerFactory = std::function<std::unique_ptr<Optimizer>(std::size_t parameters)>;

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  ///< times the parameter, is added to the gradient (an L2 penalty)
};

/// Adam (Kingma and Ba, ICLR 2015, algorithm 1), in one pass over the flat buffers.
/// @throws UsageError  a rate that is not positive, a beta outside [0, 1), a negative weight decay
auto adam(AdamOptions options = {}) -> OptimizerFactory;

struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 1e-2;  ///< a step shrinks parameters by this times the rate, beside what the gradient does
};

/// Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019, algorithm 2).
/// @throws UsageError  as `adam`
auto adamw(AdamWOptions options = {}) -> OptimizerFactory;

struct SgdOptions {
  double lr = 1e-2;
  double momentum = 0;      ///< as PyTorch's: v ← momentum · v + g; p ← p − lr · v
  double weight_decay = 0;  ///< times the parameter, is added to the gradient
  bool nesterov = false;    ///< p ← p − lr · (g + momentum · v), with the new v
};

/// Stochastic gradient descent, with momentum when asked for (Nesterov's as in Sutskever et al., ICML 2013).
/// @throws UsageError  a rate that is not positive, a momentum outside [0, 1), a negative weight decay, Nesterov's
///                     momentum without a momentum
auto sgd(SgdOptions options = {}) -> OptimizerFactory;

struct RmsPropOptions {
  double lr = 1e-2;
  double alpha = 0.99;      ///< of the old in the running mean of squares
  double epsilon = 1e-8;    ///< added to the root, as PyTorch does
  double momentum = 0;      ///< of the steps
  double weight_decay = 0;  ///< times the parameter, is added to the gradient
  bool centered = false;    ///< divide by the standard deviation instead of the root mean square (Graves, 2013)
};

/// RMSprop (Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning", 2012).
/// @throws UsageError  a rate that is not positive, an alpha or a momentum outside [0, 1), a negative weight decay
auto rmsprop(RmsPropOptions options = {}) -> OptimizerFactory;

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;      ///< step t has the rate lr / (1 + (t − 1) · lr_decay)
  double initial = 0;       ///< what the sums of squares begin with
  double epsilon = 1e-10;   ///< added to the root
  double weight_decay = 0;  ///< times the parameter, is added to the gradient
};

/// Adagrad (Duchi, Hazan and Singer, JMLR 12, 2011).
/// @throws UsageError  a rate that is not positive, or another number that is negative
auto adagrad(AdagradOptions options = {}) -> OptimizerFactory;

/// p ← p − g: for learners whose "gradient" is what they would change themselves.
auto whole_step() -> OptimizerFactory;

}  // namespace tensair
