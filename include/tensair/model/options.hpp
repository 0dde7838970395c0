#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <tensair/model/checkpoint.hpp>
#include <tensair/model/compression.hpp>
#include <tensair/model/loss.hpp>
#include <tensair/model/mode.hpp>
#include <tensair/model/optimizer.hpp>
#include <tensair/model/parameter_group.hpp>
#include <tensair/model/schedule.hpp>
#include <tensair/model/staleness.hpp>
#include <tensair/overlay.hpp>
#include <tensair/where.hpp>
#include <vector>

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

/// How often a replica tells the others what it did: the sum of its steps since the last time. Between nodes this is
/// local SGD (Stich, "Local SGD converges fast and communicates little", 2019). Unless it is every step, replicas do
/// not keep pace (`ModelOptions::patience`).
struct ExchangePeriod {
  std::uint64_t steps = 1;            ///< after so many steps,
  std::chrono::milliseconds time{0};  ///< or so long after the first of them, if that is sooner; 0: only by steps
};

/// How replicas that apply each other's gradients, each with its own optimiser, are brought back together: to the mean
/// of their parameters, without waiting for each other (see averaging.hpp). When training has ended it is done once
/// more, so that all replicas end with the same parameters. `exchange::updates` needs none of it.
///
/// @code
/// tensair::ModelOptions options{.exchange = tensair::exchange::gradients, .averaging = {.above = 0.05}};
/// auto net = pipeline.model("net", make_net, options);
/// @endcode
struct AveragingOptions {
  std::uint64_t every = 1'000;  ///< after so many steps of all replicas together; 0: only by `above`, and in the end
  double above = 0;  ///< also whenever their divergence, measured every `measure_divergence` steps, is above this; 0:
                     ///< only by `every`
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"  // g++ 12 takes an enumerator for a variable that hides tensair::skip
/// What to do about a batch whose loss or gradient is not finite.
enum class not_finite {
  stop,       ///< the run, with an error that names the batch
  skip,       ///< the batch: nothing is learnt from it; the figures count it
  roll_back,  ///< the model, to parameters and optimiser state of at most 128 steps before, and go on; also when a
              ///< step leads to parameters that are not finite. For a model with one replica
};
#pragma GCC diagnostic pop

/// How a model learns. Every field has a default.
struct ModelOptions {
  Loss loss = cross_entropy;
  OptimizerFactory optimizer = adam();
  int replicas = 0;  ///< on all nodes together, dealt out in turn; 0: one on each node
  Where on{};        ///< the nodes that have replicas: one by its rank, or those with a label; else all
  enum exchange exchange = exchange::updates;
  enum overlay overlay = overlay::automatic;  ///< the links that deltas travel; automatic: as `--overlay` says
  double patience = 0.25;  ///< how long a replica waits for another before a step, on average, as a share of a step's
                           ///< time: replicas that step together learn better (see `Pace`); of more than 16 replicas
                           ///< each waits less in proportion; 0: never
  bool anticipate = true;  ///< take a gradient where the parameters will be when it is applied, judging by what came
                           ///< too late for the last step; `updates` only
  std::string device{};  ///< where replicas compute: "cpu"; "cuda": each on the next of its node's GPUs; "cuda:1": that
                         ///< one; "auto": as "cuda" on nodes that have GPUs, else on the CPU; empty: as `--device` says
  int threads = 1;       ///< LibTorch's threads inside one replica's operations
  std::filesystem::path load{};  ///< a file with the parameters to start from, on every node (see `save`);
                                 ///< or a checkpoint, to go on from all that it has; empty: the factory's
  std::filesystem::path save{};  ///< node 0 writes the final parameters here: a dictionary that Python's `torch.load`
                                 ///< reads; empty: nothing
  ExchangePeriod every{};        ///< how often replicas tell each other
  Compression compression{};     ///< of deltas between nodes: `fp16()`, `bf16()`, `top_k()`; none: float32
  StalenessOptions staleness{};  ///< what a replica does about steps that its gradient has not seen
  AveragingOptions averaging{};  ///< how replicas that exchange gradients are brought back together
  std::uint64_t measure_divergence = 1'000;  ///< how far replicas are apart is measured after so many steps of all of
                                             ///< them (`divergence` in the figures); 0: never
  std::vector<ParameterGroup> groups{};  ///< a parameter belongs to the first whose pattern it matches; else to none
  ScheduleFactory schedule{};            ///< of the learning rate; empty: it stays
  double clip_norm = 0;   ///< a gradient with a larger norm is scaled down to it (Pascanu et al., ICML 2013); 0: never
  double clip_value = 0;  ///< the elements of a gradient are brought into [−clip_value, clip_value]; 0: never
  int accumulate = 1;     ///< batches whose gradients' mean makes a step
  enum not_finite on_not_finite = not_finite::stop;
  CheckpointOptions checkpoint{};
  Mode mode = Mode::always;   ///< to begin with; `ModelHandle::mode` changes it
  Convergence convergence{};  ///< when `Mode::automatic` stops and starts training
};

}  // namespace tensair
