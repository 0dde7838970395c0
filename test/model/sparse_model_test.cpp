#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <tensair/error.hpp>
#include <tensair/model/model.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;

// Models of one's own that say which parameters a batch touches.

namespace {

constexpr std::size_t rows = 512, dim = 16;

// Counts how often each row came, and moves a second table's rows towards a value that is the row's own: what the first
// ends with does not depend on the order of steps, what the second ends with does.
struct Rows {
  std::vector<float> values = std::vector<float>(2 * rows * dim);
  std::vector<Segment> segments{};
  float poison = std::numeric_limits<float>::max();  // a row of this value makes the step not finite

  static auto ids(const TensorBatch& batch) -> std::vector<std::int64_t> {
    const auto flat = batch.input.contiguous();
    return {flat.data_ptr<std::int64_t>(), flat.data_ptr<std::int64_t>() + flat.numel()};
  }
  auto parameters() -> std::span<float> { return values; }
  auto touched(const TensorBatch& batch) -> std::span<const Segment> {
    auto rows_of_batch = ids(batch);
    std::sort(rows_of_batch.begin(), rows_of_batch.end());
    rows_of_batch.erase(std::unique(rows_of_batch.begin(), rows_of_batch.end()), rows_of_batch.end());
    segments.clear();
    for (const std::size_t table : {std::size_t{0}, rows}) {
      for (const auto id : rows_of_batch)
        segments.push_back({static_cast<std::uint32_t>((table + static_cast<std::size_t>(id)) * dim), dim});
    }
    return segments;
  }
  auto step(const TensorBatch& batch) -> Score {
    double loss = 0;
    for (const auto id : ids(batch)) {
      auto* const count = values.data() + static_cast<std::size_t>(id) * dim;
      auto* const moved = count + rows * dim;
      for (std::size_t k = 0; k < dim; ++k) {
        count[k] += static_cast<float>(id) == poison ? std::numeric_limits<float>::quiet_NaN() : 1.0F;
        const float apart = static_cast<float>(id) - moved[k];
        moved[k] += 0.05F * apart;
        loss += static_cast<double>(apart * apart);
      }
    }
    return {loss, static_cast<std::uint64_t>(batch.examples())};
  }
  auto predict(const TensorBatch& batch) -> at::Tensor { return batch.input; }
};

// The n-th example is of row n(n + 1) / 2: some rows come often, some never.
auto row_of(int n) -> std::int64_t {
  const auto number = static_cast<std::int64_t>(n);
  return number * (number + 1) / 2 % static_cast<std::int64_t>(rows - 100);
}

class Examples {
 public:
  using value_type = std::int64_t;
  explicit Examples(int n) : n_(n) {}
  void split(int part, int parts) {
    next_ = part;
    step_ = parts;
  }
  auto next() -> std::optional<std::int64_t> {
    if (next_ >= n_) return std::nullopt;
    return row_of(std::exchange(next_, next_ + step_));
  }

 private:
  int n_, next_ = 0, step_ = 1;
};

auto to_tensor(std::span<const std::int64_t> ids) -> TensorBatch {
  return {torch::tensor(std::vector<std::int64_t>(ids.begin(), ids.end())), {}};
}

struct Ended {
  std::vector<std::vector<float>> parameters;  // of every replica
  std::uint64_t bytes = 0;
};

template <class Run>
auto train_rows(Run run, int n, int batch, ModelOptions options, Rows model = {}) -> Ended {
  std::vector<ModelHandle> handles;
  Ended ended;
  run([&](Pipeline& pipeline) {
    auto net = pipeline.model(
        "rows", [model] { return model; }, options);
    handles.push_back(net);
    pipeline.source(Examples{n}).batch(static_cast<std::size_t>(batch)).model(net, to_tensor).train();
  });
  for (const auto& handle : handles) {
    for (auto* learner : handle.runtime()->learners())
      ended.parameters.emplace_back(learner->parameters().begin(), learner->parameters().end());
  }
  return ended;
}

auto rows_on(const Topology& topology) {
  return [topology](const auto& build) { test::run(topology, build); };
}

auto counts_of(int n) -> std::vector<float> {
  std::vector<float> counts(rows * dim);
  for (int i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < dim; ++k) ++counts[static_cast<std::size_t>(row_of(i)) * dim + k];
  }
  return counts;
}

}  // namespace

TEST_CASE("replicas of a sparse model of one's own end alike, and no step is lost", "[replica][exchange][own]") {
  static_assert(SparseOwnModel<Rows>);
  constexpr int n = 3'000;
  const auto counts = counts_of(n);
  for (const auto& topology : topologies()) {
    for (const auto what : {exchange::updates, exchange::gradients}) {
      for (const std::uint64_t every : {1, 4}) {
        INFO(topology.name() << ", every " << every);
        const auto ended = train_rows(rows_on(topology), n, 20,
                                      {.replicas = 2 * topology.nodes, .exchange = what, .every = {.steps = every}});
        REQUIRE(ended.parameters.size() == static_cast<std::size_t>(2 * topology.nodes));
        for (const auto& one : ended.parameters) {
          CHECK(std::equal(counts.begin(), counts.end(), one.begin()));
          float apart = 0;
          for (std::size_t i = 0; i < one.size(); ++i)
            apart = std::max(apart, std::abs(one[i] - ended.parameters.front()[i]));
          CHECK(apart <= 1e-3F);  // of values up to 400: sums in different orders
        }
      }
    }
  }
}

TEST_CASE("a lone replica of a sparse model steps as the model alone does", "[replica][own]") {
  Rows alone;
  for (int i = 0; i < 400; ++i) alone.step(to_tensor(std::vector{row_of(i)}));
  for (const auto what : {not_finite::stop, not_finite::skip}) {
    const auto ended = train_rows(rows_on(Topology{}), 400, 1, {.on_not_finite = what});
    REQUIRE(ended.parameters.size() == 1);
    CHECK(ended.parameters.front() == alone.values);
  }
}

TEST_CASE("a sparse model's delta is its touched rows", "[replica][exchange][own]") {
  constexpr int batches = 200, batch = 4;
  const auto bytes_with = [&](int n) {
    testing::Cluster cluster{{.nodes = 2, .seed = 5}};
    train_rows([&](const auto& build) { cluster.run(build); }, n, batch, {.patience = 0, .measure_divergence = 0});
    return cluster.bytes_sent();
  };
  // Each delta has at most 2 × 4 rows of 64 bytes and 8 of a segment, and says who made it; the dense one has 64 KiB.
  const auto sent = bytes_with(batches * batch) - bytes_with(0);
  CHECK(sent <= batches * (2 * batch * (dim * sizeof(float) + sizeof(Segment)) + 400));
  CHECK(sent >= batches * dim * sizeof(float));
}

TEST_CASE("a sparse model's step that is not finite is told, or taken back", "[replica][own]") {
  Rows poisoned;
  poisoned.poison = static_cast<float>(row_of(37));
  for (const int nodes : {1, 2}) {
    testing::Cluster cluster{{.nodes = nodes, .seed = 3}};
    const auto run = [&](const auto& build) { cluster.run(build); };
    if (nodes == 2) {
      CHECK_THROWS_WITH(train_rows(run, 400, 1, {.patience = 0}, poisoned),
                        Catch::Matchers::ContainsSubstring("parameters that are not finite"));
    }
    testing::Cluster other{{.nodes = nodes, .seed = 3}};
    const auto ended = train_rows([&](const auto& build) { other.run(build); }, 400, 1,
                                  {.patience = 0, .on_not_finite = not_finite::skip}, poisoned);
    for (const auto& one : ended.parameters) {
      auto expected = counts_of(400);
      const auto left_out = expected.begin() + static_cast<std::ptrdiff_t>(row_of(37)) * dim;
      std::fill(left_out, left_out + dim, 0.0F);
      CHECK(std::equal(expected.begin(), expected.end(), one.begin()));
    }
  }
}

TEST_CASE("what a sparse model says it touches is checked", "[replica][own]") {
  SparseChange change;
  const std::vector<float> parameters(10, 1.0F);
  const auto refused = [&](std::vector<Segment> segments) {
    CHECK_THROWS_WITH(change.begin(segments, parameters), Catch::Matchers::ContainsSubstring("touched(batch)"));
  };
  refused({{0, 0}});
  refused({{5, 2}, {0, 2}});
  refused({{0, 4}, {3, 2}});
  refused({{8, 3}});
  refused({{std::numeric_limits<std::uint32_t>::max(), std::numeric_limits<std::uint32_t>::max()}});
  CHECK_NOTHROW(change.begin(std::vector<Segment>{{0, 4}, {4, 2}, {8, 2}}, parameters));
  CHECK(change.values.size() == 8);
  change.begin({}, parameters);
  CHECK(change.values.empty());
}
