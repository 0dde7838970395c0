#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <tensair/error.hpp>
#include <tensair/model/learner.hpp>
#include <tensair/model/libtorch_optimizer.hpp>
#include <tensair/model/model.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;
using Catch::Matchers::ContainsSubstring;

// Modules with embeddings that were made with sparse(true): steps and deltas are of the rows that a batch touches.

namespace {

constexpr std::int64_t table_rows = 400, columns = 8, words_a_text = 6;

/// Words of a text, and of its author: two tables, and between and behind them parameters that every batch touches, and
/// a batch norm's buffers.
struct TextsImpl : torch::nn::Module {
  explicit TextsImpl(bool sparse) {
    scale = register_module("scale", torch::nn::Linear(columns, columns));
    bag = register_module(
        "bag",
        torch::nn::EmbeddingBag(torch::nn::EmbeddingBagOptions(table_rows, columns).mode(torch::kMean).sparse(sparse)));
    norm = register_module("norm", torch::nn::BatchNorm1d(columns));
    authors = register_module("authors",
                              torch::nn::Embedding(torch::nn::EmbeddingOptions(table_rows, columns).sparse(sparse)));
    out = register_module("out", torch::nn::Linear(2 * columns, 3));
  }
  auto forward(const at::Tensor& text) -> at::Tensor {
    const auto author = authors->forward(text.select(1, 0));
    return out->forward(torch::cat({norm->forward(scale->forward(bag->forward(text))), author}, 1));
  }
  torch::nn::Linear scale{nullptr}, out{nullptr};
  torch::nn::EmbeddingBag bag{nullptr};
  torch::nn::BatchNorm1d norm{nullptr};
  torch::nn::Embedding authors{nullptr};
};
TORCH_MODULE(Texts);

auto texts(bool sparse) -> Texts {
  torch::manual_seed(7);
  return Texts(sparse);
}

// The n-th text has rows of its own, some of which come often.
auto words_of_text(int n) -> std::vector<std::int64_t> {
  std::vector<std::int64_t> text;
  for (int i = 0; i < words_a_text; ++i) text.push_back((n * 17 + i * i * (1 + n % 5)) % (table_rows - 50));
  return text;
}

struct Text {
  std::vector<std::int64_t> words;
  std::int64_t kind = 0;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& words& kind;
  }
};

auto to_tensors(std::span<const Text> some) -> TensorBatch {
  std::vector<std::int64_t> all, kinds;
  for (const auto& text : some) {
    all.insert(all.end(), text.words.begin(), text.words.end());
    kinds.push_back(text.kind);
  }
  return {torch::tensor(all).view({static_cast<std::int64_t>(some.size()), words_a_text}), torch::tensor(kinds)};
}

class SomeTexts {
 public:
  using value_type = Text;
  explicit SomeTexts(int n) : n_(n) {}
  void split(int part, int parts) {
    next_ = part;
    step_ = parts;
  }
  auto next() -> std::optional<Text> {
    if (next_ >= n_) return std::nullopt;
    const int n = std::exchange(next_, next_ + step_);
    return Text{words_of_text(n), n % 3};
  }

 private:
  int n_, next_ = 0, step_ = 1;
};

auto texts_batch(int first, int count) -> TensorBatch {
  std::vector<Text> some;
  for (int n = first; n < first + count; ++n) some.push_back({words_of_text(n), n % 3});
  return to_tensors(some);
}

auto floats_of(std::span<const float> values) -> std::vector<float> {
  return {values.begin(), values.end()};
}

auto farthest(std::span<const float> a, std::span<const float> b) -> float {
  REQUIRE(a.size() == b.size());
  float most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

// As if it had a value for each parameter.
auto whole_gradient(Learner& learner) -> std::vector<float> {
  if (!learner.touches_few()) return floats_of(learner.gradient());
  std::vector<float> whole(learner.size());
  auto values = learner.gradient();
  for (const auto& segment : learner.touched()) {
    std::copy_n(values.begin(), segment.count, whole.begin() + segment.first);
    values = values.subspan(segment.count);
  }
  CHECK(values.empty());
  return whole;
}

// Returns the parameters of every replica.
template <class Run>
auto train_texts(Run run, bool sparse, int n, std::size_t batch, ModelOptions options)
    -> std::vector<std::vector<float>> {
  std::vector<ModelHandle> handles;
  run([&](Pipeline& pipeline) {
    auto net = pipeline.model(
        "texts", [sparse] { return texts(sparse); }, options);
    handles.push_back(net);
    pipeline.source(SomeTexts{n}).batch(batch).model(net, to_tensors).train();
  });
  std::vector<std::vector<float>> ended;
  for (const auto& handle : handles) {
    for (auto* learner : handle.runtime()->learners()) ended.push_back(floats_of(learner->parameters()));
  }
  return ended;
}

auto on_topology(const Topology& topology) {
  return [topology](const auto& build) { test::run(topology, build); };
}

}  // namespace

TEST_CASE("sparse embeddings have the gradient that dense ones have, for the rows that were touched",
          "[network][sparse]") {
  const std::vector<std::vector<ParameterGroup>> groupings{
      {}, {{.match = "authors.*", .rate = 2}}, {{.match = "*.weight"}, {.match = "norm.bias"}}};
  for (const auto& groups : groupings) {
    const auto dense = make_learner(network(texts(false)), {.groups = groups});
    const auto sparse = make_learner(network(texts(true)), {.groups = groups});
    CHECK_FALSE(dense->touches_few());
    REQUIRE(sparse->touches_few());
    for (const int first : {0, 100, 3}) {
      const auto batch = texts_batch(first, 4);
      CHECK(sparse->compute(batch).loss == Approx(dense->compute(batch).loss));
      CHECK(farthest(whole_gradient(*sparse), whole_gradient(*dense)) < 1e-6F);
      CHECK(sparse->gradient().size() <= dense->size() - 2 * table_rows * columns + 4 * (words_a_text + 1) * columns);
      std::uint64_t end = 0;
      for (const auto& segment : sparse->touched()) {
        CHECK(segment.first >= end);
        CHECK(segment.count > 0);
        end = segment.end();
      }
      CHECK(end <= sparse->size());
    }
  }
}

TEST_CASE("a lone replica with sparse embeddings learns what one with dense embeddings does",
          "[network][sparse][replica]") {
  // Where a gradient of zero changes nothing, a lazy step is a step. (A bias before a batch norm has a gradient that is
  // zero but for rounding, which Adagrad would make large without that epsilon.)
  const OptimizerFactory factories[] = {sgd({.lr = 0.5}), adagrad({.lr = 0.1, .epsilon = 1e-3})};
  for (const auto& factory : factories) {
    for (const double clip : {0.0, 0.05}) {
      ModelOptions options{.optimizer = factory, .clip_norm = clip};
      options.groups = {{.match = "out.*", .rate = 0.5}};
      options.schedule = step_decay(10, 0.5);
      const auto dense = train_texts(on_topology(Topology{}), false, 200, 8, options);
      const auto sparse = train_texts(on_topology(Topology{}), true, 200, 8, options);
      CHECK(farthest(sparse.at(0), dense.at(0)) < 1e-5F);
      CHECK(farthest(sparse.at(0), floats_of(make_learner(network(texts(true)), options)->parameters())) > 0.01F);
    }
  }
}

TEST_CASE("an optimiser's lazy step leaves untouched rows alone, and is its step for the others",
          "[optimizer][sparse]") {
  const OptimizerFactory factories[] = {adam({.lr = 0.01, .weight_decay = 0.1}), adamw({.lr = 0.01}),
                                        sgd({.lr = 0.05, .momentum = 0.9}),
                                        rmsprop({.momentum = 0.5, .centered = true}), adagrad()};
  torch::manual_seed(5);
  const std::vector<Segment> some{{10, 20}, {30, 5}, {90, 10}};
  for (const auto& factory : factories) {
    std::vector<float> all(100, 0.5F), alone(35, 0.5F);
    const auto lazy = factory(100), plain = factory(35);
    REQUIRE(lazy->steps_lazily());
    for (int step = 0; step < 5; ++step) {
      const auto gradient = torch::randn({35});
      const std::span<const float> values{gradient.data_ptr<float>(), 35};
      std::vector<float> change(35), change_alone(35);
      lazy->lazy_step(all, some, values, step % 2 == 0 ? std::span(change) : std::span<float>());
      plain->tracked_step(alone, values, change_alone);
      if (step % 2 == 0) CHECK(farthest(change, change_alone) < 1e-7F);
    }
    std::vector<float> expected(100, 0.5F);
    auto from = alone.begin();
    for (const auto& segment : some) {
      std::copy_n(from, segment.count, expected.begin() + segment.first);
      from += segment.count;
    }
    CHECK(farthest(all, expected) < 1e-6F);
  }
}

TEST_CASE("replicas with sparse embeddings end alike", "[network][sparse][replica][exchange]") {
  for (const auto& topology : topologies()) {
    for (const auto what : {exchange::updates, exchange::gradients}) {
      for (const std::uint64_t every : {1, 3}) {
        INFO(topology.name() << ", every " << every);
        const auto ended = train_texts(on_topology(topology), true, 400, 8,
                                       {.optimizer = adam({.lr = 1e-3}),
                                        .replicas = 2 * topology.nodes,
                                        .exchange = what,
                                        .every = {.steps = every}});
        REQUIRE(ended.size() == static_cast<std::size_t>(2 * topology.nodes));
        for (const auto& one : ended) CHECK(farthest(one, ended.front()) < 1e-4F);
        // Rows that no text has are as they were.
        const auto begun = make_learner(network(texts(true)), {});
        std::size_t same = 0;
        for (std::size_t i = 0; i < begun->size(); ++i)
          same += static_cast<std::size_t>(std::abs(begun->parameters()[i] - ended.front()[i]) < 1e-6F);
        CHECK(same >= 2 * 50 * columns);
      }
    }
  }
}

TEST_CASE("a delta of sparse embeddings is their touched rows, and all that is no table",
          "[network][sparse][exchange]") {
  constexpr int batches = 100;
  constexpr std::size_t batch = 2;
  const auto bytes_with = [&](bool sparse, int n) {
    testing::Cluster cluster{{.nodes = 2, .seed = 5}};
    train_texts([&](const auto& build) { cluster.run(build); }, sparse, n, batch,
                {.patience = 0, .measure_divergence = 0});
    return static_cast<std::size_t>(cluster.bytes_sent());
  };
  const auto sent = bytes_with(true, batches * batch) - bytes_with(true, 0);
  const auto dense = bytes_with(false, batches * batch) - bytes_with(false, 0);
  const std::size_t others = make_learner(network(texts(true)), {})->size() - 2 * table_rows * columns;
  CHECK(sent <= batches * ((others + batch * (words_a_text + 1) * columns) * sizeof(float) +
                           (batch * (words_a_text + 1) + 4) * sizeof(Segment) + 400));
  CHECK(sent >= batches * others * sizeof(float));
  CHECK(dense >= 8 * sent);
}

TEST_CASE("a batch that is not finite is left out where embeddings are sparse", "[network][sparse][replica]") {
  const Loss loss = [](const at::Tensor& output, const at::Tensor& target) {
    const auto plain = torch::nn::functional::cross_entropy(output, target);
    // As if the data had it: of one batch, the last of 163 texts, or of a node's 83.
    return target.numel() == 3 ? plain * std::nan("") : plain;
  };
  for (const int nodes : {1, 2}) {
    const auto run = [&](const ModelOptions& options) {
      testing::Cluster cluster{{.nodes = nodes, .seed = 3}};
      return train_texts([&](const auto& build) { cluster.run(build); }, true, nodes == 1 ? 163 : 167, 8, options);
    };
    CHECK_THROWS_WITH(run({.loss = loss}), ContainsSubstring("not finite"));
    for (const auto& one : run({.loss = loss, .on_not_finite = not_finite::skip}))
      CHECK(std::all_of(one.begin(), one.end(), [](float value) { return std::isfinite(value); }));
  }
  testing::Cluster cluster{{.nodes = 1, .seed = 3}};
  const auto ended = train_texts([&](const auto& build) { cluster.run(build); }, true, 163, 8,
                                 {.loss = loss, .on_not_finite = not_finite::roll_back});
  const auto& one = ended.at(0);
  CHECK(std::all_of(one.begin(), one.end(), [](float value) { return std::isfinite(value); }));
}

TEST_CASE("a sparse table that a batch does not ask, or that is a layer's weights as well, is learnt right",
          "[network][sparse]") {
  struct TiedImpl : torch::nn::Module {
    explicit TiedImpl(bool sparse) {
      const auto of = [&](std::int64_t n) { return torch::nn::EmbeddingOptions(n, columns).sparse(sparse); };
      words = register_module("words", torch::nn::Embedding(of(20)));
      asked_seldom = register_module("asked_seldom", torch::nn::Embedding(of(30)));
    }
    auto forward(const at::Tensor& ids) -> at::Tensor {
      auto hidden = words->forward(ids);
      if (ids.size(0) > 4) hidden = hidden + asked_seldom->forward(ids);
      return torch::matmul(hidden, words->weight.t());
    }
    torch::nn::Embedding words{nullptr}, asked_seldom{nullptr};
  };
  const auto made = [](bool sparse) {
    torch::manual_seed(3);
    return make_learner(network(std::make_shared<TiedImpl>(sparse)), {});
  };
  const auto dense = made(false), sparse = made(true);
  for (const int count : {3, 5, 3}) {
    const TensorBatch batch{torch::arange(count), torch::arange(count)};
    CHECK(sparse->compute(batch).loss == Approx(dense->compute(batch).loss));
    CHECK(farthest(whole_gradient(*sparse), whole_gradient(*dense)) < 1e-6F);
    CHECK(sparse->gradient().size() == static_cast<std::size_t>(20 + (count > 4 ? count : 0)) * columns);
  }
}

TEST_CASE("a model with sparse embeddings goes on from a checkpoint", "[network][sparse][checkpoint]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "net.ckpt";
  const ModelOptions options{.optimizer = adam({.lr = 1e-2})};
  auto writing = options, going_on = options;
  writing.checkpoint.file = going_on.checkpoint.file = file;
  going_on.checkpoint.resume = true;
  train_texts(on_topology(Topology{}), true, 100, 10, writing);
  const auto ended = train_texts(on_topology(Topology{}), true, 100, 10, going_on);
  const auto twice = make_learner(network(texts(true)), options);
  const auto optimizer = twice->make_optimizer(options.optimizer);
  for (int n = 0; n < 20; ++n) {
    twice->compute(texts_batch(n % 10 * 10, 10));
    twice->update(*optimizer, {}, {});
  }
  CHECK(farthest(ended.at(0), twice->parameters()) < 1e-5F);
}

TEST_CASE("what cannot be done with sparse embeddings is said", "[network][sparse][error]") {
  const auto refused = [](const ModelOptions& options) {
    return [options] { make_learner(network(texts(true)), options)->make_optimizer(options.optimizer); };
  };
  CHECK_THROWS_WITH(refused({.accumulate = 2})(),
                    ContainsSubstring("accumulate needs the gradients of all parameters"));
  CHECK_THROWS_WITH(refused({.staleness = {.compensation = 2}})(), ContainsSubstring("staleness.compensation needs"));
  const auto libtorchs = libtorch_optimizer(
      [](std::vector<at::Tensor> all) { return std::make_unique<torch::optim::SGD>(std::move(all), 0.1); });
  CHECK_THROWS_WITH(refused({.optimizer = libtorchs})(),
                    ContainsSubstring("cannot step the rows of a sparse embedding"));
  const auto plain = libtorchs(3);
  CHECK_THROWS_WITH(plain->lazy_step({}, {}, {}, {}), ContainsSubstring("does not step some parameters alone"));
  // Frozen tables are none.
  ModelOptions frozen{.accumulate = 2};
  frozen.groups = {{.match = "bag.*", .frozen = true}, {.match = "authors.*", .frozen = true}};
  CHECK_FALSE(make_learner(network(texts(true)), frozen)->touches_few());
}
