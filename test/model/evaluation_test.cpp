#include <torch/torch.h>

#include <cmath>
#include <map>
#include <string>
#include <tensair/metrics.hpp>
#include <tensair/tensair.hpp>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::metrics;
using namespace tensair::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Two classes that a line parts: class 1 where x > 0.
struct Sided {
  float x = 0;
  std::int64_t label = 0;
};

auto collate(std::span<const Sided> points) -> std::pair<at::Tensor, at::Tensor> {
  std::vector<float> inputs;
  std::vector<std::int64_t> labels;
  for (const auto& one : points) {
    inputs.push_back(one.x);
    labels.push_back(one.label);
  }
  return {torch::tensor(inputs).unsqueeze(1), torch::tensor(labels)};
}

auto sided(int i) -> Sided {
  const float x = static_cast<float>((i * 37) % 101) / 50 - 0.99F;  // never 0
  return {x, x > 0 ? 1 : 0};
}

/// A model that says class 1 for x > 0 from the beginning, with logits (0, x), and learns next to nothing.
auto make_knowing() -> torch::nn::Linear {
  torch::nn::Linear line(1, 2);
  const torch::NoGradGuard no_grad;
  line->weight.copy_(torch::tensor({{0.0F}, {1.0F}}));
  line->bias.zero_();
  return line;
}

auto evaluation(at::Tensor outputs, at::Tensor targets) -> Evaluation {
  return {0, 0, 0, {}, std::move(outputs), std::move(targets)};
}

}  // namespace

TEST_CASE("an evaluation carries outputs and targets when asked, and else nothing", "[evaluate][metrics]") {
  for (const auto& topology : {Topology{1, 1, false}, Topology{2, 1, false}, Topology{2, 1, true}}) {
    INFO(topology.name());
    for (const bool asked : {false, true}) {
      const auto all = result_of<Evaluation>(topology, [&](Pipeline& pipeline) {
        auto net = pipeline.model("knowing", make_knowing, {.optimizer = sgd({.lr = 1e-9})});
        return pipeline.source(SharedNumbers{1'000})
            .map(sided)
            .batch(50)
            .model(net)
            .evaluate({.outputs = asked})
            .collect();
      });
      REQUIRE(all.size() == 20);
      for (const auto& one : all) {
        REQUIRE(one.outputs.defined() == asked);
        REQUIRE(one.targets.defined() == asked);
        if (!asked) continue;
        CHECK(one.outputs.sizes() == at::IntArrayRef({50, 2}));
        CHECK(one.targets.sizes() == at::IntArrayRef({50}));
        CHECK(one.outputs.argmax(1).eq(one.targets).sum().item<std::int64_t>() ==
              static_cast<std::int64_t>(one.score.correct));
      }
    }
  }
}

TEST_CASE("metrics of a model's evaluation are those of its predictions, on one node and on two",
          "[evaluate][metrics]") {
  // It knows the classes, so all metrics are perfect, but for log loss: it is not sure.
  Kappa naive;
  LogLoss loss;
  for (int i = 0; i < 2'000; ++i) {
    const auto one = sided(i);
    naive.update(one.label, one.x > 0 ? 1 : 0);
    loss.update(one.label, 1 / (1 + std::exp(-static_cast<double>(one.x))));
  }
  for (const auto& topology : {Topology{1, 1, false}, Topology{2, 1, false}, Topology{2, 1, true}}) {
    INFO(topology.name());
    std::map<std::string, double> last;
    run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("knowing", make_knowing, {.optimizer = sgd({.lr = 1e-9})});
      auto evaluations =
          pipeline.source(SharedNumbers{2'000}).map(sided).batch(50).model(net).evaluate({.outputs = true});
      const auto keep = [&](const Measurement& one) { last[one.name] = one.value; };
      evaluations.flat_map(class_outcomes).measure({.every = 500}, Kappa{}, F1::of_class(1)).sink(keep);
      evaluations.flat_map(score_outcomes).measure({}, RocAuc{}, LogLoss{}).sink(keep);
      evaluations.flat_map(probability_outcomes)
          .measure({}, of(most_likely, Accuracy{}), of(ProbabilityOf{1}, sliding(100, RocAuc{})))
          .sink(keep);
    });
    CHECK(last.at("kappa") == Approx(naive.value()));
    CHECK(last.at("f1 of class 1") == Approx(1));
    CHECK(last.at("accuracy") == Approx(1));
    CHECK(last.at("roc auc") == Approx(1));
    CHECK(last.at("roc auc (last 100)") == Approx(1));
    CHECK(last.at("log loss") == Approx(loss.value()).epsilon(1e-6));
  }
}

TEST_CASE("a model that learns is measured before it has learnt from a record", "[evaluate][metrics]") {
  for (const auto& topology : {Topology{1, 1, false}, Topology{2, 1, false}}) {
    INFO(topology.name());
    std::map<std::uint64_t, double> errors;
    run(topology, [&](Pipeline& pipeline) {
      auto net = pipeline.model("line", [] { return torch::nn::Linear(1, 1); },
                                {.loss = mean_squared_error, .optimizer = sgd({.lr = 0.1})});
      pipeline.source(SharedNumbers{20'000})
          .map([](int i) {
            const float x = static_cast<float>((i * 37) % 101) / 50 - 1;
            return Example{torch::tensor({x}), torch::tensor({3 * x + 2})};
          })
          .batch(20)
          .model(net)
          .evaluate({.outputs = true})
          .flat_map(value_outcomes)
          .measure({.every = 40}, sliding(40, RootMeanSquaredError{}))
          .sink([&](const Measurement& one) { errors[one.index] = one.value; });
    });
    REQUIRE(errors.size() == 500);
    CHECK(errors.at(40) > 1);  // of the first two batches nothing had been learnt, or of one
    CHECK(errors.at(20'000) < 0.1);
  }
}

TEST_CASE("outcomes of logits are those worked out by hand", "[evaluate][metrics]") {
  const auto two = evaluation(torch::tensor({{0.0F, 1.0F}, {2.0F, 0.0F}}), torch::tensor({1, 1}, torch::kLong));
  // (Two pairs of parentheses: Catch2 would print the vectors by an operator of glog's, which comes with LibTorch.)
  CHECK((class_outcomes(two) == std::vector<tensair::Outcome<std::int64_t>>{{1, 1}, {1, 0}}));
  const double e = std::exp(1);
  CHECK(score_outcomes(two).at(0).prediction == Approx(e / (1 + e)));
  CHECK(score_outcomes(two).at(1).prediction == Approx(1 / (1 + e * e)));
  CHECK(probability_outcomes(two).at(1).prediction.at(0) == Approx(e * e / (1 + e * e)));

  const auto one = evaluation(torch::tensor({{1.0F}, {-2.0F}}), torch::tensor({{1.0F}, {0.0F}}));
  CHECK((class_outcomes(one) == std::vector<tensair::Outcome<std::int64_t>>{{1, 1}, {0, 0}}));
  CHECK(score_outcomes(one).at(0).prediction == Approx(e / (1 + e)));
  CHECK((value_outcomes(one) == std::vector<tensair::Outcome<double>>{{1, 1}, {0, -2}}));
}

TEST_CASE("records whose target the loss ignores are no outcomes", "[evaluate][metrics]") {
  const auto some = evaluation(torch::tensor({{0.0F, 1.0F}, {2.0F, 0.0F}}), torch::tensor({-100, 0}, torch::kLong));
  CHECK((class_outcomes(some) == std::vector<tensair::Outcome<std::int64_t>>{{0, 0}}));
  CHECK(score_outcomes(some).size() == 1);
  CHECK(probability_outcomes(some).size() == 1);
}

TEST_CASE("sure answers keep their order: their probabilities are not rounded to 1", "[evaluate][metrics]") {
  const auto sure = evaluation(torch::tensor({30.0F, 31.0F}), torch::tensor({0, 1}, torch::kLong));
  const auto scores = score_outcomes(sure);
  CHECK(scores[0].prediction < scores[1].prediction);
}

TEST_CASE("outputs that no metric can be made of are refused, with their shapes", "[evaluate][metrics]") {
  CHECK_THROWS_WITH(class_outcomes(Evaluation{}),
                    ContainsSubstring("no outputs") && ContainsSubstring("evaluate({.outputs = true})"));
  const auto wrong = evaluation(torch::zeros({4, 3}), torch::zeros({5}, torch::kLong));
  CHECK_THROWS_WITH(class_outcomes(wrong), ContainsSubstring("[4, 3]") && ContainsSubstring("[5]"));
  const auto values = evaluation(torch::zeros({4, 3}), torch::zeros({4, 3}));
  CHECK_THROWS_WITH(class_outcomes(values), ContainsSubstring("class numbers"));
  CHECK_THROWS_WITH(probability_outcomes(values), ContainsSubstring("class numbers"));
  CHECK_THROWS_WITH(score_outcomes(values), ContainsSubstring("[N, 2]"));
  CHECK_THROWS_WITH(value_outcomes(wrong), ContainsSubstring("one shape"));
}
