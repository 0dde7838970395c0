#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <tensair/drift/adwin.hpp>
#include <tensair/drift/ddm.hpp>
#include <tensair/drift/optwin.hpp>
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
using Catch::Matchers::ContainsSubstring;

namespace {

/// A record whose answer is known in advance, whatever the model has learnt.
struct Fixed {
  int number = 0;
  bool wrong = false;
  float loss = 0;
};
auto collate(std::span<const Fixed> some) -> TensorBatch {
  auto said = torch::zeros({static_cast<std::int64_t>(some.size()), 2});
  auto notes = torch::zeros({static_cast<std::int64_t>(some.size()), 2});
  for (std::size_t i = 0; i < some.size(); ++i) {
    said.data_ptr<float>()[2 * i + (some[i].wrong ? 1 : 0)] = 1;
    notes.data_ptr<float>()[2 * i] = static_cast<float>(some[i].number);
    notes.data_ptr<float>()[2 * i + 1] = some[i].loss;
  }
  return {.input = said,
          .target = torch::zeros({static_cast<std::int64_t>(some.size())}, torch::kLong),
          .more_targets = {notes}};
}

/// The first numbers of the batches that were trained on, by all replicas of one process.
using Log = std::vector<int>;
constexpr float step_of_fixed = 1.0F / 1024;

/// Says what the records do. Its parameter counts steps.
struct FixedModel {
  Log* log;
  std::vector<float> steps = {0};

  auto parameters() -> std::span<float> { return steps; }
  auto score(const TensorBatch& batch) -> Score {
    return {.loss = batch.more_targets[0].select(1, 1).mean().item<double>(),
            .examples = static_cast<std::uint64_t>(batch.examples())};
  }
  auto step(const TensorBatch& batch) -> Score {
    log->push_back(static_cast<int>(batch.more_targets[0][0][0].item<float>()));
    steps[0] += step_of_fixed;
    return score(batch);
  }
  auto predict(const TensorBatch& batch) -> at::Tensor { return batch.input; }
};

constexpr int records = 12'000, changes_at = 6'000, batch_size = 4;

/// One in ten is wrong, and from the change on six in ten. A hash and not a generator, so that it is the same wherever
/// it is asked for.
auto fixed(int n) -> Fixed {
  auto h = static_cast<std::uint64_t>(n) * 0x9e37'79b9'7f4a'7c15;
  h ^= h >> 32U;
  h *= 0xd6e8'feb8'6659'fd93;
  h ^= h >> 32U;
  return {n, h % 100 < (n < changes_at ? 10 : 60), n < changes_at ? 0.1F : 1.0F};
}
auto all_fixed(int n = records) -> std::vector<Fixed> {
  std::vector<Fixed> all;
  for (int i = 0; i < n; ++i) all.push_back(fixed(i));
  return all;
}
/// The same, shared out.
class SharedFixed {
 public:
  using value_type = Fixed;
  explicit SharedFixed(int n = records) : n_(n) {}
  void split(int part, int parts) {
    next_ = part;
    step_ = parts;
  }
  auto next() -> std::optional<Fixed> {
    if (next_ >= n_) return std::nullopt;
    return fixed(std::exchange(next_, next_ + step_));
  }

 private:
  int n_, next_ = 0, step_ = 1;
};

/// What a detector says of these records, one after the other: where it first warns and drifts, by how many it has
/// seen.
template <class P>
auto signals_of(P parameters) -> std::pair<std::uint64_t, std::uint64_t> {
  typename P::Detector detector{parameters};
  std::uint64_t warning = 0;
  for (int i = 0; i < records; ++i) {
    const auto said = detector.update(fixed(i).wrong ? 1 : 0);
    const auto count = static_cast<std::uint64_t>(i) + 1;
    if (said == DriftLevel::warning && warning == 0) warning = count;
    if (said == DriftLevel::drift) return {warning, count};
  }
  return {warning, 0};
}

using ByReplica = std::map<int, std::vector<Decision>>;
auto by_replica(const Collected<Decision>& all) -> ByReplica {
  ByReplica sorted;
  for (const auto& one : all) sorted[one.replica].push_back(one);
  return sorted;
}
auto same(const Decision& a, const Decision& b) -> bool {
  return a.deed == b.deed && a.why == b.why && a.number == b.number && a.batch == b.batch && a.example == b.example &&
         a.from == b.from && a.statistic == b.statistic;
}
auto same(const std::vector<Decision>& a, const std::vector<Decision>& b) -> bool {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return same(x, y); });
}
auto first(const std::vector<Decision>& all, Deed deed) -> const Decision* {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Decision& one) { return one.deed == deed; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("the same outcomes lead to the same decisions on any number of nodes, as one detector would",
          "[adaptation]") {
  const auto [warning, drift] = signals_of(ddm{});
  REQUIRE(drift > changes_at);
  std::vector<Decision> reference;
  for (const int nodes : {1, 2, 5}) {
    for (const std::uint64_t seed : {1, 2, 3}) {
      for (const bool in_turn : {false, true}) {
        INFO(nodes << " nodes, seed " << seed << (in_turn ? ", in turn" : ", where there is room"));
        Log log;
        Collected<Decision> collected;
        testing::Cluster cluster{{.nodes = nodes, .seed = seed, .slowness = {1, 2.5}}};
        cluster.run([&](Pipeline& pipeline) {
          auto net = pipeline.model("fixed", [&] { return FixedModel{&log}; });
          net.mode(Automatic{.detector = ddm{}, .watched = Watched::errors, .lag = 20});
          auto batches = pipeline.source(all_fixed()).batch(batch_size).model(net);
          if (in_turn) {
            std::move(batches).evaluate(routing::in_turn);
          } else {
            std::move(batches).evaluate();
          }
          auto here = net.decisions().collect();
          if (pipeline.options().rank == 0) collected = here;
        });
        const auto sorted = by_replica(collected);
        REQUIRE(sorted.size() == static_cast<std::size_t>(nodes));
        for (const auto& [replica, all] : sorted) CHECK(same(all, sorted.at(0)));
        if (reference.empty()) reference = sorted.at(0);
        CHECK(same(sorted.at(0), reference));

        const auto* rest = first(reference, Deed::rest);
        const auto* train = first(reference, Deed::train);
        REQUIRE(rest);
        REQUIRE(train);
        // Trained on are those outside exactly, at all replicas together: the same batch is the first one everywhere.
        std::set<int> expected;
        std::uint64_t until = rest->from;
        for (int i = 0; i < records / batch_size; ++i) expected.insert(i * batch_size);
        const Decision* begin = nullptr;
        for (const auto& one : reference) {
          if (one.deed == Deed::rest) begin = &one;
          if (one.deed != Deed::train || !begin) continue;
          for (auto b = begin->from; b < one.from; ++b) expected.erase(static_cast<int>(b) * batch_size);
          begin = nullptr;
        }
        if (begin) {
          for (until = begin->from; until < records / batch_size; ++until)
            expected.erase(static_cast<int>(until) * batch_size);
        }
        CHECK(log.size() == expected.size());
        CHECK(std::set<int>(log.begin(), log.end()) == expected);
      }
    }
  }
  // The detector begins anew where training ends, so only that far is its word that of one which sees everything.
  const auto* rest = first(reference, Deed::rest);
  CHECK(rest->batch == 300 - 1);  // six windows of 50 batches with the same loss
  ddm::Detector alone;
  std::uint64_t told = 0;
  for (int i = 300 * batch_size; i < records && told == 0; ++i) {
    if (alone.update(fixed(i).wrong ? 1 : 0) == DriftLevel::drift) told = static_cast<std::uint64_t>(i) + 1;
  }
  const auto* found = first(reference, Deed::drift);
  REQUIRE(found);
  CHECK(found->example == told);
  CHECK(found->batch == (told - 1) / batch_size);
  CHECK(found->from == found->batch + 21);
}

TEST_CASE("replicas with streams of their own decide alike too, and nobody waits for a stream that is quiet",
          "[adaptation]") {
  for (const auto& topology : topologies()) {
    for (const std::size_t lag : {std::size_t{0}, std::size_t{8}}) {
      INFO(topology.name() << ", lag " << lag);
      std::vector<std::unique_ptr<Log>> logs(static_cast<std::size_t>(topology.nodes));
      Collected<Decision> collected;
      Collected<TrainStep> steps;
      test::run(topology, [&](Pipeline& pipeline) {
        const auto rank = static_cast<std::size_t>(pipeline.options().rank);
        logs[rank] = std::make_unique<Log>();
        auto net = pipeline.model("fixed", [log = logs[rank].get()] { return FixedModel{log}; });
        net.mode(Automatic{.detector = adwin{}, .watched = Watched::errors, .lag = lag});
        auto trained = pipeline.source(SharedFixed{}).batch(batch_size).model(net).train().collect();
        // Another stream, on node 0, that has hardly anything to say.
        pipeline.source(std::vector{fixed(0)}).batch(1).model(net).train();
        auto here = net.decisions().collect();
        if (rank != 0) return;
        collected = here;
        steps = trained;
      });
      const auto sorted = by_replica(collected);
      REQUIRE(sorted.size() == static_cast<std::size_t>(topology.nodes));
      for (const auto& [replica, all] : sorted) CHECK(same(all, sorted.at(0)));
      const auto& all = sorted.at(0);
      REQUIRE(first(all, Deed::rest));
      const auto* drift = first(all, Deed::drift);
      REQUIRE(drift);
      // Over TCP a node may be far ahead of another.
      CHECK(drift->example >
            static_cast<std::uint64_t>(topology.tcp ? changes_at / topology.nodes : changes_at - 1'000));
      CHECK(drift->example < changes_at + 1'500);
      CHECK(first(all, Deed::train));
      std::size_t trained = 0;
      for (const auto& log : logs) trained += log->size();
      CHECK(trained < records / batch_size);
      CHECK(steps.size() >= trained - 1);
    }
  }
}

TEST_CASE("replicas decide alike whatever happens when, and none waits for ever", "[adaptation]") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const int nodes = 2 + static_cast<int>(seed % 4);
    const int replicas = nodes + static_cast<int>(seed % 3);
    const std::size_t lag = seed % 5;
    INFO(nodes << " nodes, " << replicas << " replicas, lag " << lag << ", seed " << seed);
    Log log;
    Collected<Decision> collected;
    testing::Cluster cluster{{.nodes = nodes,
                              .seed = seed,
                              .delay = std::chrono::microseconds{100 * (1 + static_cast<long>(seed % 40))},
                              .turn_spread = 0.9,
                              .slowness = {1, 1 + static_cast<double>(seed % 7)}}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("fixed", [&] { return FixedModel{&log}; }, {.replicas = replicas});
      // It signals often: every 300 values in turn a warning and a drift.
      const auto told = [n = 0](double) mutable {
        ++n;
        return n % 300 == 0 ? DriftLevel::drift : n % 300 > 200 ? DriftLevel::warning : DriftLevel::none;
      };
      const auto on_drift = std::array{OnDrift::keep, OnDrift::reset, OnDrift::from_buffer, OnDrift::challenge};
      net.mode(Automatic{.detector = told,
                         .watched = Watched::errors,
                         .convergence = {.window = 5, .windows = 3},
                         .on_drift = on_drift[seed % on_drift.size()],
                         .challenger = {.examples = 100},
                         .lag = lag});
      if (seed % 2 == 0) {
        pipeline.source(all_fixed(3'000)).batch(batch_size).model(net).evaluate();
      } else {
        pipeline.source(SharedFixed{3'000}).batch(batch_size).model(net).train();
        pipeline.source(all_fixed(200)).batch(batch_size).model(net).train(routing::in_turn);
      }
      auto here = net.decisions().collect();
      if (pipeline.options().rank == 0) collected = here;
    });
    const auto sorted = by_replica(collected);
    REQUIRE(sorted.size() == static_cast<std::size_t>(replicas));
    for (const auto& [replica, all] : sorted) CHECK(same(all, sorted.at(0)));
    CHECK(std::count_if(sorted.at(0).begin(), sorted.at(0).end(),
                        [](const Decision& one) { return one.deed == Deed::drift; }) >= 5);
  }
}

TEST_CASE("nobody waits for replicas that get no batches", "[adaptation]") {
  for (const int nodes : {2, 5}) {
    for (const int to : {0, nodes - 1}) {
      for (const std::uint64_t seed : {1, 2, 3}) {
        INFO(nodes << " nodes, all to replica " << to << ", seed " << seed);
        Log log;
        Collected<Decision> collected;
        testing::Cluster cluster{{.nodes = nodes, .seed = seed}};
        cluster.run([&](Pipeline& pipeline) {
          auto net = pipeline.model("fixed", [&] { return FixedModel{&log}; });
          net.mode(Automatic{.detector = ddm{}, .watched = Watched::errors, .lag = 0});
          // A key whose hash belongs to that replica.
          std::uint64_t key = 0;
          while (hash_key(key) % static_cast<std::uint64_t>(nodes) != static_cast<std::uint64_t>(to)) ++key;
          const auto route = routing::by_key([key](const auto&) { return key; });
          pipeline.source(SharedFixed{}).batch(batch_size).model(net).train(route);
          pipeline.source(all_fixed(100)).batch(batch_size).model(net).train(route);
          auto here = net.decisions().collect();
          if (pipeline.options().rank == 0) collected = here;
        });
        const auto sorted = by_replica(collected);
        REQUIRE(sorted.size() == static_cast<std::size_t>(nodes));
        for (const auto& [replica, all] : sorted) CHECK(same(all, sorted.at(0)));
        CHECK(first(sorted.at(0), Deed::drift));
      }
    }
  }
}

TEST_CASE("weights begin anew at every replica, and all have the same in the end", "[adaptation]") {
  for (const int nodes : {1, 2, 5}) {
    for (const std::uint64_t seed : {1, 2, 3}) {
      INFO(nodes << " nodes, seed " << seed);
      Log log;
      Collected<Decision> collected;
      std::vector<ModelHandle> handles;
      testing::Cluster cluster{{.nodes = nodes, .seed = seed}};
      cluster.run([&](Pipeline& pipeline) {
        auto net = pipeline.model("fixed", [&] { return FixedModel{&log}; });
        handles.push_back(net);
        net.mode(Automatic{.detector = ddm{}, .watched = Watched::errors, .rests = false, .on_drift = OnDrift::reset});
        pipeline.source(all_fixed()).batch(batch_size).model(net).train();
        auto here = net.decisions().collect();
        if (pipeline.options().rank == 0) collected = here;
      });
      const auto sorted = by_replica(collected);
      const auto& all = sorted.at(0);
      REQUIRE(first(all, Deed::reset_weights));
      const auto last = std::find_if(all.rbegin(), all.rend(), [](const Decision& one) {
                          return one.deed == Deed::reset_weights;
                        })->from;
      const auto since = static_cast<double>(records / batch_size - last);
      for (const auto& handle : handles) {
        for (auto* learner : handle.runtime()->learners()) {
          const double steps = static_cast<double>(learner->parameters()[0]) / step_of_fixed;
          // Exactly the steps since, but for those of others that were under way when a replica jumped.
          CHECK(std::abs(steps - since) <= (nodes == 1 ? 0.01 : 4 * nodes));
          CHECK(learner->parameters()[0] ==
                Approx(handles.front().runtime()->learners().front()->parameters()[0]).margin(1e-4));
        }
      }
    }
  }
}

TEST_CASE("the batches since the warning are trained on first", "[adaptation]") {
  const auto [warning, drift] = signals_of(ddm{});
  REQUIRE(warning > 0);
  for (const int nodes : {1, 2, 5}) {
    INFO(nodes << " nodes");
    Log log;
    Collected<Decision> collected;
    Collected<TrainStep> steps;
    testing::Cluster cluster{{.nodes = nodes, .seed = 4}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("fixed", [&] { return FixedModel{&log}; });
      net.mode(Automatic{
          .detector = ddm{}, .watched = Watched::errors, .rests = false, .on_drift = OnDrift::from_buffer, .lag = 10});
      auto trained = pipeline.source(all_fixed()).batch(batch_size).model(net).train().collect();
      auto here = net.decisions().collect();
      if (pipeline.options().rank != 0) return;
      collected = here;
      steps = trained;
    });
    const auto all = by_replica(collected).at(0);
    // Twice: what came while there was a warning that led to a drift.
    std::multiset<int> expected;
    for (int i = 0; i < records / batch_size; ++i) expected.insert(i * batch_size);
    std::uint64_t warned = 0;
    bool buffers = false;
    for (const auto& one : all) {
      if (one.deed == Deed::warn) {
        warned = one.from;
        buffers = true;
      }
      if (one.deed == Deed::calm) buffers = false;
      if (one.deed != Deed::replay || !buffers) continue;
      for (auto b = warned; b < one.from; ++b) expected.insert(static_cast<int>(b) * batch_size);
      buffers = false;
    }
    CHECK(expected.size() > records / batch_size);
    CHECK(std::multiset<int>(log.begin(), log.end()) == expected);
    CHECK(steps.size() == records / batch_size);  // each batch is told of once
  }
}

TEST_CASE("a buffer keeps the latest batches", "[adaptation]") {
  Log log;
  Collected<Decision> collected;
  test::run({}, [&](Pipeline& pipeline) {
    auto net = pipeline.model("fixed", [&] { return FixedModel{&log}; });
    const auto told = [n = 0](double) mutable {
      ++n;
      return n == 500 ? DriftLevel::drift : n > 100 ? DriftLevel::warning : DriftLevel::none;
    };
    net.mode(Automatic{.detector = told, .rests = false, .on_drift = OnDrift::from_buffer, .buffer = 7});
    pipeline.source(all_fixed(4'000)).batch(batch_size).model(net).train();
    collected = net.decisions().collect();
  });
  REQUIRE(log.size() == 1'007);
  for (int i = 0; i < 7; ++i) CHECK(log[static_cast<std::size_t>(500 + i)] == (493 + i) * batch_size);
  CHECK(log[507] == 500 * batch_size);
}

namespace {

/// Two classes by the sign of x; from a record on the other way round.
struct Signed {
  float x;
  std::int64_t label;
};
auto collate(std::span<const Signed> some) -> TensorBatch {
  auto x = torch::empty({static_cast<std::int64_t>(some.size()), 1});
  auto y = torch::empty({static_cast<std::int64_t>(some.size())}, torch::kLong);
  for (std::size_t i = 0; i < some.size(); ++i) {
    x.data_ptr<float>()[i] = some[i].x;
    y.data_ptr<std::int64_t>()[i] = some[i].label;
  }
  return {x, y};
}
auto signs(int n, int swap_at) -> std::vector<Signed> {
  std::vector<Signed> all;
  for (int i = 0; i < n; ++i) {
    const auto x = static_cast<float>(fixed(i).number * 37 % 64) / 32 - 0.99F;
    all.push_back({x, (x > 0) != (i >= swap_at) ? 1 : 0});
  }
  return all;
}

}  // namespace

TEST_CASE("a challenger that is better takes the model's place, on every node", "[adaptation]") {
  constexpr int swap = 8'000, n = 12'000;
  for (const int nodes : {1, 2, 5}) {
    for (const std::uint64_t seed : {1, 2}) {
      INFO(nodes << " nodes, seed " << seed);
      Collected<Decision> collected;
      Collected<Evaluation> evaluations;
      testing::Cluster cluster{{.nodes = nodes, .seed = seed}};
      cluster.run([&](Pipeline& pipeline) {
        auto net = pipeline.model("signs", [] { return torch::nn::Linear(1, 2); }, {.optimizer = sgd({.lr = 0.5})});
        net.mode(Automatic{.detector = ddm{},
                           .watched = Watched::errors,
                           .convergence = {.factor = 1.2},
                           .on_drift = OnDrift::challenge,
                           .challenger = {.fresh = true}});
        auto scored = pipeline.source(signs(n, swap)).batch(8).model(net).evaluate(routing::in_turn).collect();
        auto here = net.decisions().collect();
        if (pipeline.options().rank != 0) return;
        collected = here;
        evaluations = scored;
      });
      const auto sorted = by_replica(collected);
      REQUIRE(sorted.size() == static_cast<std::size_t>(nodes));
      for (const auto& [replica, all] : sorted) CHECK(same(all, sorted.at(0)));
      const auto& all = sorted.at(0);
      const auto* rest = first(all, Deed::rest);
      const auto* promoted = first(all, Deed::promote_challenger);
      REQUIRE(rest);
      REQUIRE(promoted);
      CHECK(rest->example < swap);
      CHECK(promoted->example > swap);
      CHECK(promoted->example < swap + 1'000);
      CHECK(promoted->why == Why::won);
      CHECK(promoted->statistic >= std::log(100.0));
      // It had to learn from nothing, with each replica's share of the batches.
      std::uint64_t correct = 0, examples = 0, counted = 0;
      for (const auto& one : evaluations) {
        if (++counted <= static_cast<std::size_t>(n - 2'000) / 8) continue;
        correct += one.score.correct;
        examples += one.score.examples;
      }
      CHECK(static_cast<double>(correct) > 0.95 * static_cast<double>(examples));
    }
  }
}

TEST_CASE("labels that come late are watched when they come, and nobody waits for those that never do",
          "[adaptation]") {
  struct Label {
    int number;
    bool wrong;
  };
  for (const int nodes : {1, 2, 5}) {
    for (const std::uint64_t seed : {1, 2}) {
      INFO(nodes << " nodes, seed " << seed);
      Log log;
      Collected<Decision> collected;
      testing::Cluster cluster{{.nodes = nodes, .seed = seed}};
      cluster.run([&](Pipeline& pipeline) {
        auto net = pipeline.model("fixed", [&] { return FixedModel{&log}; });
        net.mode(Automatic{.detector = adwin{}, .watched = Watched::errors});
        // Of every third record there is no label, and of none of the last thousand.
        std::vector<std::pair<std::chrono::milliseconds, Label>> labels;
        for (int i = 0; i < records - 1'000; ++i) {
          if (i % 3 != 0) labels.push_back({std::chrono::milliseconds{500 + i / 10}, {i, fixed(i).wrong}});
        }
        const auto say = [](std::span<const Fixed> some) { return collate(some); };
        pipeline.source(all_fixed())
            .key_by(&Fixed::number)
            .model(net, say)
            .train_on(pipeline.source(OnSchedule<Label>(labels)).key_by(&Label::number),
                      [](const Label&) { return std::int64_t{0}; },
                      {.within = 5s, .batch = {.size = batch_size, .within = 10ms}});
        auto here = net.decisions().collect();
        if (pipeline.options().rank == 0) collected = here;
      });
      const auto sorted = by_replica(collected);
      REQUIRE(sorted.size() == static_cast<std::size_t>(nodes));
      for (const auto& [replica, all] : sorted) CHECK(same(all, sorted.at(0)));
      const auto* drift = first(sorted.at(0), Deed::drift);
      REQUIRE(drift);
      CHECK(drift->example > changes_at * 2 / 3 - 1'000);
      CHECK(drift->example < changes_at * 2 / 3 + 1'500);
    }
  }
}

TEST_CASE("a command ends adaptation, and begins it anew", "[adaptation]") {
  for (const int nodes : {1, 2, 5}) {
    INFO(nodes << " nodes");
    Log log;
    Collected<ModeChange> changes;
    Collected<Decision> collected;
    testing::Cluster cluster{{.nodes = nodes, .seed = 5}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("fixed", [&] { return FixedModel{&log}; });
      net.mode(Automatic{.detector = optwin{}, .convergence = {.window = 10, .windows = 3}});
      pipeline.source(all_fixed(5'000)).batch(1).model(net).train();
      net.control(pipeline.source(OnSchedule<Mode>({{200ms, Mode::never}, {400ms, Mode::automatic}})));
      auto here = net.decisions().collect();
      auto modes = net.mode_changes().collect();
      if (pipeline.options().rank != 0) return;
      collected = here;
      changes = modes;
    });
    std::map<int, std::vector<ModeChange>> modes;
    for (const auto& one : changes) modes[one.replica].push_back(one);
    const auto sorted = by_replica(collected);
    REQUIRE(sorted.size() == static_cast<std::size_t>(nodes));
    for (const auto& [replica, all] : sorted) {
      // To rest, the two commands, to train, to rest.
      const auto& told = modes[replica];
      REQUIRE(told.size() == 5);
      CHECK(told[0].cause == Cause::converged);
      CHECK(told[1].mode == Mode::never);
      CHECK(told[2].mode == Mode::automatic);
      CHECK(told[3].training);
      CHECK(told[3].number == all.at(1).number);
      CHECK_FALSE(told[4].training);
      CHECK(same(all, sorted.at(0)));
      REQUIRE(all.size() == 3);
      CHECK(all[0].deed == Deed::rest);
      CHECK(all[1].deed == Deed::train);
      CHECK(all[1].why == Why::command);
      CHECK(all[2].deed == Deed::rest);
    }
  }
}

TEST_CASE("losses that are no number are counted, and the detector is told nothing", "[adaptation][error]") {
  for (const int nodes : {1, 2, 5}) {
    INFO(nodes << " nodes");
    Log log;
    Collected<Decision> collected;
    std::vector<ModelHandle> handles;
    testing::Cluster cluster{{.nodes = nodes, .seed = 6}};
    cluster.run([&](Pipeline& pipeline) {
      auto net = pipeline.model("fixed", [&] { return FixedModel{&log}; }, {.on_not_finite = not_finite::skip});
      handles.push_back(net);
      net.mode(Automatic{.detector = optwin{}, .rests = false});
      auto some = all_fixed(4'000);
      for (std::size_t i = 0; i < some.size(); i += 100) some[i].loss = std::numeric_limits<float>::quiet_NaN();
      pipeline.source(std::move(some)).batch(batch_size).model(net).train();
      auto here = net.decisions().collect();
      if (pipeline.options().rank == 0) collected = here;
    });
    CHECK(collected.size() == 0);
    for (const auto& handle : handles) CHECK(handle.runtime()->figures().unwatched == 40);
  }
}

TEST_CASE("of one class only, the model rests and nothing drifts", "[adaptation]") {
  Collected<Decision> collected;
  test::run({}, [&](Pipeline& pipeline) {
    auto net = pipeline.model("signs", [] { return torch::nn::Linear(1, 2); }, {.optimizer = sgd({.lr = 0.5})});
    net.mode(Automatic{.detector = ddm{}, .watched = Watched::errors, .convergence = {.factor = 1.2}});
    auto some = signs(20'000, 0);
    for (auto& one : some) one.label = 0;
    pipeline.source(std::move(some)).batch(8).model(net).evaluate();
    collected = net.decisions().collect();
  });
  const auto all = by_replica(collected).at(0);
  CHECK(first(all, Deed::rest));
  CHECK_FALSE(first(all, Deed::drift));
}

TEST_CASE("adaptation that cannot be is refused", "[adaptation][error]") {
  const auto refused = [](const Automatic& wanted, ModelOptions options = {}) {
    std::string text;
    try {
      test::run({}, [&](Pipeline& pipeline) {
        auto net = pipeline.model("line", make_line, options);
        net.mode(wanted);
        pipeline.source(spots(100)).batch(10).model(net).train(routing::all);
      });
    } catch (const Error& error) {
      text = error.what();
    }
    return text;
  };
  CHECK_THAT(refused({}), ContainsSubstring("line") && ContainsSubstring("without a detector"));
  CHECK_THAT(refused({.detector = ddm{}, .fades_after = 0}), ContainsSubstring("fade"));
  CHECK_THAT(refused({.detector = ddm{}, .convergence = {.window = 0}}), ContainsSubstring("0 batches"));
  CHECK_THAT(refused({.detector = ddm{}, .challenger = {.level = 1}}), ContainsSubstring("level"));
  CHECK_THAT(refused({.detector = ddm{}}, {.exchange = exchange::none}), ContainsSubstring("at every replica"));
  // A loss is watched by a detector of error rates.
  Log log;
  CHECK_THROWS_WITH(test::run({.nodes = 2},
                              [&](Pipeline& pipeline) {
                                auto net = pipeline.model("fixed", [&] { return FixedModel{&log}; });
                                net.mode(Automatic{.detector = ddm{}});
                                auto some = all_fixed(400);
                                some[200].loss = 50;
                                pipeline.source(some).batch(batch_size).model(net).train();
                              }),
                    ContainsSubstring("ddm") && ContainsSubstring("batch 51 of"));
  // Errors are watched, and the outputs are values.
  std::string text;
  try {
    test::run({}, [](Pipeline& pipeline) {
      auto net = pipeline.model("line", make_line, {.loss = mean_squared_error, .threads = 1});
      net.mode(Automatic{.detector = ddm{}, .watched = Watched::errors});
      pipeline.source(spots(100))
          .map([](const Spot& one) {
            return Example{torch::zeros({3, 1}), torch::full({3, 1}, one.x)};
          })
          .batch(10)
          .model(net)
          .train();
    });
  } catch (const Error& error) {
    text = error.what();
  }
  CHECK_THAT(text, ContainsSubstring("watch its errors") && ContainsSubstring("Watched::losses"));
}
