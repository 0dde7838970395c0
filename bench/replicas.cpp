// What many replicas learn from an image: images to 60 % of test accuracy, beside one replica and synchronous training.
//
//   replicas [--data FOLDER] [--replicas N …] [--seeds N] [--batch N] [--lr RATE] [--only KIND] [--json FILE]
//
// Replicas run in the simulated cluster, in virtual time: a step takes 25 ms, give or take 5 %, and a message 0.1 ms,
// so what each gradient has not seen is as on so many machines, and does not depend on how fast this one is.
// Synchronous training steps with the mean gradient of as many batches as there are replicas, which is one step of so
// large a batch. Adam, rate 1e-3, batch 128, as in the sample (--lr, --batch: of all but the one). 60 % is reached when
// three tests in a row have it on average.
//
// parts: cifar10

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <tensair/tensair.hpp>
#include <tensair/testing/cluster.hpp>

#include "cifar10/collate.hpp"
#include "cifar10/dataset.hpp"
#include "cifar10/network.hpp"
#include "cifar10/settings.hpp"
#include "cifar10/source.hpp"
#include "report.hpp"
#include "statistics.hpp"

namespace {

using namespace std::chrono_literals;

struct Data {
  std::shared_ptr<const std::vector<cifar10::Image>> train;
  std::vector<cifar10::Image> test;
};

/// Tells when three tests in a row have been good enough on average.
class Goal {
 public:
  auto reached(double accuracy) -> bool {
    last_[next_++ % last_.size()] = accuracy;
    return next_ >= last_.size() && std::accumulate(last_.begin(), last_.end(), 0.0) / 3 >= 0.6;
  }

 private:
  std::array<double, 3> last_{};
  std::size_t next_ = 0;
};

/// Images until somebody has had enough of them.
class ImagesUntil {
 public:
  using value_type = cifar10::Image;
  ImagesUntil(cifar10::ShuffledImages images, std::shared_ptr<const bool> enough)
      : images_(std::move(images)), enough_(std::move(enough)) {}

  void split(int part, int parts) { images_.split(part, parts); }
  auto next() -> std::optional<cifar10::Image> { return *enough_ ? std::nullopt : images_.next(); }

 private:
  cifar10::ShuffledImages images_;
  std::shared_ptr<const bool> enough_;
};

struct Run {
  std::uint64_t images = 0;  // 0: not reached
  double staleness = 0;      // mean
};

struct Setting {
  std::string name;
  tensair::ModelOptions options{};
};

auto simulate(const Data& data, int replicas, const Setting& setting, int batch, double lr, std::uint64_t seed) -> Run {
  constexpr std::uint64_t between_tests = 2'560;
  Run run;
  Goal goal;
  const auto enough = std::make_shared<bool>(false);
  std::vector<tensair::ModelHandle> handles;
  tensair::testing::Cluster cluster{
      {.nodes = replicas, .seed = seed, .turn = 25ms, .delay = 100us, .turn_spread = 0.05}};
  const cifar10::Settings settings;
  cluster.run([&](tensair::Pipeline& pipeline) {
    auto options = setting.options;
    options.optimizer = tensair::adam({.lr = lr});
    auto net = pipeline.model(
        "cnn", [] { return cifar10::make_network(); }, options);
    handles.push_back(net);
    pipeline.source(ImagesUntil({data.train, seed, 40}, enough))
        .batch(static_cast<std::size_t>(batch))
        .model(net, cifar10::collator(settings))
        .train();
    pipeline.source(data.test)
        .batch(500)
        .model(net, cifar10::collator(settings))
        .validate({.every = between_tests})
        .sink([&](const tensair::Validation& one) {
          if (run.images == 0 && goal.reached(one.score.accuracy())) {
            run.images = one.due;
            *enough = true;
          }
        });
  });
  std::uint64_t deltas = 0, sum = 0;
  for (const auto& handle : handles) {
    const auto counts = handle.runtime()->figures().staleness_counts;
    for (std::size_t v = 0; v < counts.size(); ++v) {
      deltas += counts[v];
      sum += v * counts[v];
    }
  }
  run.staleness = deltas > 0 ? static_cast<double>(sum) / static_cast<double>(deltas) : 0;
  return run;
}

void run(const Data& data, const std::vector<int>& counts, int seeds, double lr, int batch_size,
         const std::string& only, const std::filesystem::path& json) {
  const std::vector<Setting> settings = {
      {"default"},
      {"neither patience nor anticipation", {.patience = 0, .anticipate = false}},
      {"divided by staleness", {.patience = 0, .anticipate = false, .staleness = {.scale = true}}},
      {"delay compensation", {.patience = 0, .anticipate = false, .staleness = {.compensation = 2}}}};
  bench::Report report;
  std::vector<bench::Row> rows;
  const auto measure = [&](const std::string& name, int replicas, const Setting& setting, int batch) {
    std::vector<double> images, staleness;
    for (int seed = 1; seed <= seeds; ++seed) {
      const auto one =
          simulate(data, replicas, setting, batch, rows.empty() ? 1e-3 : lr, static_cast<std::uint64_t>(seed));
      images.push_back(one.images > 0 ? static_cast<double>(one.images) : 1e9);
      staleness.push_back(one.staleness);
    }
    const double median = bench::median(images);
    const double alone = rows.empty() ? median : rows.front().value;
    rows.push_back(
        {name, median, median / alone, fmt::format("{} (staleness {:.1f})", name, bench::median(staleness))});
    fmt::print(stderr, "{}: {}\n", name, images);
  };
  measure("one replica", 1, settings.front(), 128);
  for (const int count : counts) {
    for (const auto& setting : settings) {
      if (only.empty() || only == setting.name)
        measure(fmt::format("{}, {}", count, setting.name), count, setting, batch_size);
    }
    if (only.empty() || only == "synchronous")
      measure(fmt::format("{}, synchronous", count), 1, settings.front(), batch_size * count);
  }
  report.table(fmt::format("images to 60 %, {} seeds", seeds), "images", rows);
  if (!json.empty()) report.write(json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What many replicas learn from an image."};
  std::filesystem::path json, folder;
  std::vector<int> counts{4, 8, 16};
  int seeds = 3, batch = 128;
  double lr = 1e-3;
  std::string only;
  if (const char* data = std::getenv("TENSAIR_DATA")) folder = std::filesystem::path(data) / "cifar10";
  app.add_option(
      "--data", folder,
      "folder of CIFAR-10's binary files (default: $TENSAIR_DATA/cifar10; without it, images are generated)");
  app.add_option("--replicas", counts, "how many")->check(CLI::Range(2, 1'024));
  app.add_option("--seeds", seeds, "runs of each")->check(CLI::PositiveNumber);
  app.add_option("--batch", batch, "images a batch of all but the one replica")->check(CLI::Range(1, 100'000));
  app.add_option("--lr", lr, "of all but the one replica")->check(CLI::PositiveNumber);
  app.add_option("--only", only, "one setting, or synchronous");
  app.add_option("--json", json, "where to write the rows");
  CLI11_PARSE(app, argc, argv);
  try {
    cifar10::apply({});
    auto images = folder.empty() ? cifar10::generate(1, 20'000, 2'000) : cifar10::read(folder);
    run({std::make_shared<const std::vector<cifar10::Image>>(std::move(images.train)), std::move(images.test)}, counts,
        seeds, lr, batch, only, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "replicas: {}\n", error.what());
    return 1;
  }
}
