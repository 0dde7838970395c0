#include <ATen/ops/stack.h>

#include <tensair/model/routing.hpp>
#include <vector>

namespace tensair {

auto mean_output(std::span<const at::Tensor> outputs) -> at::Tensor {
  if (outputs.size() == 1) return outputs.front();
  return at::stack(std::vector<at::Tensor>(outputs.begin(), outputs.end())).mean(0);
}

auto routing::to_string(Kind kind) -> std::string {
  switch (kind) {
    case Kind::room:
      return "to a replica with room";
    case Kind::in_turn:
      return "to the replicas in turn";
    case Kind::by_key:
      return "to the replica of its key";
    case Kind::all:
      return "to all replicas";
  }
  return {};
}

}  // namespace tensair
