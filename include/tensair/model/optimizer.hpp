#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

namespace tensair {

/// Changes parameters by their gradient. Each replica has its own, with its own state; parameters and gradient are flat
/// buffers.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual void step(std::span<float> parameters, std::span<const float> gradient) = 0;
  /// The same, and writes down what has changed: `change` becomes the parameters after it less those before it. An
  /// optimiser that does this in the same pass saves two over the parameters.
  virtual void tracked_step(std::span<float> parameters, std::span<const float> gradient, std::span<float> change);
};

/// Makes a replica's optimiser for that many parameters.
using OptimizerFactory = std::function<std::unique_ptr<Optimizer>(std::size_t parameters)>;

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

/// Adam (Kingma and Ba, ICLR 2015, algorithm 1), in one pass over the flat buffers.
/// @throws UsageError  a rate that is not positive, a beta outside [0, 1)
auto adam(AdamOptions options = {}) -> OptimizerFactory;

struct SgdOptions {
  double lr = 1e-2;
  double momentum = 0;  ///< as PyTorch's: v ← momentum · v + g; p ← p − lr · v
};

/// Stochastic gradient descent, with momentum when asked for.
/// @throws UsageError  a rate that is not positive, a momentum outside [0, 1)
auto sgd(SgdOptions options = {}) -> OptimizerFactory;

}  // namespace tensair
