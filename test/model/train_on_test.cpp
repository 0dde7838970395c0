#include <torch/torch.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tensair/error.hpp>
#include <tensair/model/keyed_model_stream.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/model/line.hpp"
#include "support/on_schedule.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

struct Answer {
  int number = 0;
  float y = 0;
};

auto answers(int n) -> std::vector<Answer> {
  std::vector<Answer> all;
  for (int i = 0; i < n; ++i) all.push_back({i, spot(i).y()});
  return all;
}

/// All at one time.
template <class T>
auto all_at(std::chrono::milliseconds when, const std::vector<T>& records) -> OnSchedule<T> {
  std::vector<std::pair<std::chrono::milliseconds, T>> all;
  for (const auto& one : records) all.emplace_back(when, one);
  return OnSchedule<T>(std::move(all));
}

}  // namespace

TEST_CASE("labels that come later train the model, each record once", "[train_on]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::vector<ModelHandle> handles;
    std::vector<int> predicted;
    Collected<Evaluation> evaluations;
    test::run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, {.loss = mean_squared_error, .optimizer = sgd({.lr = 0.1})});
      handles.push_back(net);
      auto [predictions, evaluated] =
          pipeline.source(SharedSpots{8'000})
              .key_by(&Spot::number)
              .model(net)
              .train_on(pipeline.source(answers(8'000)).key_by(&Answer::number), &Answer::y, {.batch = {.size = 20}});
      predictions.sink([&](const Prediction<Spot>& one) { predicted.push_back(one.record.number); });
      auto here = evaluated.collect();
      if (pipeline.options().rank == 0) evaluations = here;
    });
    std::sort(predicted.begin(), predicted.end());
    CHECK(predicted.size() == 8'000);
    CHECK(std::adjacent_find(predicted.begin(), predicted.end()) == predicted.end());
    std::uint64_t examples = 0;
    for (const auto& one : evaluations) examples += one.score.examples;
    CHECK(examples == 8'000);
    for (const auto& handle : handles) {
      for (auto* learner : handle.runtime()->learners()) {
        CHECK(learner->parameters()[0] == Approx(2).margin(0.05));
        CHECK(learner->parameters()[1] == Approx(1).margin(0.05));
      }
    }
  }
}

TEST_CASE("a record is scored as it was predicted when it came, whatever was learnt until its label came",
          "[train_on]") {
  for (const int nodes : {1, 2, 5}) {
    INFO(nodes << " nodes");
    Collected<Evaluation> evaluations;
    Collected<TrainStep> steps;
    testing::Cluster cluster{{.nodes = nodes, .seed = 2}};
    torch::manual_seed(2);
    auto reference = make_line();
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, {.loss = mean_squared_error, .optimizer = sgd({.lr = 0.1})});
      // It learns elsewhere from 100 ms on.
      auto trained = pipeline.source(all_at(100ms, spots(2'000))).batch(20).model(net).train().collect();
      auto [predictions, evaluated] =
          pipeline.source(all_at(0ms, spots(100)))
              .key_by(&Spot::number)
              .model(net)
              .train_on(pipeline.source(all_at(1'000ms, answers(100))).key_by(&Answer::number), &Answer::y);
      auto here = evaluated.collect();
      if (pipeline.options().rank != 0) return;
      evaluations = here;
      steps = trained;
    });
    CHECK(steps.size() == 100);
    double loss = 0;
    std::uint64_t examples = 0;
    for (const auto& one : evaluations) {
      CHECK(one.version == 0);
      loss += one.score.loss * static_cast<double>(one.score.examples);
      examples += one.score.examples;
    }
    REQUIRE(examples == 100);
    const auto all = spots(100);
    const auto [x, y] = collate(all);
    CHECK(loss / 100 == Approx(torch::mse_loss(reference->forward(x), y).item<double>()).epsilon(1e-4));
  }
}

TEST_CASE("a prediction is kept for its label as long as it was said, and so is a label for its record", "[train_on]") {
  for (const int nodes : {1, 2, 5}) {
    INFO(nodes << " nodes");
    std::uint64_t learnt = 0;
    testing::Cluster cluster{{.nodes = nodes, .seed = 4}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, {.loss = mean_squared_error});
      const auto early = answers(30), in_time = answers(10);
      std::vector<std::pair<std::chrono::milliseconds, Answer>> labels;
      for (int i = 20; i < 30; ++i) labels.emplace_back(i < 25 ? 300ms : 850ms, early[static_cast<std::size_t>(i)]);
      for (int i = 0; i < 10; ++i) labels.emplace_back(1'300ms, early[static_cast<std::size_t>(i)]);   // 300 ms late
      for (int i = 10; i < 20; ++i) labels.emplace_back(1'700ms, early[static_cast<std::size_t>(i)]);  // 700 ms late
      std::stable_sort(labels.begin(), labels.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
      pipeline.source(all_at(1'000ms, spots(30)))
          .key_by(&Spot::number)
          .model(net)
          .train_on(pipeline.source(OnSchedule<Answer>(std::move(labels))).key_by(&Answer::number), &Answer::y,
                    {.within = 500ms, .batch = {.size = 1}})
          .evaluations.sink([&](const Evaluation& one) { learnt += one.score.examples; });
    });
    // Those whose labels came 300 ms after them, and those whose labels came 150 ms before.
    CHECK(learnt == 15);
  }
}

TEST_CASE("what has waited in vain is counted", "[train_on]") {
  Pipeline pipeline;
  auto net = pipeline.model("line", make_line, {.loss = mean_squared_error});
  std::uint64_t learnt = 0;
  auto both =
      pipeline.source(spots(10))
          .key_by(&Spot::number)
          .model(net)
          .train_on(pipeline.source(std::vector<Answer>{{3, 1}, {4, 1}, {50, 1}}).key_by(&Answer::number), &Answer::y);
  both.evaluations.sink([&](const Evaluation& one) { learnt += one.score.examples; });
  pipeline.execute();
  CHECK(learnt == 2);
  std::map<std::string, int> counts;
  const auto figures = nlohmann::json::parse(pipeline.figures());
  for (const auto& [name, count] : figures.at("counts").items()) {
    if (name.ends_with("records without a label")) counts["records"] += count.get<int>();
    if (name.ends_with("labels without a record")) counts["labels"] += count.get<int>();
  }
  CHECK(counts["records"] == 8);
  CHECK(counts["labels"] == 1);
}

TEST_CASE("of records with one key the first gets the first label, and what comes too often waits", "[train_on]") {
  std::vector<double> losses;
  testing::Cluster cluster{{.nodes = 1}};
  cluster.run([&](Pipeline& pipeline) {
    // Its output is 0, so the loss is the label squared.
    const auto zero = [] {
      auto line = make_line();
      const torch::NoGradGuard no_grad;
      line->weight.zero_();
      line->bias.zero_();
      return line;
    };
    auto net = pipeline.model("line", zero, {.loss = mean_squared_error, .mode = Mode::never});
    pipeline.source(OnSchedule<Spot>({{0ms, Spot{7, 0}}, {10ms, Spot{7, 0}}, {500ms, Spot{7, 0}}}))
        .key_by(&Spot::number)
        .model(net)
        .train_on(
            pipeline.source(OnSchedule<Answer>({{100ms, Answer{7, 1}}, {200ms, Answer{7, 2}}, {300ms, Answer{7, 3}}}))
                .key_by(&Answer::number),
            &Answer::y, {.batch = {.size = 1}})
        .evaluations.sink([&](const Evaluation& one) { losses.push_back(one.score.loss); });
  });
  CHECK(losses == std::vector<double>{1, 4, 9});
}

TEST_CASE("class numbers are labels too", "[train_on]") {
  struct Class {
    int number;
    int of;
  };
  std::uint64_t correct = 0, examples = 0;
  Pipeline pipeline;
  // Says class 1 of all.
  const auto one_of_three = [] {
    auto linear = torch::nn::Linear(1, 3);
    const torch::NoGradGuard no_grad;
    linear->weight.zero_();
    linear->bias.copy_(torch::tensor({0.0F, 1.0F, 0.0F}));
    return linear;
  };
  auto net = pipeline.model("classes", one_of_three, {.loss = cross_entropy, .mode = Mode::never});
  std::vector<Class> classes;
  for (int i = 0; i < 90; ++i) classes.push_back({i, i % 3});
  pipeline.source(spots(90))
      .key_by(&Spot::number)
      .model(net)
      .train_on(pipeline.source(classes).key_by(&Class::number), &Class::of)
      .evaluations.sink([&](const Evaluation& one) {
        correct += one.score.correct;
        examples += one.score.examples;
      });
  pipeline.execute();
  CHECK(examples == 90);
  CHECK(correct == 30);
}
