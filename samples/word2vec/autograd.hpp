#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel.hpp"

namespace word2vec {

/// What `Kernel` does, by two `nn::Embedding` and LibTorch's autograd: as the paper has it, and one would write it
/// first. It is what the kernel's gradient is compared with, and some twenty times as slow. Within a piece all
/// gradients are of the parameters at its beginning.
class Autograd {
 public:
  /// @param rows  of each table
  Autograd(Shape shape, std::size_t rows) : shape_(shape), rows_(rows) {}

  auto learn(const Text& text, std::size_t first, std::size_t last, const Tables& tables) const -> Learnt;

 private:
  Shape shape_;
  std::size_t rows_;
};

}  // namespace word2vec
