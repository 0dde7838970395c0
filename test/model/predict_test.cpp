#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <map>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/model/line.hpp"
#include "support/on_schedule.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

TEST_CASE("what a replica answers never comes from fewer steps than what it answered before", "[predict]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::map<int, std::vector<std::uint64_t>> versions;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, {.loss = mean_squared_error, .replicas = 2 * topology.nodes});
      auto spots_here = pipeline.source(spots(10'000));
      spots_here.batch(10).model(net).train();
      spots_here.model(net).predict({.max_batch = 8}).sink([&](const Prediction<Spot>& one) {
        versions[one.replica].push_back(one.version);
      });
    });
    std::uint64_t greatest = 0;
    for (const auto& [replica, all] : versions) {
      CHECK(std::is_sorted(all.begin(), all.end()));
      greatest = std::max(greatest, all.back());
    }
    CHECK(greatest > 100);  // it learnt meanwhile
  }
}

TEST_CASE("requests hold as many records as there are, and never more than asked for", "[predict]") {
  std::vector<std::size_t> sizes;
  testing::Cluster cluster{{.nodes = 1}};
  cluster.run([&](Pipeline& pipeline) {
    auto net = pipeline.model("line", make_line);
    pipeline.source(spots(1'000))
        .model(net,
               [&](std::span<const Spot> some) {
                 sizes.push_back(some.size());
                 return collate(some);
               })
        .predict({.max_batch = 48})
        .sink([](const Prediction<Spot>&) {});
  });
  std::size_t all = 0;
  for (const auto size : sizes) {
    CHECK(size <= 48);
    all += size;
  }
  CHECK(all == 1'000);
  CHECK(sizes.size() == 21);  // 20 full ones, and 40 records
}

TEST_CASE("records that come within the delay are asked about together, at its end", "[predict]") {
  CHECK(PredictOptions{}.max_delay <= 2ms);
  std::vector<std::pair<Duration, std::size_t>> asked;
  testing::Cluster cluster{{.nodes = 1}};
  cluster.run([&](Pipeline& pipeline) {
    auto net = pipeline.model("line", make_line);
    pipeline
        .source(
            OnSchedule<Spot>({{0ms, spot(0)}, {10ms, spot(1)}, {20ms, spot(2)}, {200ms, spot(3)}, {300ms, spot(4)}}))
        .model(net,
               [&](std::span<const Spot> some) {
                 asked.emplace_back(cluster.elapsed(), some.size());
                 return collate(some);
               })
        .predict({.max_batch = 64, .max_delay = 50ms})
        .sink([](const Prediction<Spot>&) {});
  });
  REQUIRE(asked.size() == 3);
  CHECK(asked[0].second == 3);
  CHECK(asked[1].second == 1);
  CHECK(asked[1].first - asked[0].first >= 199ms);  // the deadlines of the records at 0 and 200 ms
  CHECK(asked[1].first - asked[0].first < 210ms);
  CHECK(asked[2].second == 1);  // the end of the stream: nobody else can come
}

TEST_CASE("one model learns from and answers any number of streams", "[predict][train]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::uint64_t trained = 0, evaluated = 0;
    std::array<std::size_t, 3> predicted{};
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, {.loss = mean_squared_error});
      for (int i = 0; i < 3; ++i) {
        pipeline.source(SharedSpots{600}).batch(20).model(net).train().sink([&](const TrainStep& step) {
          trained += step.score.examples;
        });
      }
      pipeline.source(SharedSpots{600}).batch(30).model(net).evaluate().sink([&](const Evaluation& one) {
        evaluated += one.score.examples;
      });
      for (std::size_t i = 0; i < predicted.size(); ++i) {
        pipeline.source(spots(100 * (static_cast<int>(i) + 1))).model(net).predict().sink([&, i](const auto&) {
          ++predicted[i];
        });
      }
    });
    CHECK(trained == 1'800);
    CHECK(evaluated == 600);
    CHECK(predicted == std::array<std::size_t, 3>{100, 200, 300});
  }
}

TEST_CASE("what one model predicts trains another", "[predict][train]") {
  const auto from_nothing = [] {
    auto line = make_line();
    const torch::NoGradGuard no_grad;
    line->weight.zero_();
    line->bias.zero_();
    return line;
  };
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::vector<ModelHandle> teachers, students;
    test::run(topology, [&](Pipeline& pipeline) {
      auto teacher = pipeline.model("teacher", make_line);
      auto student =
          pipeline.model("student", from_nothing, {.loss = mean_squared_error, .optimizer = sgd({.lr = 0.05})});
      teachers.push_back(teacher);
      students.push_back(student);
      pipeline.source(SharedSpots{40'000})
          .model(teacher)
          .predict()
          .map([](const Prediction<Spot>& one) {
            return Example{torch::full({1}, one.record.x), one.output};
          })
          .batch(20)
          .model(student)
          .train();
    });
    const auto taught = teachers[0].runtime()->learners().front()->parameters();
    for (const auto& student : students) {
      const auto learnt = student.runtime()->learners().front()->parameters();
      CHECK(learnt[0] == Approx(taught[0]).margin(0.01));
      CHECK(learnt[1] == Approx(taught[1]).margin(0.01));
    }
  }
}
