#include <torch/torch.h>

#include <cmath>
#include <map>
#include <set>
#include <tensair/error.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/model/line.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

// A loss that says which batch it is of: its first record's number.
auto numbered(ModelOptions options = {}) -> ModelOptions {
  options.loss = [](const at::Tensor& output, const at::Tensor& target) {
    return (output - output.detach()).mean() + target.mean();
  };
  return options;
}
auto collate_number(std::span<const Spot> some) -> std::pair<at::Tensor, at::Tensor> {
  return {torch::zeros({static_cast<std::int64_t>(some.size()), 1}),
          torch::full({1}, static_cast<float>(some.front().number))};
}

/// What the line of a learner says.
auto answer_of(Learner& learner, float x) -> double {
  return static_cast<double>(learner.parameters()[0]) * x + static_cast<double>(learner.parameters()[1]);
}

}  // namespace

TEST_CASE("batches in turn: every replica gets as many, however slow it is", "[routing]") {
  for (const int nodes : {1, 2, 5}) {
    INFO(nodes << " nodes");
    Collected<TrainStep> collected;
    testing::Cluster cluster{{.nodes = nodes, .seed = 3, .slowness = {1.0, 4.0}}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, {.loss = mean_squared_error, .replicas = 2 * nodes});
      auto here = pipeline.source(spots(20'000)).batch(20).model(net).train(routing::in_turn).collect();
      if (pipeline.options().rank == 0) collected = here;
    });
    std::map<int, int> steps;
    for (const auto& step : collected) ++steps[step.replica];
    CHECK(steps.size() == static_cast<std::size_t>(2 * nodes));
    for (const auto& [replica, count] : steps) CHECK(count == 1'000 / (2 * nodes));
  }
}

TEST_CASE("batches by key: those of a key are learnt by one replica, from whichever node they come", "[routing]") {
  constexpr int keys = 40;
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    Collected<TrainStep> collected;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, numbered({.replicas = 2 * topology.nodes}));
      auto here = pipeline.source(SharedSpots{1'000})
                      .map([](const Spot& one) { return spot(one.number % keys); })
                      .batch(1)
                      .model(net, collate_number)
                      .train(routing::by_key([](const Batch<Spot>& batch) { return batch[0].number; }))
                      .collect();
      if (pipeline.options().rank == 0) collected = here;
    });
    CHECK(collected.size() == 1'000);
    std::map<int, std::set<int>> replicas_of;  // by key, which is the loss
    std::set<int> all;
    for (const auto& step : collected) {
      replicas_of[static_cast<int>(std::lround(step.score.loss))].insert(step.replica);
      all.insert(step.replica);
    }
    CHECK(replicas_of.size() == keys);
    for (const auto& [key, replicas] : replicas_of) CHECK(replicas.size() == 1);
    CHECK(all.size() > 1);
  }
}

TEST_CASE("predictions by key: one replica answers for a key, in order", "[routing][predict]") {
  constexpr int keys = 40;
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::map<int, std::vector<Prediction<Spot>>> by_key;
    std::set<int> replicas;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, {.replicas = 2 * topology.nodes});
      pipeline.source(spots(1'000))
          .model(net)
          .predict({.max_batch = 8}, routing::by_key([](const Spot& one) { return one.number % keys; }))
          .sink([&](const Prediction<Spot>& one) { by_key[one.record.number % keys].push_back(one); });
    });
    CHECK(by_key.size() == keys);
    for (const auto& [key, all] : by_key) {
      CHECK(all.size() == 1'000 / keys);
      for (std::size_t i = 1; i < all.size(); ++i) {
        CHECK(all[i].replica == all[0].replica);
        CHECK(all[i].record.number > all[i - 1].record.number);
      }
      replicas.insert(all[0].replica);
    }
    CHECK(replicas.size() > 1);
  }
}

TEST_CASE("an ensemble: every member learns every batch by itself, as it would alone", "[routing][ensemble]") {
  constexpr int batches = 50;
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::vector<std::vector<float>> members;
    std::vector<ModelHandle> handles;
    Collected<TrainStep> steps;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line,
                                {.loss = mean_squared_error,
                                 .optimizer = sgd({.lr = 0.1}),
                                 .replicas = 2 * topology.nodes,
                                 .exchange = exchange::none});
      handles.push_back(net);
      auto here = pipeline.source(spots(batches * 20)).batch(20).model(net).train(routing::all).collect();
      if (pipeline.options().rank == 0) steps = here;
    });
    for (const auto& handle : handles) {
      for (auto* learner : handle.runtime()->learners())
        members.emplace_back(learner->parameters().begin(), learner->parameters().end());
    }
    CHECK(steps.size() == static_cast<std::size_t>(batches * 2 * topology.nodes));

    // The first one is the model that a plain loop would train.
    torch::manual_seed(topology.seed);
    auto alone = make_line();
    torch::optim::SGD optimizer(alone->parameters(), 0.1);
    const auto all = spots(batches * 20);
    for (int i = 0; i < batches; ++i) {
      const auto [x, y] = collate(std::span(all).subspan(static_cast<std::size_t>(i) * 20, 20));
      optimizer.zero_grad();
      torch::mse_loss(alone->forward(x), y).backward();
      optimizer.step();
    }
    REQUIRE(members.size() == static_cast<std::size_t>(2 * topology.nodes));
    CHECK(members[0][0] == Approx(alone->weight.item<double>()).margin(1e-5));
    CHECK(members[0][1] == Approx(alone->bias.item<double>()).margin(1e-5));
    // And the others began elsewhere.
    for (std::size_t i = 1; i < members.size(); ++i) CHECK(std::abs(members[i][0] - members[0][0]) > 1e-7F);
  }
}

TEST_CASE("all members answer, and their outputs are combined", "[routing][ensemble][predict]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::vector<ModelHandle> handles;
    std::vector<Prediction<Spot>> means, greatest;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, {.replicas = 2 * topology.nodes, .exchange = exchange::none});
      handles.push_back(net);
      const auto most = [](std::span<const at::Tensor> outputs) {
        return torch::stack(std::vector(outputs.begin(), outputs.end())).amax(0);
      };
      pipeline.source(spots(100)).model(net).predict({}, routing::all).sink([&](const Prediction<Spot>& one) {
        means.push_back(one);
      });
      pipeline.source(spots(100)).model(net).predict({}, routing::all(most)).sink([&](const Prediction<Spot>& one) {
        greatest.push_back(one);
      });
    });
    std::vector<Learner*> members;
    for (const auto& handle : handles) {
      for (auto* learner : handle.runtime()->learners()) members.push_back(learner);
    }
    REQUIRE(members.size() == static_cast<std::size_t>(2 * topology.nodes));
    REQUIRE(means.size() == 100);
    REQUIRE(greatest.size() == 100);
    for (int i = 0; i < 100; ++i) {
      double sum = 0, greatest_of_all = -1e9;
      for (auto* member : members) {
        const double answer = answer_of(*member, spot(i).x);
        sum += answer;
        greatest_of_all = std::max(greatest_of_all, answer);
      }
      const auto& mean = means[static_cast<std::size_t>(i)];
      CHECK(mean.record.number == i);
      CHECK(mean.replica == -1);
      CHECK(mean.output.item<double>() == Approx(sum / static_cast<double>(members.size())).margin(1e-5));
      CHECK(greatest[static_cast<std::size_t>(i)].output.item<double>() == Approx(greatest_of_all).margin(1e-5));
    }
  }
}

TEST_CASE("a slow replica answers fewer requests, and the stream does not wait for it",
          "[routing][straggler][predict]") {
  std::map<int, int> answered;
  testing::Cluster cluster{{.nodes = 2, .seed = 5, .slowness = {1.0, 4.0}}};
  cluster.run([&](Pipeline& pipeline) {
    auto net = pipeline.model("line", make_line);
    pipeline.source(spots(32'000)).model(net).predict({.max_batch = 32}).sink([&](const Prediction<Spot>& one) {
      ++answered[one.replica];
    });
  });
  CHECK(answered[0] + answered[1] == 32'000);
  CHECK(static_cast<double>(answered[0]) / answered[1] == Approx(4).epsilon(0.2));
  // A request a turn: 1 and a quarter a millisecond.
  CHECK(std::chrono::duration<double, std::milli>(cluster.elapsed()).count() == Approx(800).epsilon(0.1));
}

TEST_CASE("learning every batch everywhere is refused where replicas exchange", "[routing][error]") {
  CHECK_THROWS_WITH(
      test::run({},
                [](Pipeline& pipeline) {
                  auto net = pipeline.model("line", make_line);
                  pipeline.source(spots(10)).batch(5).model(net).train(routing::all);
                }),
      Catch::Matchers::ContainsSubstring("model «line»") && Catch::Matchers::ContainsSubstring("exchange::none"));
}

TEST_CASE("a key that throws stops the run and names the operator", "[routing][error]") {
  CHECK_THROWS_AS(test::run({},
                            [](Pipeline& pipeline) {
                              auto net = pipeline.model("line", make_line);
                              pipeline.source(spots(10))
                                  .model(net)
                                  .predict({}, routing::by_key([](const Spot& one) -> int {
                                             if (one.number == 7) throw std::runtime_error("no key");
                                             return 0;
                                           }))
                                  .sink([](const Prediction<Spot>&) {});
                            }),
                  UserError);
}
