#include <torch/torch.h>

#include <tensair/error.hpp>
#include <tensair/model/libtorch_optimizer.hpp>
#include <tensair/model/optimizer.hpp>

#include "catch.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::int64_t size = 1'003;  // no multiple of a vector's width

auto span_of(const at::Tensor& tensor) -> std::span<float> {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

/// Steps both on the same gradients; the largest difference of a parameter on the way, relative to 1 and its size.
auto difference(torch::optim::Optimizer& theirs, at::Tensor& parameter, Optimizer& ours, int steps) -> double {
  auto mine = parameter.detach().clone();
  double largest = 0;
  for (int step = 0; step < steps; ++step) {
    const auto gradient = torch::randn({size});
    parameter.mutable_grad() = gradient.clone();
    theirs.step();
    ours.step(span_of(mine), span_of(gradient));
    const auto apart = (mine - parameter.detach()).abs() / (1 + parameter.detach().abs());
    largest = std::max(largest, apart.max().item<double>());
  }
  return largest;
}

template <class Theirs, class Options>
void compare(const char* name, Options options, const OptimizerFactory& factory, double tolerance = 1e-6) {
  INFO(name);
  torch::manual_seed(4);
  auto parameter = torch::randn({size}).requires_grad_();
  Theirs theirs({parameter}, options);
  const auto ours = factory(size);
  CHECK(difference(theirs, parameter, *ours, 300) < tolerance);
}

}  // namespace

TEST_CASE("optimisers step as LibTorch's of the same name do", "[optimizer]") {
  namespace theirs = torch::optim;
  compare<theirs::Adam>("adam", theirs::AdamOptions(1e-3), adam({.lr = 1e-3}));
  compare<theirs::Adam>("adam, weight decay", theirs::AdamOptions(1e-3).weight_decay(0.1),
                        adam({.lr = 1e-3, .weight_decay = 0.1}));
  compare<theirs::AdamW>("adamw", theirs::AdamWOptions(1e-3).weight_decay(0.05),
                         adamw({.lr = 1e-3, .weight_decay = 0.05}),
                         4e-6);  // theirs is rounded once more a step: after it has shrunk, before it moves
  compare<theirs::SGD>("sgd", theirs::SGDOptions(1e-2), sgd({.lr = 1e-2}));
  compare<theirs::SGD>("sgd, momentum and weight decay", theirs::SGDOptions(1e-2).momentum(0.9).weight_decay(0.1),
                       sgd({.lr = 1e-2, .momentum = 0.9, .weight_decay = 0.1}));
  compare<theirs::SGD>("sgd, nesterov", theirs::SGDOptions(1e-2).momentum(0.9).nesterov(true).weight_decay(0.1),
                       sgd({.lr = 1e-2, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true}));
  compare<theirs::RMSprop>("rmsprop", theirs::RMSpropOptions(1e-3), rmsprop({.lr = 1e-3}));
  compare<theirs::RMSprop>("rmsprop, momentum", theirs::RMSpropOptions(1e-3).momentum(0.5).weight_decay(0.1),
                           rmsprop({.lr = 1e-3, .momentum = 0.5, .weight_decay = 0.1}));
  compare<theirs::RMSprop>("rmsprop, centred", theirs::RMSpropOptions(1e-3).centered(true).momentum(0.5).alpha(0.9),
                           rmsprop({.lr = 1e-3, .alpha = 0.9, .momentum = 0.5, .centered = true}));
  compare<theirs::Adagrad>("adagrad", theirs::AdagradOptions(1e-2), adagrad({.lr = 1e-2}));
  compare<theirs::Adagrad>("adagrad, decays",
                           theirs::AdagradOptions(1e-2).lr_decay(0.01).weight_decay(0.1).initial_accumulator_value(0.2),
                           adagrad({.lr = 1e-2, .lr_decay = 0.01, .initial = 0.2, .weight_decay = 0.1}));
}

TEST_CASE("any optimiser of LibTorch can be used, as it is", "[optimizer]") {
  torch::manual_seed(5);
  auto parameter = torch::randn({size}).requires_grad_();
  const auto options = torch::optim::AdamOptions(1e-3).amsgrad(true).weight_decay(0.01);
  torch::optim::Adam theirs({parameter}, options);
  const auto factory = libtorch_optimizer(
      [&](std::vector<at::Tensor> all) { return std::make_unique<torch::optim::Adam>(all, options); });
  const auto ours = factory(size);
  CHECK(difference(theirs, parameter, *ours, 20) == 0);
  ours->scale_rate(0.5);
  dynamic_cast<torch::optim::AdamOptions&>(theirs.param_groups().front().options()).lr(5e-4);
  CHECK(difference(theirs, parameter, *ours, 20) < 1e-7);  // from other parameters on, each time
}

namespace {

auto all_kinds() -> std::vector<OptimizerFactory> {
  return {adam({.lr = 0.01}),
          adamw({.lr = 0.01}),
          sgd({.lr = 0.05}),
          sgd({.lr = 0.05, .momentum = 0.9, .nesterov = true}),
          rmsprop({.momentum = 0.5, .centered = true}),
          adagrad({.lr_decay = 0.1}),
          libtorch_optimizer([](std::vector<at::Tensor> all) {
            return std::make_unique<torch::optim::Adam>(all, torch::optim::AdamOptions(0.01));
          })};
}

}  // namespace

TEST_CASE("an optimiser goes on from its state as if it had not been interrupted", "[optimizer][checkpoint]") {
  for (const auto& factory : all_kinds()) {
    torch::manual_seed(6);
    auto straight = torch::randn({size}), resumed = straight.clone();
    const auto one = factory(size);
    for (int step = 0; step < 5; ++step) one->step(span_of(straight), span_of(torch::randn({size})));
    resumed.copy_(straight);
    const auto other = factory(size);
    other->restore(one->state());
    for (int step = 0; step < 5; ++step) {
      const auto gradient = torch::randn({size});
      one->step(span_of(straight), span_of(gradient));
      other->step(span_of(resumed), span_of(gradient));
    }
    CHECK(torch::equal(straight, resumed));
  }
}

TEST_CASE("a scaled rate is the rate", "[optimizer]") {
  const auto steps_with = [](const OptimizerFactory& factory, double factor) {
    torch::manual_seed(7);
    auto values = torch::ones({size});
    const auto optimizer = factory(size);
    optimizer->scale_rate(factor);
    for (int step = 0; step < 3; ++step) optimizer->step(span_of(values), span_of(torch::randn({size})));
    return values;
  };
  const auto same = [&](const OptimizerFactory& scaled, const OptimizerFactory& plain) {
    CHECK(torch::allclose(steps_with(scaled, 0.25), steps_with(plain, 1), 1e-6, 1e-7));
    CHECK_FALSE(torch::allclose(steps_with(scaled, 1), steps_with(plain, 1), 1e-4, 1e-5));
  };
  same(adam({.lr = 0.04}), adam({.lr = 0.01}));
  same(adamw({.lr = 0.04, .weight_decay = 0.5}), adamw({.lr = 0.01, .weight_decay = 0.5}));
  same(sgd({.lr = 0.04, .momentum = 0.9}), sgd({.lr = 0.01, .momentum = 0.9}));
  same(rmsprop({.lr = 0.04}), rmsprop({.lr = 0.01}));
  same(adagrad({.lr = 0.04}), adagrad({.lr = 0.01}));
}

TEST_CASE("another optimiser's state is refused, and says what is missing", "[optimizer][error]") {
  const auto small = adam()(3), one = adam()(4), other = sgd({.momentum = 0.9})(4);
  CHECK_THROWS_WITH(one->restore(other->state()), ContainsSubstring("no «mean»"));
  CHECK_THROWS_WITH(one->restore(small->state()), ContainsSubstring("3 values of «mean» for 4 parameters"));
  const auto theirs =
      libtorch_optimizer([](std::vector<at::Tensor> all) { return std::make_unique<torch::optim::SGD>(all, 0.1); })(4);
  CHECK_THROWS_WITH(theirs->restore(one->state()), ContainsSubstring("not one of this LibTorch optimiser"));
}

TEST_CASE("optimisers refuse numbers that cannot be", "[optimizer][error]") {
  CHECK_THROWS_AS(adamw({.weight_decay = -1}), UsageError);
  CHECK_THROWS_WITH(adamw({.lr = 0}), ContainsSubstring("AdamW's lr is 0"));
  CHECK_THROWS_AS(sgd({.nesterov = true}), UsageError);
  CHECK_THROWS_AS(rmsprop({.alpha = 1}), UsageError);
  CHECK_THROWS_AS(adagrad({.initial = -1}), UsageError);
  CHECK_THROWS_AS(adam({.lr = std::nan("")}), UsageError);
}
