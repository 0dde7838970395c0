#pragma once

#include <torch/torch.h>

#include <span>
#include <tensair/drift/detectors.hpp>
#include <tensair/metrics.hpp>
#include <tensair/tensair.hpp>
#include <vector>

#include "fixture.hpp"

// The same for examples of models: they tell flowers apart.

namespace examples {

struct Visit {
  long id = 0;
  std::vector<float> pages;
};
struct Purchase {
  long visit = 0;
  bool bought = false;
};
auto collate(std::span<const Visit> visits) -> at::Tensor;

extern tensair::ModelHandle net;
extern decltype(pipeline.source(std::vector<tensair::Example>{})) examples_of_flowers, held_out;
extern decltype(pipeline.source(std::vector<at::Tensor>{})) queries;
extern decltype(pipeline.source(std::vector<Visit>{})) visits;
extern decltype(pipeline.source(std::vector<Purchase>{})) purchases;

struct Text {
  std::vector<std::int64_t> words;
  int kind;
};
extern decltype(pipeline.source(std::vector<Text>{})) texts;
auto kinds_of(std::span<const Text> texts) -> at::Tensor;
auto make_two_headed() -> tensair::Network;
auto make_net() -> torch::nn::Sequential;

}  // namespace examples
