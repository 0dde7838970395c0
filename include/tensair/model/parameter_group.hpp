#pragma once

#include <string>
#include <tensair/model/optimizer.hpp>

namespace tensair {

/// Parameters that learn in another way than the rest: with an optimiser of their own (its rate, its weight decay), at
/// a multiple of the rate, or not at all.
///
/// @code
/// pipeline.model("flowers", [] { return torch::nn::Linear(4, 3); },
///                {.optimizer = tensair::adamw({.lr = 1e-3}),
///                 .groups = {{.match = "*bias", .optimizer = tensair::adam({.lr = 1e-3})},  // no weight decay
///                            {.match = "body.*", .frozen = true}}});
/// @endcode
struct ParameterGroup {
  std::string match;             ///< the parameters' names, as the module has them; * is any text, ? any one character
  OptimizerFactory optimizer{};  ///< empty: the model's, with a state of its own
  double rate = 1;               ///< what its learning rate is multiplied by
  bool frozen = false;           ///< never changed and never sent
};

}  // namespace tensair
