#pragma once

#include <torch/torch.h>

#include <tensair/metrics.hpp>
#include <tensair/tensair.hpp>

#include "fixture.hpp"

// The same for examples of models: they tell flowers apart.

namespace examples {

extern tensair::ModelHandle net;
extern decltype(pipeline.source(std::vector<tensair::Example>{})) examples_of_flowers, held_out;
extern decltype(pipeline.source(std::vector<at::Tensor>{})) queries;

struct Text {
  std::vector<std::int64_t> words;
  int kind;
};
extern decltype(pipeline.source(std::vector<Text>{})) texts;
auto kinds_of(std::span<const Text> texts) -> at::Tensor;
auto make_two_headed() -> tensair::Network;

}  // namespace examples
