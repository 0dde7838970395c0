#pragma once

#include <cstdint>
#include <limits>

namespace tensair {

/// What a replica does about the steps of others that its gradient has not seen: those that arrived while it was being
/// computed. It is the replica itself that knows them, and changes its own step before it tells it: so all replicas
/// apply the same, and with `exchange::updates` still end with the same parameters.
///
/// All of them are off by default: replicas that keep pace (`ModelOptions::patience`) and anticipate
/// (`ModelOptions::anticipate`) have few unseen steps, and need no more. They are for replicas of unlike speed, or
/// many.
///
/// @code
/// auto net = pipeline.model("net", make_net, {.replicas = 8, .anticipate = false, .staleness = {.compensation = 2}});
/// @endcode
struct StalenessOptions {
  /// The step is divided by the number of unseen steps, where there are any (Zhang et al., "Staleness-aware
  /// async-SGD for distributed deep learning", 2016).
  bool scale = false;

  /// The gradient is corrected for what has changed since it was taken: g + λ · g ⊙ g ⊙ (now − then), a guess at the
  /// loss's curvature; λ is this number, 0: not at all (Zheng et al., "Asynchronous stochastic gradient descent with
  /// delay compensation", DC-ASGD-c, 2017).
  double compensation = 0;

  /// λ is divided by the root of the mean square of the parameter's latest gradients (DC-ASGD-a; the paper has λ = 2
  /// then, and 0.04 otherwise).
  bool adaptive = true;

  /// A step with more unseen steps is not made: its batch is lost, and counted (`dropped` in the figures). Bounded
  /// staleness as in Ho et al., "More effective distributed ML via a stale synchronous parallel parameter server",
  /// 2013, but nobody waits.
  std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
};

}  // namespace tensair
