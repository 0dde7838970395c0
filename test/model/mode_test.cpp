#include <atomic>
#include <map>
#include <tensair/error.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/model/line.hpp"
#include "support/on_schedule.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

constexpr double rate = 1.0 / 1024;

/// A source on every node that gives what `f(n)` returns for its n-th record.
template <class F>
class OnEveryNode {
 public:
  using value_type = typename std::invoke_result_t<F&, int>::value_type;
  explicit OnEveryNode(F f) : f_(std::move(f)) {}
  void split(int, int) {}
  auto next() { return f_(n_++); }

 private:
  F f_;
  int n_ = 0;
};

/// Every step adds `rate` to -bias, whatever the parameters: the bias counts steps.
auto counting(ModelOptions options = {}) -> ModelOptions {
  options.loss = [](const at::Tensor& output, const at::Tensor&) { return output.mean(); };
  options.optimizer = sgd({.lr = rate});
  return options;
}

auto start_of_bias(std::uint64_t seed) -> double {
  torch::manual_seed(seed);
  return make_line()->bias.item<double>();
}

/// Batches whose loss is what the record says, whatever the model: the output's mean without its value, plus that.
struct Told {
  float loss = 0;
};
auto collate(std::span<const Told> some) -> std::pair<at::Tensor, at::Tensor> {
  return {torch::zeros({static_cast<std::int64_t>(some.size()), 1}), torch::full({1}, some.front().loss)};
}
auto told_loss(const at::Tensor& output, const at::Tensor& target) -> at::Tensor {
  return (output - output.detach()).mean() + target.mean();
}

}  // namespace

TEST_CASE("a model that is never to learn takes its batches, keeps its parameters and answers", "[mode]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::vector<ModelHandle> handles;
    Collected<TrainStep> steps;
    std::size_t predicted = 0;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, counting());
      net.mode(Mode::never);
      handles.push_back(net);
      auto here = pipeline.source(SharedSpots{2'000}).batch(20).model(net).train().collect();
      if (pipeline.options().rank == 0) steps = here;
      pipeline.source(spots(100)).model(net).predict().sink([&](const Prediction<Spot>& one) {
        ++predicted;
        CHECK(one.version == 0);
      });
    });
    CHECK(steps.size() == 0);
    CHECK(predicted == 100);
    for (const auto& handle : handles) {
      for (auto* learner : handle.runtime()->learners())
        CHECK(learner->parameters()[1] == Approx(start_of_bias(topology.seed)));
    }
  }
}

TEST_CASE("evaluate scores in every mode", "[mode]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    Collected<Evaluation> evaluations;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, {.loss = mean_squared_error, .mode = Mode::never});
      auto here = pipeline.source(SharedSpots{2'000}).batch(20).model(net).evaluate().collect();
      if (pipeline.options().rank == 0) evaluations = here;
    });
    std::uint64_t examples = 0;
    for (const auto& one : evaluations) {
      examples += one.score.examples;
      CHECK(one.version == 0);
      CHECK(one.score.loss > 0);
    }
    CHECK(examples == 2'000);
  }
}

TEST_CASE("a control stream switches all replicas, wherever it is", "[mode]") {
  for (const int nodes : {1, 2, 5}) {
    for (const std::uint64_t seed : {1, 2, 3}) {
      INFO(nodes << " nodes, seed " << seed);
      Collected<ModeChange> changes;
      std::vector<ModelHandle> handles;
      testing::Cluster cluster{{.nodes = nodes, .seed = seed}};
      cluster.run([&](Pipeline& pipeline) {
        auto net = pipeline.model("line", make_line, counting({.replicas = 2 * nodes, .mode = Mode::never}));
        handles.push_back(net);
        pipeline.source(SharedSpots{nodes * 20'000}).batch(20).model(net).train();
        net.control(pipeline.source(OnSchedule<Mode>({{50ms, Mode::always}, {200ms, Mode::never}})));
        auto here = net.mode_changes().collect();
        if (pipeline.options().rank == 0) changes = here;
      });
      std::map<int, std::vector<ModeChange>> by_replica;
      for (const auto& one : changes) by_replica[one.replica].push_back(one);
      REQUIRE(by_replica.size() == static_cast<std::size_t>(2 * nodes));
      std::uint64_t steps = 0;
      for (const auto& [replica, both] : by_replica) {
        REQUIRE(both.size() == 2);
        CHECK(both[0].training);
        CHECK(both[0].step == 0);
        CHECK(both[1].mode == Mode::never);
        CHECK_FALSE(both[1].training);
        CHECK(both[1].step > 50);
        for (const auto& one : both) {
          CHECK(one.cause == Cause::command);
          CHECK(one.by == 0);  // the node of the control stream
        }
        // The same decision at all replicas.
        CHECK(both[0].number == by_replica[0][0].number);
        CHECK(both[1].number == by_replica[0][1].number);
        steps += both[1].step;
      }
      // Nobody learnt more: the bias says how many steps there were.
      for (const auto& handle : handles) {
        CHECK(handle.mode() == Mode::never);
        for (auto* learner : handle.runtime()->learners())
          CHECK(learner->parameters()[1] ==
                Approx(start_of_bias(seed) - static_cast<double>(steps) * rate).margin(rate / 3));
      }
    }
  }
}

TEST_CASE("a model's mode is switched through its handle from another thread, on all nodes", "[mode]") {
  for (const int nodes : {1, 2, 5}) {
    INFO(nodes << " nodes over TCP");
    std::vector<ModelHandle> handles;
    Collected<ModeChange> changes;
    std::atomic<int> trained = 0, resting = 0;
    run_tcp(nodes, [&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, counting());
      handles.push_back(net);
      // Each node's source goes on until every replica has stopped training.
      pipeline
          .source(OnEveryNode([&, nodes](int n) { return resting < nodes ? std::optional(spot(n)) : std::nullopt; }))
          .batch(1)
          .model(net)
          .train()
          .sink([&](const TrainStep&) {
            if (++trained == 10) handles.back().mode(Mode::never);
          });
      net.mode_changes().sink([&](const ModeChange& one) {
        CHECK(one.mode == Mode::never);
        CHECK(one.by == nodes - 1);
        ++resting;
      });
    });
    CHECK(resting == nodes);
  }
}

TEST_CASE("of two commands at the same time the same one wins on all nodes", "[mode]") {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
    std::vector<ModelHandle> handles;
    testing::Cluster cluster{{.nodes = 5, .seed = seed, .delay = 20ms}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, counting());
      handles.push_back(net);
      pipeline.source(SharedSpots{100'000}).batch(20).model(net).train();
      net.control(pipeline.source(OnSchedule<Mode>({{30ms, Mode::never}})).on(1));
      net.control(pipeline.source(OnSchedule<Mode>({{30ms, Mode::automatic}})).on(3));
    });
    // Both have number 1, and node 3 is the higher one.
    for (const auto& handle : handles) CHECK(handle.mode() == Mode::automatic);
  }
}

TEST_CASE("automatic training stops when all have converged, watches, and starts again when the loss rises", "[mode]") {
  // The loss falls for 100 batches of each node, rests at 0.1, rises to 1 at batch 400, and rests again.
  const auto loss_of = [](int batch) {
    if (batch < 100) return 1.1F - 0.01F * static_cast<float>(batch);
    return batch < 400 ? 0.1F : 1.0F;
  };
  for (const int nodes : {1, 2, 5}) {
    for (const bool detector : {false, true}) {
      INFO(nodes << " nodes" << (detector ? ", with a detector" : ""));
      Collected<ModeChange> changes;
      Collected<TrainStep> steps;
      testing::Cluster cluster{{.nodes = nodes, .seed = 7}};
      cluster.run([&](Pipeline& pipeline) {
        Convergence rule{.window = 10, .windows = 3, .factor = 1.01, .rise = 2};
        // Begins anew each time training stops: what it sees first is what the loss was.
        if (detector) {
          rule.drift = [first = -1.0](double loss) mutable {
            if (first < 0) first = loss;
            return loss > first + 0.5;
          };
        }
        auto net = pipeline.model("line", make_line, {.loss = told_loss, .mode = Mode::automatic, .convergence = rule});
        auto trained = pipeline
                           .source(OnEveryNode([&](int batch) {
                             return batch < 600 ? std::optional(Told{loss_of(batch)}) : std::nullopt;
                           }))
                           .batch(1)
                           .model(net)
                           .train()
                           .collect();
        auto here = net.mode_changes().collect();
        if (pipeline.options().rank != 0) return;
        changes = here;
        steps = trained;
      });
      std::map<int, std::vector<ModeChange>> by_replica;
      for (const auto& one : changes) by_replica[one.replica].push_back(one);
      REQUIRE(by_replica.size() == static_cast<std::size_t>(nodes));
      for (const auto& [replica, all] : by_replica) {
        REQUIRE(all.size() == 3);
        CHECK(all[0].cause == Cause::converged);
        CHECK_FALSE(all[0].training);
        CHECK(all[1].cause == Cause::drift);
        CHECK(all[1].training);
        CHECK(all[2].cause == Cause::converged);
        CHECK_FALSE(all[2].training);
        for (const auto& one : all) CHECK(one.mode == Mode::automatic);
        // Windows 11, 12 and 13 are the first without the fall in front of the latest: 13 or 14 windows of 10, on one
        // node exactly, and on several as far as their speeds differ.
        if (nodes == 1) CHECK(all[0].step == 140);
        CHECK(all[0].step >= 100);
        CHECK(all[0].step < 300);
        CHECK(all[1].step == all[0].step);  // no step while it watched
        CHECK(all[2].step > all[1].step);
        for (std::size_t i = 0; i < 3; ++i) CHECK(all[i].number == by_replica[0][i].number);
      }
      std::uint64_t trained = 0;
      for (const auto& [replica, all] : by_replica) trained += all[2].step;
      CHECK(steps.size() == trained);
    }
  }
}

TEST_CASE("a mode is refused where the model has no replica, and so is a rule that cannot be", "[mode][error]") {
  using Catch::Matchers::ContainsSubstring;
  testing::Cluster cluster{{.nodes = 2}};
  std::string refused;
  cluster.run([&](Pipeline& pipeline) {
    auto net = pipeline.model("line", make_line, {.loss = mean_squared_error, .on = net::Rank{0}});
    pipeline.source(spots(100)).batch(10).model(net).train();
    pipeline.source(spots(1)).on(1).sink([&, net, rank = pipeline.options().rank](const Spot&) {
      if (rank != 1) return;
      try {
        net.mode(Mode::never);
      } catch (const UsageError& error) {
        refused = error.what();
      }
    });
  });
  CHECK_THAT(refused, ContainsSubstring("node 1") && ContainsSubstring("net.control(stream)"));
  CHECK_THROWS_WITH(
      test::run({}, [](Pipeline& pipeline) { pipeline.model("line", make_line, {.convergence = {.window = 0}}); }),
      ContainsSubstring("5 windows of 0 batches"));
}
