#pragma once

#include <span>
#include <utility>

#include "collate.hpp"
#include "image.hpp"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace cifar10 {

/// What makes the training step fast, each to be turned off to see what it brings (docs/performance.md).
struct Settings {
  bool channels_last = true;   ///< images in the memory layout that convolutions are fastest in
  bool fused = true;           ///< the sample's own fused operations instead of LibTorch's, one by one
  bool keep_memory = true;     ///< freed activations stay in the process, instead of being faulted in again each step
  int intra_op = 1;            ///< LibTorch's threads inside one replica's operations
  bool flat_optimizer = true;  ///< tensair's optimisers, one pass over all parameters, instead of LibTorch's
};

/// Makes the settings that hold for the whole process. Before any thread is started.
inline void apply(const Settings& settings) {
#ifdef __GLIBC__
  // By default glibc gives freed blocks of this size back to the kernel: thousands of page faults a step.
  constexpr int beyond_any_activation = 1 << 30;
  if (settings.keep_memory) {
    mallopt(M_MMAP_THRESHOLD, beyond_any_activation);
    mallopt(M_TRIM_THRESHOLD, beyond_any_activation);
    mallopt(M_ARENA_MAX, 1);  // else what a thread's own arena has kept, no other thread can use
  }
#endif
}

/// Makes tensors of images, in the layout that the settings want.
inline auto collator(const Settings& settings) {
  return [channels_last = settings.channels_last](std::span<const Image> images) {
    auto batch = collate(images);
    if (!channels_last) batch.first = batch.first.contiguous();
    return batch;
  };
}

}  // namespace cifar10
