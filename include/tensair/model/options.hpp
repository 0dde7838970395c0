#pragma once

#include <filesystem>
#include <tensair/model/loss.hpp>
#include <tensair/model/mode.hpp>
#include <tensair/model/optimizer.hpp>
#include <tensair/overlay.hpp>
#include <tensair/where.hpp>

namespace tensair {

/// What replicas tell each other.
enum class exchange {
  /// The change of the parameters after the local optimiser. Whatever the optimiser, every replica ends with the same
  /// parameters once all
  /// deltas have arrived.
  updates,
  /// The gradient; every replica applies it with its own optimiser. The TensAIR paper's protocol.
  gradients,
  /// Nothing: an ensemble. Each replica is a model of its own, begins with other parameters (the first one with those
  /// that it would have alone), and learns from the batches that it gets. See `routing::all`. `save` writes the first.
  none,
};

/// How a model learns. Every field has a default.
struct ModelOptions {
  Loss loss = cross_entropy;
  OptimizerFactory optimizer = adam();
  int replicas = 0;  ///< on all nodes together, dealt out in turn; 0: one on each node
  Where on{};        ///< the nodes that have replicas: one by its rank, or those with a label; else all
  enum exchange exchange = exchange::updates;
  enum overlay overlay = overlay::automatic;  ///< the links that deltas travel; automatic: as `--overlay` says
  double patience = 0.25;  ///< how long a replica waits for another before a step, on average, as a share of a step's
                           ///< time: replicas that step together learn better (see `Pace`); 0: never
  bool anticipate = true;  ///< take a gradient where the parameters will be when it is applied, judging by what came
                           ///< too late for the last step; `updates` only
  int threads = 1;         ///< LibTorch's threads inside one replica's operations
  std::filesystem::path
      load{};  ///< a file with the parameters to start from, on every node (see `save`); empty: the factory's
  std::filesystem::path save{};  ///< node 0 writes the final parameters here: a dictionary that Python's `torch.load`
                                 ///< reads; empty: nothing
  Mode mode = Mode::always;      ///< to begin with; `ModelHandle::mode` changes it
  Convergence convergence{};     ///< when `Mode::automatic` stops and starts training
};

}  // namespace tensair
