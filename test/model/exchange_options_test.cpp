#include <torch/torch.h>

#include <tensair/error.hpp>
#include <tensair/model/delay_compensation.hpp>
#include <tensair/model/model.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/regression.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

// 4,097 parameters: deltas that are larger than what is said about them.
auto make_wide() -> torch::nn::Sequential {
  return torch::nn::Sequential(torch::nn::Linear(features, 512), torch::nn::Tanh(), torch::nn::Linear(512, 1));
}

auto bytes_of(ModelOptions options, int nodes = 2) -> double {
  testing::Cluster cluster{{.nodes = nodes, .seed = 4}};
  options.loss = mean_squared_error;
  options.optimizer = sgd({.lr = 0.01});
  cluster.run([&](Pipeline& pipeline) {
    auto net = pipeline.model("net", make_wide, options);
    pipeline.source(SharedPoints{8'000}).batch(20).model(net).train();
  });
  return static_cast<double>(cluster.bytes_sent());
}

// A step moves the bias by the rate, whatever the parameters; returns by how many steps' worth it has moved.
struct Moved {
  std::vector<double> steps;  // by replica
  std::uint64_t trained = 0, dropped = 0;
};
auto move_bias(ModelOptions options, std::vector<double> slowness = {}) -> Moved {
  constexpr double rate = 1.0 / 1024;
  options.loss = [](const at::Tensor& output, const at::Tensor&) { return output.mean(); };
  options.optimizer = sgd({.lr = rate});
  std::vector<ModelHandle> handles;
  testing::Cluster cluster{{.nodes = 4, .seed = 9, .slowness = std::move(slowness)}};
  cluster.run([&](Pipeline& pipeline) {
    auto net = pipeline.model("linear", make_linear, options);
    handles.push_back(net);
    pipeline.source(SharedPoints{8'000}).batch(20).model(net).train();
  });
  torch::manual_seed(9);  // as the pipeline does
  const auto start = make_linear()->bias.item<double>();
  Moved moved;
  for (const auto& handle : handles) {
    const auto figures = handle.runtime()->figures();
    moved.trained += figures.steps;
    moved.dropped += figures.dropped;
    for (auto* learner : handle.runtime()->learners())
      moved.steps.push_back((start - static_cast<double>(learner->parameters()[features])) / rate);
  }
  return moved;
}

}  // namespace

TEST_CASE("whatever compresses deltas, replicas end with the same parameters", "[exchange][compression]") {
  for (const auto& compression : {fp16(), bf16(), top_k({.share = 0.05})}) {
    for (const auto& topology : topologies()) {
      INFO(compression.name << ", " << topology.name());
      const auto outcome =
          train(on(topology), topology.nodes, 2, {.optimizer = adam({.lr = 1e-3}), .compression = compression}, 2'000);
      CHECK(outcome.examples() == 2'000);
      CHECK(outcome.largest_difference() <= 1e-5F);
    }
  }
}

TEST_CASE("compression makes traffic less by what it says", "[exchange][compression]") {
  const double plain = bytes_of({});
  CHECK(bytes_of({.compression = fp16()}) / plain == Approx(0.5).margin(0.03));
  CHECK(bytes_of({.compression = bf16()}) / plain == Approx(0.5).margin(0.03));
  CHECK(bytes_of({.compression = top_k({.share = 0.01})}) / plain < 0.05);
}

TEST_CASE("nodes that compress differently are refused", "[exchange][compression]") {
  CHECK_THROWS_WITH(
      run_tcp(2,
              [](Pipeline& pipeline) {
                auto net = pipeline.model(
                    "net", make_net,
                    {.loss = mean_squared_error, .compression = pipeline.options().rank == 0 ? fp16() : Compression{}});
                pipeline.source(SharedPoints{100}).batch(10).model(net).train();
              }),
      Catch::Matchers::ContainsSubstring("compressed to fp16"));
}

TEST_CASE("replicas that tell each other every ten steps still end alike, for a tenth of the bytes", "[exchange]") {
  for (const auto currency : {exchange::updates, exchange::gradients}) {
    for (const auto& topology : topologies()) {
      INFO(topology.name() << (currency == exchange::updates ? ", updates" : ", gradients"));
      const auto outcome = train(on(topology), topology.nodes, 2,
                                 {.optimizer = sgd({.lr = 1e-2}), .exchange = currency, .every = {.steps = 10}}, 2'000);
      CHECK(outcome.examples() == 2'000);
      CHECK(outcome.largest_difference() <= 1e-5F);
    }
  }
  CHECK(bytes_of({.every = {.steps = 10}}) / bytes_of({}) == Approx(0.1).margin(0.02));
}

TEST_CASE("with a time, a replica tells what it did even if no more batches come", "[exchange]") {
  // Ten batches, and then for 200 ms none: does the other node learn of them before the stream ends?
  const auto told_early = [](std::chrono::milliseconds time) {
    bool told = false;
    testing::Cluster cluster{{.nodes = 2, .seed = 2}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model(
          "net", make_net,
          {.loss = mean_squared_error, .every = {.steps = 1'000, .time = time}, .measure_divergence = 0});
      pipeline
          .source(
              [n = 0]() mutable -> std::optional<int> { return n < 200 * 4096 ? std::optional(n++) : std::nullopt; })
          .filter([](int n) { return n < 200; })
          .map(point)
          .batch(20)
          .model(net)
          .train()
          .sink([&](const TrainStep& step) { told = told || step.examples_seen > step.step * 20; });
      if (pipeline.options().rank != 0) return;
    });
    return told;
  };
  CHECK(told_early(2ms));
  CHECK_FALSE(told_early(0ms));
}

TEST_CASE("a step is divided by the number of steps that its gradient has not seen", "[exchange][staleness]") {
  // Four replicas of one speed that do not wait for each other: each has not seen about three steps.
  const auto plain = move_bias({.patience = 0, .anticipate = false});
  const auto scaled = move_bias({.patience = 0, .anticipate = false, .staleness = {.scale = true}});
  for (const double steps : plain.steps) CHECK(steps == Approx(400).margin(1));
  for (const double steps : scaled.steps) {
    CHECK(steps == Approx(scaled.steps.front()).margin(1e-2));
    CHECK(steps > 400 / 4.0);
    CHECK(steps < 400 / 2.0);
  }
  // Alone nothing is unseen.
  for (const double steps : move_bias({.replicas = 1, .staleness = {.scale = true}}).steps)
    CHECK(steps == Approx(400).margin(1));
}

TEST_CASE("a step that is too stale is not made, and counted", "[exchange][staleness]") {
  // The fourth node takes ten times as long: while it computes, the others make some thirty steps.
  const auto moved = move_bias({.patience = 0, .anticipate = false, .staleness = {.most = 12}}, {1, 1, 1, 10});
  CHECK(moved.dropped > 5);
  CHECK(moved.trained + moved.dropped == 400);
  for (const double steps : moved.steps) CHECK(steps == Approx(static_cast<double>(moved.trained)).margin(1));
  CHECK(move_bias({.staleness = {.most = 1'000}}).dropped == 0);
}

TEST_CASE("a gradient is corrected for what has changed since it was taken", "[exchange][staleness]") {
  const std::vector<float> then{1, 2}, now{1.25F, 1}, gradient{2, -3};
  DelayCompensation constant{{.compensation = 0.5, .adaptive = false}};
  constant.taken_at(then);
  auto corrected = constant.corrected(gradient, now, 2);
  CHECK(corrected[0] == Approx(2 + 0.5 * 4 * 0.25));
  CHECK(corrected[1] == Approx(-3 + 0.5 * 9 * -1));
  CHECK(constant.corrected(gradient, now, 1)[1] == -3);  // a buffer
  DelayCompensation adaptive{{.compensation = 2}};
  adaptive.taken_at(then);
  adaptive.corrected(gradient, then, 2);  // its mean square is then 0.05 · 4
  corrected = adaptive.corrected(gradient, now, 2);
  CHECK(corrected[0] == Approx(2 + 2 / std::sqrt(0.05 * 4 * 1.95) * 4 * 0.25).epsilon(1e-4));
  CHECK_FALSE(DelayCompensation{{}}.is_on());
}

TEST_CASE("with delay compensation replicas find the optimum and end alike", "[exchange][staleness]") {
  for (const auto currency : {exchange::updates, exchange::gradients}) {
    for (const auto& topology : topologies()) {
      INFO(topology.name() << (currency == exchange::updates ? ", updates" : ", gradients"));
      const auto outcome = train(on(topology), topology.nodes, 2,
                                 {.optimizer = sgd({.lr = 1e-2}),
                                  .exchange = currency,
                                  .patience = 0,
                                  .anticipate = false,
                                  .staleness = {.compensation = 1}});
      CHECK(outcome.examples() == 3'000);
      CHECK(outcome.largest_difference() <= 1e-5F);
    }
  }
}

TEST_CASE("exchange options that cannot be are refused", "[exchange][error]") {
  using Catch::Matchers::ContainsSubstring;
  const auto error_of = [](const ModelOptions& options) -> std::string {
    try {
      run({}, [&](Pipeline& pipeline) { pipeline.model("net", make_net, options); });
    } catch (const UsageError& error) {
      return error.what();
    }
    return "nothing";
  };
  CHECK_THAT(error_of({.every = {.steps = 0}}), ContainsSubstring("every 0 steps"));
  CHECK_THAT(error_of({.every = {.time = -1ms}}), ContainsSubstring("-1 ms"));
  CHECK_THAT(error_of({.staleness = {.compensation = -1}}), ContainsSubstring("compensation of -1"));
  CHECK_THAT(error_of({.staleness = {.compensation = NAN}}), ContainsSubstring("compensation of nan"));
}
