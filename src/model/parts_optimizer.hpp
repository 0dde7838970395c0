#pragma once

#include <tensair/model/optimizer.hpp>
#include <vector>

namespace tensair {

/// A stretch of the flat buffers, and how it learns.
struct OptimizerPart {
  std::size_t size = 0;
  OptimizerFactory optimizer;
  double rate = 1;        ///< what its learning rate is multiplied by
  bool scheduled = true;  ///< follows `scale_rate`
};

/// One optimiser for each part, which follow each other without a gap.
auto optimizer_of_parts(const std::vector<OptimizerPart>& parts) -> std::unique_ptr<Optimizer>;

}  // namespace tensair
