// What a training step of a module with a large embedding costs, made with sparse(true) and without.
//
//   embedding [--json FILE] [--quick]
//
// The module: an EmbeddingBag of 100,000 rows of 300 floats, and a small layer. A batch of 64 texts of 20 words touches
// about 1,270 rows. All in one process, by turns: a loop of LibTorch's own operations with its sparse gradients and its
// SGD; tensair's learner with sparse gradients, which also says what its step has changed; the same with dense ones.

#include <fmt/format.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <tensair/model/learner.hpp>
#include <tensair/model/optimizer.hpp>
#include <vector>

#include "report.hpp"
#include "seconds.hpp"
#include "statistics.hpp"

namespace {

using namespace tensair;

constexpr std::int64_t rows = 100'000, columns = 300, texts = 64, words = 20;
constexpr double rate = 0.1;

struct TextsImpl : torch::nn::Module {
  explicit TextsImpl(bool sparse) {
    bag = register_module("bag", torch::nn::EmbeddingBag(
                                     torch::nn::EmbeddingBagOptions(rows, columns).mode(torch::kMean).sparse(sparse)));
    out = register_module("out", torch::nn::Linear(columns, 2));
  }
  auto forward(const at::Tensor& text) -> at::Tensor { return out->forward(bag->forward(text)); }
  torch::nn::EmbeddingBag bag{nullptr};
  torch::nn::Linear out{nullptr};
};
TORCH_MODULE(Texts);

auto some_texts() -> TensorBatch {
  return {torch::randint(rows, {texts, words}, torch::kLong), torch::randint(2, {texts}, torch::kLong)};
}

/// A loop of LibTorch's alone.
class Bare {
 public:
  void step(const TensorBatch& batch) {
    optimizer_.zero_grad();
    torch::nn::functional::cross_entropy(net_->forward(batch.input), batch.target).backward();
    optimizer_.step();
  }

 private:
  Texts net_{true};
  torch::optim::SGD optimizer_{net_->parameters(), rate};
};

/// A replica's learner, its optimiser, and what is told to others.
class Tensair {
 public:
  Tensair(bool sparse, const OptimizerFactory& optimizer)
      : learner_(make_learner(network(Texts(sparse)), {.loss = cross_entropy})),
        optimizer_(learner_->make_optimizer(optimizer)) {}

  void step(const TensorBatch& batch) {
    learner_->compute(batch);
    if (!learner_->touches_few()) {
      change_.resize(learner_->size());
      return learner_->update(*optimizer_, {}, change_);
    }
    const auto gradient = learner_->gradient();
    change_.resize(gradient.size());
    learner_->update_some(*optimizer_, learner_->touched(), gradient, change_);
  }
  auto touched_rows() const -> std::size_t { return change_.size() / columns; }

 private:
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<float> change_;
};

template <class Loop>
auto milliseconds(Loop& loop, const std::vector<TensorBatch>& batches) -> double {
  const double began = bench::wall_seconds();
  for (const auto& batch : batches) loop.step(batch);
  return 1e3 * (bench::wall_seconds() - began) / static_cast<double>(batches.size());
}

void run(bool quick, const std::filesystem::path& json) {
  at::set_num_threads(1);
  torch::manual_seed(1);
  Bare bare;
  Tensair sparse{true, sgd({.lr = rate})}, lazy{true, adam()}, dense{false, sgd({.lr = rate})};
  std::vector<double> of_bare, of_sparse, of_lazy, of_dense, ratios;
  for (int round = 0; round < (quick ? 6 : 21); ++round) {
    std::vector<TensorBatch> batches;
    for (int i = 0; i < 20; ++i) batches.push_back(some_texts());
    const std::vector<TensorBatch> few(batches.begin(), batches.begin() + 3);
    const double first = milliseconds(bare, batches), second = milliseconds(sparse, batches);
    const double third = milliseconds(lazy, batches), fourth = milliseconds(dense, few);
    if (round == 0) continue;  // memory is mapped
    of_bare.push_back(first);
    of_sparse.push_back(second);
    of_lazy.push_back(third);
    of_dense.push_back(fourth);
    ratios.push_back(first / second);
  }
  const double limit = bench::median(of_bare);
  const auto row = [&](const char* what, const std::vector<double>& all) {
    return bench::Row{what, bench::median(all), limit / bench::median(all), {}};
  };
  bench::Report report;
  report.table(
      "embedding, ms a step", "ms",
      {row("LibTorch's loop, sparse, SGD (the limit)", of_bare), row("tensair, sparse, SGD, and the change", of_sparse),
       row("tensair, sparse, lazy Adam, and the change", of_lazy),
       row("tensair, dense, SGD, and the change", of_dense)});
  const auto interval = bench::median_interval(ratios);
  report.note("LibTorch's step / tensair's, both sparse: {:.2f} [{:.2f}, {:.2f}]", bench::median(ratios), interval.low,
              interval.high);
  report.note("{} rows touched, {:.2f} µs a row in all", sparse.touched_rows(),
              1e3 * bench::median(of_sparse) / static_cast<double>(sparse.touched_rows()));
  if (!json.empty()) report.write(json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What a training step of a module with a large embedding costs."};
  std::filesystem::path json;
  bool quick = false;
  app.add_option("--json", json, "where to write the rows");
  app.add_flag("--quick", quick, "within 10 s");
  CLI11_PARSE(app, argc, argv);
  try {
    run(quick, json);
  } catch (const std::exception& error) {
    fmt::print(stderr, "embedding: {}\n", error.what());
    return 1;
  }
}
