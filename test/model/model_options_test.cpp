#include <torch/script.h>
#include <torch/torch.h>

#include <unistd.h>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <tensair/error.hpp>
#include <tensair/model/adapting.hpp>
#include <tensair/model/model.hpp>

#include "catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;
using tensair::test::TemporaryFolder;
using tensair::test::topologies;

namespace {

/// y = 2·a − b + 0.5, and a and b from a small generator.
struct Pair {
  float a, b, y;
};

auto pairs(int n, int from = 0) -> std::vector<Pair> {
  std::vector<Pair> all;
  for (int i = from; i < from + n; ++i) {
    const auto k = static_cast<std::uint32_t>(i) * 2654435761U;
    const auto a = static_cast<float>(k >> 16) / 65536.0F - 0.5F, b = static_cast<float>(k & 0xffffU) / 65536.0F - 0.5F;
    all.push_back({a, b, 2 * a - b + 0.5F});
  }
  return all;
}

auto collate(std::span<const Pair> batch) -> TensorBatch {
  const auto n = static_cast<std::int64_t>(batch.size());
  TensorBatch tensors{torch::empty({n, 2}), torch::empty({n, 1})};
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& one = batch[static_cast<std::size_t>(i)];
    tensors.input.index_put_({i}, torch::tensor({one.a, one.b}));
    tensors.target.index_put_({i, 0}, one.y);
  }
  return tensors;
}

auto make_linear() -> torch::nn::Linear {
  return torch::nn::Linear(2, 1);
}

struct Outcome {
  std::vector<float> parameters;
  nlohmann::json figures;
  std::vector<TrainStep> steps;
};

/// Trains a model on these records on one node.
template <class Factory>
auto train(Factory factory, ModelOptions options, std::vector<Pair> records, std::size_t batch = 10) -> Outcome {
  options.loss = mean_squared_error;
  Pipeline pipeline;
  auto net = pipeline.model("net", factory, std::move(options));
  auto steps = pipeline.source(std::move(records)).batch(batch).model(net).train().collect();
  pipeline.execute();
  const auto found = net.runtime()->learners().front()->parameters();
  const auto figures = nlohmann::json::parse(pipeline.figures());
  return {{found.begin(), found.end()}, figures, steps.records()};
}

auto far_apart(const std::vector<float>& one, const std::vector<float>& other) -> float {
  REQUIRE(one.size() == other.size());
  float largest = 0;
  for (std::size_t i = 0; i < one.size(); ++i) largest = std::max(largest, std::abs(one[i] - other[i]));
  return largest;
}

auto figure(const nlohmann::json& figures, const char* name) -> int {
  return figures.at("per_node").at(0).at("models").at("net").at(name).get<int>();
}

}  // namespace

TEST_CASE("k batches accumulated are one batch of k times their size", "[model][accumulate]") {
  const ModelOptions plain{.optimizer = adam({.lr = 0.01})};
  auto summed = plain;
  summed.accumulate = 4;
  const auto one = train(make_linear, plain, pairs(400), 40), other = train(make_linear, summed, pairs(400), 10);
  CHECK(far_apart(one.parameters, other.parameters) < 1e-5F);
  CHECK(figure(other.figures, "steps") == 10);
  CHECK(figure(other.figures, "examples") == 400);
  // The last step is made with the batches that there are.
  const auto rest = train(make_linear, summed, pairs(420), 10);
  CHECK(figure(rest.figures, "steps") == 11);
  CHECK(figure(rest.figures, "examples") == 420);
  CHECK(far_apart(rest.parameters, train(make_linear, plain, pairs(420), 40).parameters) < 1e-5F);
}

TEST_CASE("a gradient is clipped to a norm, or element by element", "[model][clip]") {
  const auto records = pairs(10);
  const auto moved = [&](ModelOptions options, double lr = 1) {
    options.optimizer = sgd({.lr = 1e-9});  // as good as no step
    const auto begin = train(make_linear, options, records).parameters;
    options.optimizer = sgd({.lr = lr});
    auto end = train(make_linear, options, records).parameters;
    for (std::size_t i = 0; i < end.size(); ++i) end[i] -= begin[i];
    return end;
  };
  const auto norm = [](const std::vector<float>& values) {
    double sum = 0;
    for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
    return std::sqrt(sum);
  };
  const auto whole = moved({});
  REQUIRE(norm(whole) > 0.1);
  const auto short_one = moved({.clip_norm = norm(whole) / 4});
  for (std::size_t i = 0; i < whole.size(); ++i) CHECK(short_one[i] == Approx(whole[i] / 4).margin(1e-5));
  CHECK(far_apart(moved({.clip_norm = 2 * norm(whole)}), whole) == 0);
  const auto bounded = moved({.clip_value = 0.01});
  for (std::size_t i = 0; i < whole.size(); ++i)
    CHECK(bounded[i] == Approx(std::clamp(whole[i], -0.01F, 0.01F)).margin(1e-5));
}

TEST_CASE("a challenger's gradients are clipped as the model's", "[model][clip][adaptation]") {
  const auto step_of = [](double clip) {
    torch::manual_seed(4);
    const ModelOptions options{.loss = mean_squared_error, .optimizer = sgd({.lr = 1}), .clip_norm = clip};
    Challenger challenger;
    challenger.start(make_learner(network(make_linear()), options), {}, options, 1);
    const std::vector<float> before(challenger.parameters().begin(), challenger.parameters().end());
    challenger.learn(collate(pairs(64)));
    double square = 0;
    for (std::size_t i = 0; i < before.size(); ++i)
      square += std::pow(static_cast<double>(challenger.parameters()[i] - before[i]), 2);
    return std::sqrt(square);
  };
  REQUIRE(step_of(0) > 0.01);
  CHECK(step_of(step_of(0) / 4) == Approx(step_of(0) / 4).epsilon(1e-3));
}

TEST_CASE("a schedule sets each step's rate", "[model][schedule]") {
  // Rate 0 from the third step on: as if the stream ended there.
  const auto stops = schedule([](const TrainingProgress& at) { return at.steps < 2 ? 1.0 : 0.0; });
  CHECK(train(make_linear, {.optimizer = sgd({.lr = 0.1}), .schedule = stops}, pairs(100)).parameters ==
        train(make_linear, {.optimizer = sgd({.lr = 0.1})}, pairs(20)).parameters);
  CHECK_THROWS_WITH(train(make_linear, {.schedule = schedule([](const TrainingProgress&) { return -1.0; })}, pairs(20)),
                    ContainsSubstring("the learning rate -1 times"));
}

TEST_CASE("what is not finite is skipped and counted, or stops the run by name", "[model][not_finite]") {
  const ModelOptions skip{.on_not_finite = not_finite::skip};
  auto records = pairs(100);
  auto spoilt = records;
  const std::vector<Pair> bad(10, {NAN, 0, 0}), huge(10, {INFINITY, 0, 0});
  spoilt.insert(spoilt.begin() + 20, bad.begin(), bad.end());
  spoilt.insert(spoilt.begin() + 60, huge.begin(), huge.end());
  const auto make_normed = [] { return torch::nn::Sequential(torch::nn::BatchNorm1d(2), torch::nn::Linear(2, 1)); };
  for (const int accumulate : {1, 2}) {
    auto options = skip;
    options.accumulate = accumulate;
    const auto clean = train(make_normed, options, records), skipped = train(make_normed, options, spoilt);
    CHECK(skipped.parameters == clean.parameters);  // running statistics, too
    CHECK(figure(skipped.figures, "skipped") == 2);
    CHECK(figure(clean.figures, "skipped") == 0);
  }
  CHECK_THROWS_WITH(
      train(make_linear, {}, spoilt),
      ContainsSubstring("has a loss that is not finite, nor is its input") && ContainsSubstring("batch 3"));
}

TEST_CASE("a gradient that is not finite is found though its loss is", "[model][not_finite]") {
  // √|x| at 0: the loss is 0, the slope is not.
  const auto root = [] {
    return network(make_linear(), [](torch::nn::Linear& linear, const at::Tensor& x) {
      return torch::sqrt(torch::abs(linear->weight.sum() * 0) + x.sum(1, true) * 0) + linear->forward(x) * 0;
    });
  };
  CHECK_THROWS_WITH(train(root, {}, pairs(10)),
                    "model «net» has a gradient that is not finite (replica 0 on node 0, step 1, batch 1 of node 0). "
                    "Lower the learning rate, or skip such batches: ModelOptions::on_not_finite.");
}

TEST_CASE("a step that leads to parameters that are not finite is rolled back", "[model][not_finite]") {
  // The eleventh step has a rate beyond all bounds.
  const auto leap =
      schedule([](const TrainingProgress& at) { return at.steps == 10 && at.examples == 100 ? 3e38 : 1.0; });
  const ModelOptions astray{.optimizer = sgd({.lr = 1}), .schedule = leap};
  CHECK_THROWS_WITH(train(make_linear, astray, pairs(300)), ContainsSubstring("not finite"));
  auto options = astray;
  options.optimizer = sgd({.lr = 1e3});  // and the tenth's loss is no better, but finite
  options.schedule = schedule([n = 0](const TrainingProgress&) mutable { return ++n == 11 ? 1e38 : 1e-4; });
  options.on_not_finite = not_finite::roll_back;
  const auto back = train(make_linear, options, pairs(300));
  CHECK(figure(back.figures, "rolled_back") == 1);
  CHECK(figure(back.figures, "steps") == 29);
  for (const float value : back.parameters) CHECK(std::isfinite(value));
  CHECK(back.steps.back().score.loss < back.steps.front().score.loss);
  options.replicas = 2;
  CHECK_THROWS_WITH(train(make_linear, options, pairs(10)), ContainsSubstring("is to roll back, and has 2 replicas"));
}

TEST_CASE("shared parameters learn as one", "[model]") {
  // w·(w·x) with the same module twice: the slope of both uses adds up.
  const auto outcome = train(
      [] {
        auto once = torch::nn::Linear(torch::nn::LinearOptions(2, 2).bias(false));
        return torch::nn::Sequential(once, once, torch::nn::Linear(2, 1));
      },
      {.optimizer = adam({.lr = 0.05})}, pairs(3'000));
  CHECK(outcome.parameters.size() == 4 + 3);
  CHECK(outcome.steps.back().score.loss < 0.01 * outcome.steps.front().score.loss);
}

TEST_CASE("a run that goes on from a checkpoint ends where one without a break does", "[model][checkpoint]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "net.ckpt";
  const auto make = [] { return torch::nn::Sequential(torch::nn::BatchNorm1d(2), torch::nn::Linear(2, 1)); };
  const ModelOptions options{.optimizer = adamw({.lr = 0.05}),
                             .groups = {{.match = "*bias", .optimizer = rmsprop({.momentum = 0.5})}},
                             .schedule = warm_up(10, plateau({.window = 5, .patience = 0}))};
  const auto straight = train(make, options, pairs(600));
  auto broken = options;
  broken.checkpoint = {.file = file, .every_steps = 10, .resume = true};
  train(make, broken, pairs(300));
  const auto resumed = train(make, broken, pairs(300, 300));
  CHECK(resumed.parameters == straight.parameters);
  CHECK(resumed.steps.back().examples_seen == 600);
  CHECK(read_checkpoint(file).clock == std::vector<std::uint64_t>{60});
  // The one before is of ten steps earlier: by steps, not only at the end.
  CHECK(read_checkpoint(file.string() + ".previous").clock == std::vector<std::uint64_t>{60});

  SECTION("damaged, the one before is taken") {
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
    std::string warning;
    broken.checkpoint.warn = [&](const std::string& text) { warning = text; };
    CHECK(train(make, broken, pairs(10, 600)).steps.back().examples_seen == 610);
    CHECK_THAT(warning, ContainsSubstring("damaged") && ContainsSubstring(file.string()));
  }
  SECTION("as parameters to start from, it is a file like any other") {
    auto loaded = options;
    loaded.load = file;
    CHECK(train(make, loaded, pairs(10, 600)).steps.back().examples_seen == 610);
  }
  SECTION("another optimiser is refused") {
    auto other = broken;
    other.optimizer = sgd({.momentum = 0.9});
    CHECK_THROWS_WITH(train(make, other, pairs(10)),
                      ContainsSubstring("cannot go on from a checkpoint") && ContainsSubstring(file.string()));
  }
  SECTION("another architecture is refused by the first parameter that differs") {
    const auto wider = [] { return torch::nn::Sequential(torch::nn::BatchNorm1d(2), torch::nn::Linear(2, 3)); };
    CHECK_THROWS_WITH(train(wider, broken, pairs(10)),
                      ContainsSubstring("parameter «1.weight» has shape [1, 2], the model's has [3, 2]"));
  }
}

TEST_CASE("a model of one's own learns on any number of nodes", "[model][own]") {
  struct LeastSquares {
    std::vector<float> w = {0, 0, 0};
    auto parameters() -> std::span<float> { return w; }
    auto step(const TensorBatch& batch) -> Score {
      const auto now = score(batch);
      const auto error = predict(batch) - batch.target;
      const auto slope = torch::matmul(batch.input.t(), error) / batch.examples();
      for (std::size_t i = 0; i < 2; ++i) w[i] -= 0.2F * slope[static_cast<std::int64_t>(i)].item<float>();
      w[2] -= 0.2F * error.mean().item<float>();
      return now;
    }
    auto score(const TensorBatch& batch) -> Score {
      return {torch::mse_loss(predict(batch), batch.target).item<double>(),
              static_cast<std::uint64_t>(batch.examples())};
    }
    auto predict(const TensorBatch& batch) -> at::Tensor {
      return torch::matmul(batch.input, torch::tensor({{w[0]}, {w[1]}})) + w[2];
    }
  };
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::vector<ModelHandle> handles;
    Collected<Evaluation> scores;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("least squares", [] { return LeastSquares{}; });
      handles.push_back(net);
      auto here = pipeline.source(pairs(8'000)).batch(10).model(net).evaluate().collect();
      if (pipeline.options().rank == 0) scores = here;
    });
    CHECK(scores.records().size() == 800);
    for (const auto& handle : handles) {
      for (auto* learner : handle.runtime()->learners()) {
        CHECK(learner->parameters()[0] == Approx(2).margin(0.02));
        CHECK(learner->parameters()[1] == Approx(-1).margin(0.02));
        CHECK(learner->parameters()[2] == Approx(0.5).margin(0.02));
      }
    }
  }
}

TEST_CASE("several inputs and outputs travel to whichever node predicts", "[model][network]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    int right = 0;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("net",
                                [] {
                                  return network(torch::nn::Linear(1, 1),
                                                 [](torch::nn::Linear&, const at::Tensor& a, const at::Tensor& b) {
                                                   return std::pair(a + b, a - b);
                                                 });
                                },
                                {.replicas = 1, .on = topology.nodes - 1});
      pipeline.source(pairs(50))
          .model(net,
                 [](std::span<const Pair> batch) {
                   TensorBatch tensors;
                   std::vector<float> a, b;
                   for (const auto& one : batch) a.push_back(one.a), b.push_back(one.b);
                   tensors.input = torch::tensor(a);
                   tensors.more_inputs = {torch::tensor(b)};
                   return tensors;
                 })
          .predict()
          .sink([&](const Prediction<Pair>& one) {
            right += one.output.item<float>() == one.record.a + one.record.b &&
                     one.more_outputs.at(0).item<float>() == one.record.a - one.record.b;
          });
    });
    CHECK(right == 50);
  }
}

TEST_CASE("a TorchScript file is a model of a pipeline", "[model][torch_script]") {
  const TemporaryFolder folder;
  const auto script = folder.path() / "net.pt", saved = folder.path() / "saved.pt";
  torch::jit::Module module("Net");
  module.register_parameter("w", torch::zeros({2, 1}).requires_grad_(), false);
  module.register_parameter("b", torch::zeros({1}).requires_grad_(), false);
  module.define("def forward(self, x):\n  return torch.matmul(x, self.w) + self.b\n");
  module.save(script.string());
  const auto outcome =
      train(torch_script(script), {.optimizer = sgd({.lr = 0.5}), .replicas = 2, .save = saved}, pairs(4'000));
  CHECK(outcome.parameters[0] == Approx(2).margin(0.01));
  CHECK(outcome.parameters[1] == Approx(-1).margin(0.01));
  CHECK(outcome.parameters[2] == Approx(0.5).margin(0.01));
  auto again = make_learner(torch_script(script)(), {});
  again->load(saved);
  CHECK(again->parameters()[0] == outcome.parameters[0]);
}

TEST_CASE("options that cannot be are refused", "[model][error]") {
  const auto refused_with = [](ModelOptions options, const char* words) {
    CHECK_THROWS_WITH(train(make_linear, std::move(options), pairs(10)), ContainsSubstring(words));
  };
  refused_with({.accumulate = 0}, "is to step after 0 batches");
  refused_with({.clip_norm = -1}, "clip_norm of -1");
  refused_with({.clip_value = -1}, "clip_value of -1");
  refused_with({.checkpoint = {.every_steps = 3}}, "a checkpoint without a file");
  refused_with({.checkpoint = {.file = "/nowhere/net.ckpt"}}, "/nowhere/net.ckpt");
  refused_with({.groups = {{.match = "nothing"}}}, "«nothing» matches no parameter");
}
