#include <tensair/model/averaging.hpp>
#include <tensair/model/model.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/exchange_nodes.hpp"
#include "support/regression.hpp"
#include "support/temporary_folder.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;

TEST_CASE("a round of averaging moves each replica by what the mean was above it, and keeps what came later",
          "[averaging]") {
  AveragedValues first, second;
  std::vector<float> a{1, 10}, b{3, 30};
  OpenAverages rounds;
  rounds.add(first.begin(5, a));
  a[0] += 100;  // a step
  const auto& sum = rounds.add(second.begin(5, b));
  CHECK(sum.replicas == 2);
  const std::vector<float> mean{sum.sum[0] / 2, sum.sum[1] / 2};
  first.finish(5, mean, a);
  second.finish(5, mean, b);
  CHECK(a == std::vector<float>{102, 20});
  CHECK(b == std::vector<float>{2, 20});
  CHECK(rounds.take(5).round == 5);
  CHECK_FALSE(rounds.take_first());
}

TEST_CASE("every node gets the mean of each round, in whatever order messages move", "[averaging][overlay]") {
  for (const auto shape : {overlay::mesh, overlay::tree}) {
    for (const int n : {2, 5, 17}) {
      for (const std::uint64_t seed : {1, 2, 3}) {
        std::vector<net::Rank> members;
        for (int i = 0; i < n; ++i) members.push_back(i);
        ExchangeNodes nodes{n, shape, seed, members};
        std::mt19937_64 random{seed};
        for (std::uint64_t round = 1; round <= 4; ++round) {
          for (int i = 0; i < n; ++i) {
            const auto value = static_cast<float>(i) * static_cast<float>(round);
            nodes.exchange(i).average({round, 1, std::vector<float>(parameters, value)});
            for (auto moves = random() % 8; moves > 0; --moves) nodes.wires().move_one();
          }
        }
        while (nodes.wires().move_one()) continue;
        for (int i = 0; i < n; ++i) {
          std::set<std::uint64_t> rounds;
          for (const auto& mean : nodes.exchange(i).means(i)) {
            CHECK(rounds.insert(mean.round).second);
            CHECK(mean.values->back() == Approx(static_cast<double>(n - 1) / 2 * static_cast<double>(mean.round)));
          }
          CHECK(rounds.size() == 4);
        }
      }
    }
  }
}

TEST_CASE("replicas that exchange gradients end with the same parameters, whatever the optimiser", "[averaging]") {
  for (const auto& averaging : {AveragingOptions{}, AveragingOptions{.every = 20}, AveragingOptions{.every = 0},
                                AveragingOptions{.every = 0, .above = 1e-4}}) {
    for (const auto& topology : topologies()) {
      INFO(topology.name() << ", every " << averaging.every << ", above " << averaging.above);
      const auto outcome = train(on(topology), topology.nodes, 2,
                                 {.optimizer = adam({.lr = 1e-2}),
                                  .exchange = exchange::gradients,
                                  .averaging = averaging,
                                  .measure_divergence = 30},
                                 2'000);
      CHECK(outcome.examples() == 2'000);
      CHECK(outcome.largest_difference() <= 1e-5F);
    }
  }
}

TEST_CASE("averaging keeps replicas closer together while they train, by steps or by their divergence", "[averaging]") {
  const auto divergence = [](AveragingOptions averaging) {
    std::vector<ModelHandle> handles;
    testing::Cluster cluster{{.nodes = 4, .seed = 3}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("net", make_net,
                                {.loss = mean_squared_error,
                                 .optimizer = adam({.lr = 1e-2}),
                                 .exchange = exchange::gradients,
                                 .averaging = averaging,
                                 .measure_divergence = 100});
      handles.push_back(net);
      pipeline.source(SharedPoints{40'000}).batch(20).model(net).train();
    });
    return handles.front().runtime()->figures().divergence;
  };
  const double without = divergence({.every = 0});
  CHECK(divergence({.every = 50}) < 0.7 * without);
  CHECK(divergence({.every = 0, .above = without / 4}) < 0.7 * without);
}

TEST_CASE("a run that goes on from a checkpoint begins no rounds for the steps before", "[averaging][checkpoint]") {
  const TemporaryFolder folder;
  const auto bytes_of = [&](int points) {
    testing::Cluster cluster{{.nodes = 2, .seed = 3}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("net", make_net,
                                {.loss = mean_squared_error,
                                 .exchange = exchange::gradients,
                                 .averaging = {.every = 1},
                                 .checkpoint = {.file = folder.path() / "net.ckpt", .resume = true}});
      pipeline.source(SharedPoints{points}).batch(20).model(net).train();
    });
    return cluster.bytes_sent();
  };
  const auto before = bytes_of(4'000);  // 200 steps, and as many rounds
  CHECK(bytes_of(40) < before / 10);
}
