#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

namespace tensair::test {

inline auto has_gpu() -> bool {
  return torch::cuda::device_count() > 0;
}

/// Where a model can compute as it does on a device: on the CPU, treated as one, and on the first GPU if there is one.
inline auto devices() -> std::vector<std::string> {
  std::vector<std::string> all{"cpu:0"};
  if (has_gpu()) all.emplace_back("cuda:0");
  return all;
}

}  // namespace tensair::test
