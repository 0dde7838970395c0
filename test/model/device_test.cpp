#include <torch/torch.h>

#include <tensair/error.hpp>
#include <tensair/flags.hpp>
#include <tensair/model/model.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/model/devices.hpp"
#include "support/regression.hpp"
#include "support/temporary_folder.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("replicas on devices train every batch once, and end alike", "[device][replica][exchange]") {
  for (const auto& device : devices()) {
    for (const auto& topology : some_topologies()) {
      for (const auto currency : {exchange::updates, exchange::gradients}) {
        for (const int replicas : {1, 2}) {
          INFO(device << ", " << topology.name() << ", " << replicas << " replicas a node, "
                      << (currency == exchange::updates ? "updates" : "gradients"));
          ModelOptions options{.optimizer = sgd({.lr = 0.02}), .exchange = currency, .device = device};
          const auto outcome = train(on(topology), topology.nodes, replicas, options, 2'000);
          CHECK(outcome.examples() == 2'000);
          REQUIRE(outcome.parameters.size() == static_cast<std::size_t>(topology.nodes * replicas));
          CHECK(outcome.largest_difference() <= 1e-5F);
        }
      }
    }
  }
}

TEST_CASE("whatever the options, a model learns the same on a device", "[device][replica]") {
  const TemporaryFolder folder;
  const std::pair<const char*, ModelOptions> settings[] = {
      {"adam", {.optimizer = adam({.lr = 0.01})}},
      {"a gradient with a bound", {.optimizer = sgd({.lr = 0.1}), .clip_norm = 0.1}},
      {"elements with a bound", {.optimizer = sgd({.lr = 0.1}), .clip_value = 0.02}},
      {"several batches a step", {.optimizer = adam({.lr = 0.01}), .accumulate = 3}},
      {"a schedule", {.optimizer = adam({.lr = 0.01}), .schedule = step_decay(10, 0.9)}},
      {"going back", {.optimizer = adam({.lr = 0.01}), .on_not_finite = not_finite::roll_back}},
      {"checkpoints",
       {.optimizer = adam({.lr = 0.01}), .checkpoint = {.file = folder.path() / "here", .every_steps = 20}}},
      {"LibTorch's optimiser", {.optimizer = libtorch_optimizer([](std::vector<at::Tensor> all) {
                                  return std::make_unique<torch::optim::Adam>(all, torch::optim::AdamOptions(0.01));
                                })}}};
  const auto single = on({1, 1, false});
  for (const auto& [name, options] : settings) {
    const auto here = train(single, 1, 1, options);
    for (const auto& device : devices()) {
      INFO(name << " on " << device);
      auto with = options;
      with.device = device;
      const auto there = train(single, 1, 1, with);
      REQUIRE(there.steps.size() == here.steps.size());
      for (std::size_t i = 0; i < here.steps.size(); ++i)
        REQUIRE(there.steps[i].score.loss == Approx(here.steps[i].score.loss).epsilon(1e-2).margin(1e-4));
      REQUIRE(there.parameters.size() == 1);
      for (std::size_t i = 0; i < here.parameters[0].size(); ++i)
        REQUIRE(there.parameters[0][i] == Approx(here.parameters[0][i]).epsilon(1e-2).margin(1e-3));
    }
  }
}

TEST_CASE("whatever replicas on devices do about each other, they learn", "[device][replica][exchange]") {
  const std::pair<const char*, ModelOptions> settings[] = {
      {"anticipating", {}},
      {"scaled", {.patience = 0, .staleness = {.scale = true}}},
      {"compensated", {.patience = 0, .anticipate = false, .staleness = {.compensation = 2}}},
      {"every third step", {.every = {.steps = 3}}},
      {"compressed", {.compression = top_k({.share = 0.3})}},
      {"half", {.compression = fp16()}},
      {"averaged", {.exchange = exchange::gradients, .averaging = {.every = 20}}},
      {"measured", {.measure_divergence = 10}}};
  for (const auto& device : devices()) {
    for (const auto& [name, options] : settings) {
      for (const int nodes : {1, 2}) {
        INFO(name << " on " << device << ", " << nodes << " nodes");
        auto with = options;
        with.optimizer = sgd({.lr = 0.02});
        with.device = device;
        const auto outcome = train(on({nodes, 4, false}), nodes, 2, with, 8'000);
        CHECK(outcome.examples() == 8'000);
        CHECK(outcome.largest_difference() <= (options.compression.make ? 1e-2F : 1e-4F));
        double first = 0, last = 0;
        const auto& steps = outcome.steps;
        REQUIRE(steps.size() > 40);
        for (std::size_t i = 0; i < 20; ++i) {
          first += steps[i].score.loss;
          last += steps[steps.size() - 1 - i].score.loss;
        }
        CHECK(last < first / 5);
      }
    }
  }
}

TEST_CASE("a checkpoint of one device is gone on from on another", "[device][checkpoint]") {
  const TemporaryFolder folder;
  const auto single = on({1, 1, false});
  const auto run = [&](const std::string& device, const std::string& file) {
    ModelOptions options{.optimizer = sgd({.lr = 0.02, .momentum = 0.9}), .device = device};
    options.checkpoint = {.file = folder.path() / file, .resume = true};
    return train(single, 1, 1, options);
  };
  auto all = devices();
  all.emplace_back("cpu");
  run("cpu", "straight");
  const auto straight = run("cpu", "straight");
  for (const auto& first : all) {
    for (const auto& second : all) {
      INFO("from " << first << " to " << second);
      const auto file = "from " + first + " to " + second;
      run(first, file);
      const auto resumed = run(second, file);
      for (std::size_t i = 0; i < straight.parameters[0].size(); ++i)
        REQUIRE(resumed.parameters[0][i] == Approx(straight.parameters[0][i]).epsilon(1e-4).margin(1e-5));
    }
  }
}

TEST_CASE("predictions of a model on a device are in main memory", "[device][predict]") {
  for (const auto& device : devices()) {
    testing::Cluster cluster{{.nodes = 2, .seed = 3}};
    Collected<Prediction<at::Tensor>> found;
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("net", make_net, {.device = device});
      auto here = pipeline.source(std::vector<at::Tensor>(40, torch::ones({features}))).model(net).predict().collect();
      if (pipeline.options().rank == 0) found = here;
    });
    REQUIRE(found.records().size() == 40);
    for (const auto& one : found.records()) {
      REQUIRE(one.output.is_cpu());
      CHECK(torch::allclose(one.output, found.records().front().output, 1e-4, 1e-5));
    }
  }
}

TEST_CASE("a device that there is not is refused", "[device][error]") {
  const auto run_on = [](const std::string& device) { train(on({1, 1, false}), 1, 1, {.device = device}, 100); };
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:100", "cpu:1"}) {
    CHECK_THROWS_AS(run_on(name), UsageError);
    CHECK_THROWS_WITH(run_on(name), ContainsSubstring("model «net» is to compute on «" + std::string(name) + "»") &&
                                        ContainsSubstring("Say cpu, cuda, cuda:N or auto"));
  }
  CHECK_THROWS_WITH(run_on("cuda:63"), ContainsSubstring("model «net» is to compute on cuda:63, and this node has") &&
                                           ContainsSubstring("ModelOptions::device"));
  if (!has_gpu()) CHECK_THROWS_WITH(run_on("cuda"), ContainsSubstring("no GPU that its LibTorch can use"));
  run_on("auto");
}

TEST_CASE("replicas compute where the command line says, unless the program does", "[device][flags]") {
  const char* arguments[] = {"program", "--device", "cuda:63", "--quiet"};
  for (const bool program_says : {false, true}) {
    Flags flags{"program"};
    Pipeline pipeline{4, arguments, flags};
    auto net = pipeline.model("net", make_linear, {.loss = mean_squared_error, .device = program_says ? "cpu:0" : ""});
    CHECK(net.runtime()->options().device == (program_says ? "cpu:0" : "cuda:63"));
  }
}
