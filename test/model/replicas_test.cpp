#include <torch/torch.h>

#include <cmath>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <tensair/error.hpp>
#include <tensair/model/model.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/regression.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;

TEST_CASE("every batch is trained once, and replicas end with the same parameters", "[replica][exchange]") {
  for (const auto& topology : topologies()) {
    for (const int replicas : {1, 2}) {
      for (const bool split : {true, false}) {
        INFO(topology.name() << ", " << replicas << " replicas a node, "
                             << (split ? "a source on every node" : "a source on node 0"));
        const auto outcome =
            train(on(topology), topology.nodes, replicas, {.optimizer = adam({.lr = 1e-3})}, 3'000, split);
        CHECK(outcome.examples() == 3'000);
        CHECK(outcome.steps.size() >= 150);
        REQUIRE(outcome.parameters.size() == static_cast<std::size_t>(topology.nodes * replicas));
        CHECK(outcome.largest_difference() <= 1e-5F);
      }
    }
  }
}

TEST_CASE("summed gradients train every replica too, and with plain SGD they too end alike", "[replica][exchange]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    const auto outcome =
        train(on(topology), topology.nodes, 2, {.optimizer = sgd({.lr = 0.02}), .exchange = exchange::gradients});
    CHECK(outcome.examples() == 3'000);
    CHECK(outcome.largest_difference() <= 1e-5F);
  }
}

TEST_CASE("replicas are where the devices are", "[replica][plan]") {
  testing::ClusterOptions options{.nodes = 4, .seed = 7};
  options.specs = {{}, {.labels = {"gpu"}}, {.workers = 8}, {.labels = {"big", "gpu"}}};
  using Places = std::map<int, std::set<int>>;  // by replica
  for (const auto& [replicas, expected] :
       {std::pair(0, Places{{0, {1}}, {1, {3}}}), {4, Places{{0, {1}}, {1, {3}}, {2, {1}}, {3, {3}}}}}) {
    Places places;
    std::uint64_t examples = 0;
    testing::Cluster{options}.run([&, replicas = replicas](Pipeline& pipeline) {
      auto net = pipeline.model("linear", make_linear, {.loss = mean_squared_error, .replicas = replicas, .on = "gpu"});
      pipeline.source(SharedPoints{2'000})
          .batch(20)
          .model(net)
          .train()
          .inspect([&, rank = pipeline.options().rank](const TrainStep& step) {
            places[step.replica].insert(rank);
            examples += step.score.examples;
          })
          .sink([](const TrainStep&) {});
    });
    CHECK(places == expected);
    CHECK(examples == 2'000);
  }
  const auto elsewhere = [](Pipeline& pipeline) {
    auto net = pipeline.model("linear", make_linear, {.loss = mean_squared_error, .on = "tpu"});
    pipeline.source(SharedPoints{10}).batch(5).model(net).train().sink([](const TrainStep&) {});
  };
  CHECK_THROWS_WITH(testing::Cluster{options}.run(elsewhere),
                    Catch::Matchers::ContainsSubstring("no node has the label 'tpu'"));
}

TEST_CASE("every step of every replica moves every replica, once", "[replica][exchange]") {
  // The loss is the output's mean, so the bias has gradient 1 whatever the parameters: n steps move it by n times the
  // rate.
  constexpr double rate = 1.0 / 1024;
  for (const auto currency : {exchange::updates, exchange::gradients}) {
    for (const auto& topology : topologies()) {
      INFO(topology.name() << (currency == exchange::updates ? ", updates" : ", gradients"));
      std::vector<ModelHandle> handles;
      torch::manual_seed(topology.seed);
      const auto start = make_linear()->bias.item<double>();
      test::run(topology, [&](Pipeline& pipeline) {
        auto net = pipeline.model("linear", make_linear,
                                  {.loss = [](const at::Tensor& output, const at::Tensor&) { return output.mean(); },
                                   .optimizer = sgd({.lr = rate}),
                                   .replicas = 2 * topology.nodes,
                                   .exchange = currency});
        handles.push_back(net);
        pipeline.source(SharedPoints{4'000}).batch(20).model(net).train();
      });
      for (const auto& handle : handles) {
        for (auto* learner : handle.runtime()->learners())
          CHECK(learner->parameters()[features] == Approx(start - 200 * rate).margin(1e-4));
      }
    }
  }
}

TEST_CASE("asynchronous replicas find the known optimum of a linear problem", "[replica][exchange]") {
  for (const int nodes : {1, 2, 5}) {
    std::vector<ModelHandle> handles;
    testing::Cluster cluster{{.nodes = nodes, .seed = 11}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("linear", make_linear, {.loss = mean_squared_error, .optimizer = sgd({.lr = 0.1})});
      handles.push_back(net);
      pipeline.source(SharedPoints{60'000}).batch(20).model(net).train();
    });
    const auto found = handles.front().runtime()->learners().front()->parameters();
    for (std::size_t k = 0; k < features; ++k) CHECK(found[k] == Approx(static_cast<double>(k + 1)).margin(0.01));
    CHECK(found[features] == Approx(0.5).margin(0.01));
  }
}

TEST_CASE("a slow replica gets fewer batches, and the others do not wait for it", "[replica][straggler]") {
  std::map<int, int> steps;
  Collected<TrainStep> collected;
  testing::Cluster cluster{{.nodes = 2, .seed = 5, .slowness = {1.0, 4.0}}};
  cluster.run([&](Pipeline& pipeline) {
    auto net = pipeline.model("net", make_net, {.loss = mean_squared_error});
    auto here = pipeline.source(SharedPoints{20'000}).batch(20).model(net).train().collect();
    if (pipeline.options().rank == 0) collected = here;
  });
  for (const auto& step : collected.records()) ++steps[step.node];
  CHECK(steps[0] + steps[1] == 1'000);
  CHECK(static_cast<double>(steps[0]) / steps[1] == Approx(4.0).epsilon(0.15));
  // 1 and a quarter of a step a millisecond together: 1,000 steps take 800 ms, give or take the last of the slow one.
  CHECK(std::chrono::duration<double, std::milli>(cluster.elapsed()).count() == Approx(800).epsilon(0.05));
}

TEST_CASE("training takes no longer when the link to the peer can hardly carry anything", "[replica][exchange]") {
  // When the last batch was made: what follows is only the wait for the last deltas.
  const auto time_of = [](double bytes_per_second) {
    testing::Cluster cluster{{.nodes = 2, .seed = 5, .bytes_per_second = bytes_per_second}};
    Duration last{};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("net", make_net, {.loss = mean_squared_error});
      pipeline.source(SharedPoints{8'000})
          .batch(20)
          .model(net,
                 [&](std::span<const Point> points) {
                   last = std::max(last, cluster.elapsed());
                   return collate(points);
                 })
          .train();
    });
    return std::chrono::duration<double>(last).count();
  };
  // A delta of 65 floats is over 300 bytes: at 2 kB/s a link carries one in 150 steps.
  CHECK(time_of(2e3) <= time_of(0) * 1.05);
}

TEST_CASE("one replica alone sends nothing", "[replica][exchange]") {
  testing::Cluster cluster{{.nodes = 1}};
  cluster.run([&](Pipeline& pipeline) {
    auto net = pipeline.model("net", make_net, {.loss = mean_squared_error});
    pipeline.source(points(100)).batch(10).model(net).train();
  });
  CHECK(cluster.bytes_sent() == 0);
}

TEST_CASE("predictions come back one a record, in order, and are the model's own", "[predict]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    torch::manual_seed(topology.seed);  // as the pipeline does before it makes the module
    auto reference = make_net();
    std::vector<Prediction<Point>> predictions;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("net", make_net, {.loss = mean_squared_error});
      pipeline.source(points(500)).model(net).predict({.max_batch = 32}).sink([&](const Prediction<Point>& p) {
        predictions.push_back(p);
      });
    });
    REQUIRE(predictions.size() == 500);
    const torch::NoGradGuard no_grad;
    for (int i = 0; i < 500; ++i) {
      const auto& p = predictions[static_cast<std::size_t>(i)];
      CHECK(p.record.y == point(i).y);
      CHECK(p.version == 0);
      const std::array one{p.record};
      const auto expected = reference->forward(collate(one).first).item<float>();
      CHECK(p.output.item<float>() == Approx(expected).margin(1e-5));
    }
  }
}

TEST_CASE("batches are predicted as batches", "[predict]") {
  for (const auto& topology : topologies()) {
    std::size_t rows = 0, batches = 0;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("net", make_net, {.loss = mean_squared_error});
      pipeline.source(points(50)).batch(20).model(net).predict().sink([&](const Prediction<Batch<Point>>& p) {
        ++batches;
        rows += static_cast<std::size_t>(p.output.size(0));
        CHECK(p.record.size() == static_cast<std::size_t>(p.output.size(0)));
      });
    });
    CHECK(batches == 3);
    CHECK(rows == 50);
  }
}

TEST_CASE("a lone record is predicted at its deadline, not when others come", "[predict]") {
  testing::Cluster cluster{{.nodes = 1}};
  Duration answered{};
  cluster.run([&](Pipeline& pipeline) {
    auto net = pipeline.model("net", make_net, {.loss = mean_squared_error});
    // One record, and then for 50 turns of the source (1 ms each) another one that the filter drops: the stream does
    // not end.
    pipeline
        .source([n = 0]() mutable -> std::optional<int> { return n < 50 * 4096 ? std::optional(n++) : std::nullopt; })
        .filter([](int n) { return n == 0; })
        .map(point)
        .model(net)
        .predict({.max_batch = 64, .max_delay = std::chrono::milliseconds{2}})
        .sink([&](const Prediction<Point>&) { answered = cluster.elapsed(); });
  });
  CHECK(answered > Duration{});
  CHECK(answered < std::chrono::milliseconds{10});
  CHECK(cluster.elapsed() > std::chrono::milliseconds{20});
}

TEST_CASE("evaluate scores a batch before it trains on it", "[evaluate]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    Collected<Evaluation> collected;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("linear", make_linear, {.loss = mean_squared_error, .optimizer = sgd({.lr = 0.1})});
      auto here = pipeline.source(points(20'000)).batch(20).model(net).evaluate().collect();
      if (pipeline.options().rank == 0) collected = here;
    });
    REQUIRE(collected.size() == 1'000);
    std::uint64_t examples = 0, first_version = 1'000;
    double early = 0, late = 0;
    for (const auto& one : collected) {
      examples += one.score.examples;
      first_version = std::min(first_version, one.version);
      if (one.version < 20) early += one.score.loss / 20;
      if (one.version >= 900) late = std::max(late, one.score.loss);
    }
    CHECK(examples == 20'000);
    CHECK(first_version == 0);  // nothing had been trained on
    CHECK(early > 1);
    CHECK(late < 0.05);
  }
}

TEST_CASE("train tells the accuracy on a batch that it has not yet trained on", "[replica]") {
  // Labels alternate, one a batch, and each step goes so far that the model then says the label it has just seen:
  // before it has trained on the next one it is always wrong, after that it would always be right.
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < 100; ++i) labels.push_back(i % 2);
  Pipeline pipeline;
  auto net = pipeline.model("last", [] { return torch::nn::Linear(1, 2); }, {.optimizer = sgd({.lr = 10})});
  auto steps = pipeline.source(labels)
                   .batch(1)
                   .model(net,
                          [](std::span<const std::int64_t> batch) {
                            return std::pair{torch::ones({1, 1}), torch::full({1}, batch[0], torch::kInt64)};
                          })
                   .train()
                   .collect();
  pipeline.execute();
  REQUIRE(steps.size() == 100);
  for (const auto& step : steps) {
    CHECK(step.score.examples == 1);
    CHECK((step.step == 1 || step.score.correct == 0));
  }
}

TEST_CASE("a model's results are a stream like any other: mapped, filtered, used twice", "[replica]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    Collected<std::uint64_t> examples;
    Collected<TrainStep> odd;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("linear", make_linear, {.loss = mean_squared_error});
      auto steps = pipeline.source(SharedPoints{2'000}).batch(20).model(net).train();
      auto examples_here = steps.map([](const TrainStep& step) { return step.score.examples; }).collect();
      auto odd_here = steps.filter([](const TrainStep& step) { return step.step % 2 == 1; }).collect();
      if (pipeline.options().rank != 0) return;
      examples = examples_here;
      odd = odd_here;
    });
    std::uint64_t sum = 0;
    for (const auto n : examples) sum += n;
    CHECK(sum == 2'000);
    // Each replica counts its steps from 1, so it has as many odd ones as even ones, or one more.
    const auto twice = 2 * odd.size();
    CHECK(twice >= examples.size());
    CHECK(twice <= examples.size() + static_cast<std::size_t>(topology.nodes));
    for (const auto& step : odd) CHECK(step.step % 2 == 1);
  }
}

TEST_CASE("validation scores the held-out records every so many examples and at the end", "[validate]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    Collected<Validation> collected;
    std::vector<ModelHandle> handles;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("linear", make_linear, {.loss = mean_squared_error, .optimizer = sgd({.lr = 0.1})});
      handles.push_back(net);
      pipeline.source(SharedPoints{10'000}).batch(20).model(net).train();
      auto here = pipeline.source(points(300)).batch(100).model(net).validate({.every = 2'500}).collect();
      if (pipeline.options().rank == 0) collected = here;
    });
    REQUIRE(collected.size() >= 2);
    const auto& last = collected.records().back();
    CHECK(last.final);
    CHECK(last.examples_seen == 10'000);
    CHECK(last.score.examples == 300);
    for (std::size_t i = 0; i + 1 < collected.size(); ++i) {
      CHECK_FALSE(collected[i].final);
      CHECK(collected[i].examples_seen >= 2'500 * (i + 1));
    }
    // What the last validation says is what the final parameters give.
    auto* learner = handles.front().runtime()->learners().front();
    const auto held_out = points(300);
    CHECK(last.score.loss == Approx(learner->score(tensair::detail::to_batch(collate(held_out))).loss).margin(1e-6));
  }
}

TEST_CASE("a stream that is trained on and predicted from at once ends", "[replica][predict]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::uint64_t last_version = 0, trained = 0;
    std::size_t predicted = 0;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("net", make_net, {.loss = mean_squared_error});
      auto stream = pipeline.source(points(2'000));
      stream.batch(20).model(net).train().sink([&](const TrainStep& step) { trained += step.score.examples; });
      stream.model(net).predict().sink([&](const Prediction<Point>& p) {
        ++predicted;
        last_version = std::max(last_version, p.version);
      });
    });
    CHECK(trained == 2'000);
    CHECK(predicted == 2'000);
    CHECK(last_version <= 100);
  }
}

TEST_CASE("what a model cannot take stops the run and names step, batch, replica and node", "[replica][error]") {
  const auto error_of = [](auto collate_badly, OptimizerFactory optimizer, ScheduleFactory rates = {}) -> std::string {
    try {
      testing::Cluster cluster{{.nodes = 2}};
      cluster.run([&](Pipeline& pipeline) {
        auto net = pipeline.model(
            "net", make_net, {.loss = mean_squared_error, .optimizer = optimizer, .replicas = 1, .schedule = rates});
        pipeline.source(points(2'000)).batch(20).model(net, collate_badly).train();
      });
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing";
  };
  using Catch::Matchers::ContainsSubstring;
  int batches = 0;
  const auto third = [&batches](auto spoil) {
    return [&batches, spoil](std::span<const Point> points) {
      auto batch = collate(points);
      if (++batches == 3) spoil(batch);
      return batch;
    };
  };
  batches = 0;
  CHECK_THAT(error_of(third([](auto& batch) {
                        batch.first = torch::zeros({20, 2});
                      }),
                      adam()),
             ContainsSubstring("model «net» cannot take a batch:") &&
                 ContainsSubstring("replica 0 on node 0, step 3, batch 3 of node 0"));
  batches = 0;
  CHECK_THAT(
      error_of(third([](auto& batch) { batch.first.fill_(NAN); }), adam()),
      ContainsSubstring("model «net» has a loss that is not finite") && ContainsSubstring("step 3, batch 3 of node 0"));
  const auto as_they_are = [](std::span<const Point> points) { return collate(points); };
  CHECK_THAT(error_of(as_they_are, sgd({.lr = 1e30})), ContainsSubstring("not finite"));
  // Loss and gradient are numbers, and the step is beyond all: the targets see to a gradient over 1.
  batches = 0;
  const auto leap = schedule([](const TrainingProgress& at) { return at.steps == 2 ? 3e38 : 1e-9; });
  CHECK(error_of(third([](auto& batch) { batch.second.fill_(1e6F); }), sgd({.lr = 1}), leap) ==
        "model «net» has parameters that are not finite (replica 0 on node 0, step 3, batch 3 of node 0). Lower the "
        "learning rate, or look for NaN in the gradient.");
}

TEST_CASE("a model that no stream uses, and a number of replicas that cannot be, are refused", "[replica][error]") {
  using Catch::Matchers::ContainsSubstring;
  CHECK_THROWS_WITH(test::run({},
                              [](Pipeline& pipeline) {
                                pipeline.model("idle", make_net);
                                pipeline.source(points(3)).sink([](const Point&) {});
                              }),
                    ContainsSubstring("model «idle» is never used"));
  CHECK_THROWS_WITH(test::run({}, [](Pipeline& pipeline) { pipeline.model("net", make_net, {.replicas = -1}); }),
                    ContainsSubstring("-1 replicas"));
}
