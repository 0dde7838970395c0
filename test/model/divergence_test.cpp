#include <cmath>
#include <random>
#include <tensair/model/divergence.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/exchange_nodes.hpp"
#include "support/regression.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

auto random_values(std::mt19937& random, std::size_t count, float spread) -> std::vector<float> {
  std::normal_distribution<float> normal{0, spread};
  std::vector<float> values(count);
  for (auto& value : values) value = normal(random);
  return values;
}

// Of the parameters themselves, as the docs define it.
auto exactly(const std::vector<std::vector<float>>& replicas) -> double {
  const auto n = static_cast<double>(replicas.size());
  double squares = 0, length = 0;
  for (std::size_t i = 0; i < replicas.front().size(); ++i) {
    double mean = 0;
    for (const auto& one : replicas) mean += one[i] / n;
    length += mean * mean;
    for (const auto& one : replicas) squares += (one[i] - mean) * (one[i] - mean) / n;
  }
  return std::sqrt(squares / length);
}

}  // namespace

TEST_CASE("sketches tell how far replicas are apart, to a tenth", "[divergence]") {
  std::mt19937 random{5};
  for (const std::size_t count : {300, 5'000, 200'000}) {
    for (const float spread : {1e-3F, 0.1F, 2.F}) {
      for (const bool structured : {false, true}) {
        INFO(count << " parameters, spread " << spread << (structured ? ", every 64th" : ""));
        const auto common = random_values(random, count, 1);
        std::vector<std::vector<float>> replicas;
        std::vector<std::vector<float>> sketches;
        for (int r = 0; r < 5; ++r) {
          auto one = common;
          const auto own = random_values(random, count, spread);
          for (std::size_t i = 0; i < count; ++i) {
            if (!structured || i % 64 == 7) one[i] += own[i];
          }
          sketches.push_back(sketch_of(one));
          replicas.push_back(std::move(one));
        }
        CHECK(sketches.front().size() == sketch_size);
        CHECK(divergence_of(sketches) == Approx(exactly(replicas)).epsilon(0.15));
      }
    }
  }
  const auto same = sketch_of(random_values(random, 1'000, 1));
  CHECK(divergence_of(std::vector<std::vector<float>>{same, same, same}) == 0);
  CHECK(divergence_of(std::vector<std::vector<float>>{same}) == 0);
  CHECK(divergence_of({}) == 0);
}

TEST_CASE("a divergence is measured when all replicas have reached a mark", "[divergence]") {
  DivergenceMeter meter{2};
  const std::vector<float> one(sketch_size, 1), other(sketch_size, 3);
  CHECK_FALSE(meter.add({0, 1, one}));
  CHECK_FALSE(meter.add({0, 2, one}));
  CHECK_FALSE(meter.add({0, 3, one}));
  CHECK(meter.add({1, 1, other}).value() == Approx(0.5));  // both are 1 from the mean, which is 2
  CHECK(meter.add({1, 3, one}).value() == 0);              // it has skipped mark 2
  CHECK_FALSE(meter.add({0, 4, one}));
  CHECK(meter.last() == 0);
  CHECK(meter.largest() == Approx(0.5));
  CHECK(meter.measured() == 2);
  DivergenceMeter alone{1};
  CHECK_FALSE(alone.add({0, 1, one}));
}

TEST_CASE("sketches reach every node, over a mesh and over a tree", "[divergence][overlay]") {
  for (const auto shape : {overlay::mesh, overlay::tree}) {
    std::vector<net::Rank> members;
    for (int i = 0; i < 9; ++i) members.push_back(i);
    ExchangeNodes nodes{9, shape, 3, members};
    for (int i = 0; i < 9; ++i)
      nodes.exchange(i).tell({static_cast<std::uint32_t>(i), 1, std::vector<float>(sketch_size, i < 3 ? 4.F : 1.F)});
    while (nodes.wires().move_one()) continue;
    for (int i = 0; i < 9; ++i) {
      // The mean is 2; three are 2 from it and six 1: √((3 · 4 + 6 · 1) / 9) / 2.
      CHECK(nodes.exchange(i).divergence().last == Approx(std::sqrt(2.0) / 2));
      CHECK(nodes.exchange(i).divergence().measured == 1);
    }
  }
}

TEST_CASE("replicas that exchange updates stay close, those that each apply gradients with Adam do not",
          "[divergence]") {
  const auto largest = [](enum exchange currency) {
    std::vector<ModelHandle> handles;
    testing::Cluster cluster{{.nodes = 4, .seed = 3}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("net", make_net,
                                {.loss = mean_squared_error,
                                 .optimizer = adam({.lr = 1e-2}),
                                 .exchange = currency,
                                 .measure_divergence = 100});
      handles.push_back(net);
      pipeline.source(SharedPoints{40'000}).batch(20).model(net).train();
    });
    double found = 0;
    for (const auto& handle : handles) {
      const auto figures = handle.runtime()->figures();
      CHECK(figures.divergences >= 5);
      found = std::max(found, figures.divergence);
    }
    return found;
  };
  const double updates = largest(exchange::updates), gradients = largest(exchange::gradients);
  CHECK(updates < 0.1);
  CHECK(gradients > updates);
}
