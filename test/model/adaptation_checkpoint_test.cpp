#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <tensair/drift/detectors.hpp>
#include <tensair/error.hpp>
#include <tensair/model/adaptation_rule.hpp>
#include <tensair/model/keyed_model_stream.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/temporary_folder.hpp"

using namespace tensair;
using namespace tensair::test;

// What a model knows of its stream's drift goes on from a checkpoint, as the model does.

namespace {

/// A batch's loss is known in advance: it falls, is level, and changes at two places.
auto loss_of(int batch) -> double {
  const double level = batch < 60 ? 2.0 - batch / 40.0 : batch < 700 ? 0.5 : batch < 1'300 ? 0.9 : 0.4;
  return level + 0.05 * std::sin(batch * 1.7) + 0.03 * std::sin(batch * 0.37);
}
constexpr int batches = 2'000;

struct Known {
  int number = 0;
};
auto collate(std::span<const Known> some) -> at::Tensor {
  return torch::full({1, 1}, loss_of(some.front().number), torch::kDouble);
}

/// Says what it is told. Its parameter counts steps.
struct KnownModel {
  std::vector<float> steps = {0};

  auto parameters() -> std::span<float> { return steps; }
  auto score(const TensorBatch& batch) -> Score { return {.loss = batch.input.item<double>(), .examples = 1}; }
  auto step(const TensorBatch& batch) -> Score {
    ++steps[0];
    return score(batch);
  }
  auto predict(const TensorBatch& batch) -> at::Tensor { return batch.input; }
};

auto wanted_with(drift::AnyDetector detector) -> Automatic {
  return {.detector = std::move(detector), .convergence = {.window = 20, .windows = 3}, .lag = 0};
}

struct Told {
  Deed deed;
  Why why;
  std::uint64_t batch;
  double statistic;
  friend auto operator==(const Told&, const Told&) -> bool = default;
};

auto told(const Decision& one, std::uint64_t before) -> Told {
  return {one.deed, one.why, one.batch + before, one.statistic};
}

auto decided(AdaptationRule& rule, int from, int until) -> std::vector<Told> {
  std::vector<Told> all;
  for (int batch = from; batch < until; ++batch) {
    BatchOutcome outcome;
    outcome.batch = static_cast<std::uint64_t>(batch - from);
    outcome.counts = true;
    outcome.examples = 1;
    outcome.loss = loss_of(batch);
    for (const auto& one : rule.take(outcome)) all.push_back(told(one, static_cast<std::uint64_t>(from)));
  }
  return all;
}

auto joined(std::vector<Told> one, const std::vector<Told>& other) -> std::vector<Told> {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

}  // namespace

TEST_CASE("a rule that goes on from a state decides as the one that it is of", "[adaptation][checkpoint]") {
  const drift::AnyDetector detectors[] = {optwin{.rho = 0.5, .min_window = 10}, adwin{}, page_hinkley{}, kswin{}};
  for (const auto& detector : detectors) {
    INFO(detector.name());
    AdaptationRule straight{wanted_with(detector), 0};
    const auto expected = decided(straight, 0, batches);
    const auto has = [&](Deed deed) {
      return std::any_of(expected.begin(), expected.end(), [&](const Told& one) { return one.deed == deed; });
    };
    REQUIRE(has(Deed::rest));
    REQUIRE(has(Deed::drift));
    REQUIRE(has(Deed::train));
    for (const int cut : {0, 15, 130, 500, 699, 710, 730, 1'000, 1'310, 1'999}) {
      INFO("cut at " << cut);
      AdaptationRule first{wanted_with(detector), 0}, second{wanted_with(detector), 0};
      const auto before = decided(first, 0, cut);
      second.restore(first.state());
      CHECK(second.state() == first.state());
      CHECK((joined(before, decided(second, cut, batches)) == expected));
    }
  }
}

TEST_CASE("a detector's parameters are those of the program, and a model that does not rest trains",
          "[adaptation][checkpoint]") {
  AdaptationRule deaf{wanted_with(page_hinkley{.lambda = 1e6}), 0}, other{wanted_with(page_hinkley{}), 0},
      fresh{wanted_with(page_hinkley{}), 0};
  decided(deaf, 0, 500);
  CHECK_FALSE(other.restore(deaf.state()));
  const auto all = decided(other, 500, 1'000);
  REQUIRE_FALSE(all.empty());
  CHECK(all.front().deed == Deed::drift);
  AdaptationRule others{wanted_with(adwin{}), 0};
  decided(others, 0, 500);
  CHECK_FALSE(fresh.restore(others.state()));
  CHECK((all == decided(fresh, 500, 1'000)));
  auto restless = wanted_with(page_hinkley{});
  restless.rests = false;
  AdaptationRule trains{restless, 0};
  CHECK(trains.restore(deaf.state()));
}

TEST_CASE("of another detector's state, or of windows of another size, only whether to train is taken",
          "[adaptation][checkpoint]") {
  AdaptationRule resting{wanted_with(adwin{}), 0};
  decided(resting, 0, 500);
  const auto goes_on = [&](const Automatic& wanted) {
    AdaptationRule rule{wanted, 0};
    CHECK_FALSE(rule.restore(resting.state()));
    return decided(rule, 500, 1'000);
  };
  auto others = wanted_with(adwin{});
  others.convergence.window = 30;
  for (const auto& wanted : {wanted_with(page_hinkley{}), others}) {
    const auto all = goes_on(wanted);
    REQUIRE_FALSE(all.empty());
    CHECK(all.front().deed == Deed::drift);  // it rested
    CHECK(all.front().batch >= 700);
  }
  // What a function remembers is not known: it begins anew.
  const auto third = [] { return wanted_with([n = 0](double) mutable { return ++n == 300; }); };
  AdaptationRule rule{third(), 0}, again{third(), 0};
  CHECK(decided(rule, 0, 250).size() == decided(again, 0, 250).size());
  again.restore(rule.state());
  const auto all = decided(again, 250, 600);
  REQUIRE_FALSE(all.empty());
  CHECK(all.front().batch == 250 + 300 - 1);
  CHECK_THROWS_AS(rule.restore("nonsense"), Error);
}

TEST_CASE("a reset that was decided and not obeyed before a program was cut off is obeyed by the next",
          "[adaptation][checkpoint]") {
  constexpr int until = 1'000;
  const auto run = [](int from, const std::filesystem::path& file, Duration cut_off) {
    std::vector<ModelHandle> handles;
    testing::Cluster cluster{{.nodes = 1, .seed = 4, .turn = std::chrono::milliseconds{1}}};
    if (cut_off > Duration::zero()) cluster.kill(0, cut_off);
    const auto build = [&](Pipeline& pipeline) {
      auto net = pipeline.model("known", [] { return KnownModel{}; },
                                {.checkpoint = {.file = file, .every_steps = 1, .resume = true}});
      handles.push_back(net);
      auto wanted = wanted_with(optwin{.rho = 0.5, .min_window = 10});
      wanted.rests = false;
      wanted.on_drift = OnDrift::reset;
      wanted.lag = 100;
      net.mode(wanted);
      std::vector<Known> all;
      for (int n = from; n < until; ++n) all.push_back({n});
      pipeline.source(all).batch(1).model(net).train();
    };
    try {
      cluster.run(build);
    } catch (const NodeError&) {
      CHECK(cut_off > Duration::zero());
    }
    return handles.front().runtime()->learners().front()->parameters()[0];  // steps since it began anew
  };
  int owed = 0;
  for (int step = 660; step < 900; step += 20) {
    INFO("cut off after " << step << " ms");
    const TemporaryFolder folder;
    const auto file = folder.path() / "net.ckpt";
    run(0, file, std::chrono::milliseconds{step});
    const auto seen = static_cast<int>(read_checkpoint(file).examples.at(0));
    REQUIRE(seen > 300);
    const auto last = static_cast<int>(run(seen, file, Duration::zero()));
    CHECK(last <= until - 690);  // it changes at 700
    if (last == until - seen) ++owed;
  }
  CHECK(owed >= 2);
}

TEST_CASE("a program that goes on from a checkpoint decides as one without a break", "[adaptation][checkpoint]") {
  const auto run = [](int nodes, int from, int until, const ModelOptions& options) {
    Collected<Decision> collected;
    testing::Cluster cluster{{.nodes = nodes, .seed = 4}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model(
          "known", [] { return KnownModel{}; }, options);
      net.mode(wanted_with(optwin{.rho = 0.5, .min_window = 10}));
      std::vector<Known> all;
      for (int n = from; n < until; ++n) all.push_back({n});
      pipeline.source(all).batch(1).model(net).evaluate();
      auto here = net.decisions().collect();
      if (pipeline.options().rank == 0) collected = here;
    });
    std::vector<Told> of_first;
    for (const Decision& one : collected) {
      if (one.replica == 0) of_first.push_back(told(one, static_cast<std::uint64_t>(from)));
    }
    return of_first;
  };
  for (const int nodes : {1, 2}) {
    const auto expected = run(nodes, 0, batches, {});
    REQUIRE(expected.size() >= 4);
    for (const int cut : {500, 720, 1'400}) {
      INFO(nodes << " nodes, cut at " << cut);
      const TemporaryFolder folder;
      const ModelOptions options{.checkpoint = {.file = folder.path() / "net.ckpt", .resume = true}};
      const auto before = run(nodes, 0, cut, options);
      CHECK((joined(before, run(nodes, cut, batches, options)) == expected));
    }
  }
}
