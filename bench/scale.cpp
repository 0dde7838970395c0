// How many replicas a network bears: efficiency, staleness and traffic from 1 to 1,024 nodes, simulated.
//
//   scale [--nodes N …] [--step MS] [--parameters N] [--gbits N] [--steps N] [--json FILE]
//
// What is simulated is the program itself, in virtual time: the tasks, the overlay, the messages, and who waits for
// whom. What is assumed: how long a step takes (measured before), a network card on each node that all its links share,
// and 50 µs for a message's way. Parameters and bandwidth are divided by the same number, so that a thousand models fit
// into one process; what a message says besides its parameters then weighs more, so traffic is a little overstated.
//
// Efficiency is the time that replicas compute, of all their time in so many steps' time. What the network cannot carry
// step by step is added up and arrives later: so staleness, the steps of others that a delta's sender had not seen,
// says what binds. Replicas that step together have not seen each other's step of the same round: half of the others on
// average, which is as it should be.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <tensair/tensair.hpp>
#include <tensair/testing/cluster.hpp>
#include <vector>

namespace {

using namespace std::chrono_literals;

constexpr std::size_t simulated_parameters = 1'000;

/// Moves all its parameters a little with each step.
struct Drifting {
  std::vector<float> values = std::vector<float>(simulated_parameters, 0.0F);

  auto parameters() -> std::span<float> { return values; }
  auto step(const tensair::TensorBatch& batch) -> tensair::Score {
    for (auto& value : values) value += 1e-3F;
    return {.loss = 1, .examples = static_cast<std::uint64_t>(batch.examples())};
  }
  auto predict(const tensair::TensorBatch& batch) -> at::Tensor { return torch::zeros({batch.examples()}); }
};

/// Without end, on every node: a few more than a replica can learn from, and not as many as there is room for in a
/// thousand replicas.
class Batches {
 public:
  using value_type = int;

  explicit Batches(tensair::Duration step) : every_(std::chrono::duration_cast<tensair::Duration>(step / 1.05)) {}
  void split(int, int) {}
  void open(tensair::runtime::Node& node) {
    clock_ = &node.clock();
    due_ = clock_->now();
  }
  auto poll() -> tensair::Poll<int> {
    if (clock_->now() < due_) return tensair::Poll<int>::wait(due_);
    due_ += every_;
    return 0;
  }

 private:
  tensair::Duration every_;
  const tensair::Clock* clock_ = nullptr;
  tensair::Time due_{};
};

struct Setting {
  double step_ms = 25, parameters = 122'570, gbits = 10, patience = tensair::ModelOptions{}.patience;
};

struct Outcome {
  double efficiency = 0;
  double load = 0;  // of a card, on average
  double median = 0, p99 = 0;
};

auto simulate(int nodes, const Setting& setting, int steps) -> Outcome {
  const double divided_by = setting.parameters / static_cast<double>(simulated_parameters);
  tensair::testing::ClusterOptions options{.nodes = nodes, .seed = 1, .delay = 50us, .turn_spread = 0.05};
  options.turn =
      std::chrono::duration_cast<tensair::Duration>(std::chrono::duration<double, std::milli>(setting.step_ms));
  options.node_bytes_per_second = setting.gbits * 1e9 / 8 / divided_by;
  tensair::testing::Cluster cluster{options};
  // A drained run would still train on all batches that wait at replicas, and each node of many has some for each.
  cluster.kill(0, steps * options.turn);
  std::vector<tensair::ModelHandle> handles;
  const auto build = [&](tensair::Pipeline& pipeline) {
    auto model =
        pipeline.model("model", [] { return Drifting{}; }, {.patience = setting.patience, .measure_divergence = 0});
    handles.push_back(model);
    const auto collate = [](std::span<const int> batch) {
      const auto size = static_cast<std::int64_t>(batch.size());
      return std::pair(torch::empty({size}), torch::empty({size}));
    };
    pipeline.source(Batches{options.turn}).batch(1).model(model, collate).train();
  };
  try {
    cluster.run(build);
  } catch (const tensair::NodeError&) {
    // The node that was to end the run.
  }
  Outcome outcome;
  double made = 0;
  for (const auto& handle : handles) made += static_cast<double>(handle.runtime()->figures().steps);
  const double seconds = std::chrono::duration<double>(cluster.elapsed()).count();
  outcome.efficiency = made * setting.step_ms * 1e-3 / (nodes * seconds);
  outcome.load = static_cast<double>(cluster.bytes_sent()) * divided_by * 8 / (nodes * seconds * setting.gbits * 1e9);
  std::vector<double> counts;
  for (const auto& handle : handles) {
    const auto of_node = handle.runtime()->figures().staleness_counts;
    counts.resize(std::max(counts.size(), of_node.size()));
    for (std::size_t v = 0; v < of_node.size(); ++v) counts[v] += static_cast<double>(of_node[v]);
  }
  const double all = std::accumulate(counts.begin(), counts.end(), 0.0);
  const auto quantile = [&](double share) {
    double sum = 0;
    for (std::size_t v = 0; v < counts.size(); ++v) {
      sum += counts[v];
      if (all > 0 && sum >= share * all) return static_cast<double>(v);
    }
    return 0.0;
  };
  outcome.median = quantile(0.5);
  outcome.p99 = quantile(0.99);
  return outcome;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"How many replicas a network bears, simulated."};
  std::vector<int> counts{1, 2, 4, 8, 16, 64, 256, 1'024};
  Setting setting;
  int steps = 200;
  std::filesystem::path json;
  app.add_option("--nodes", counts, "how many")->check(CLI::Range(1, 4'096));
  app.add_option("--step", setting.step_ms, "how long a step takes, ms")->check(CLI::PositiveNumber);
  app.add_option("--parameters", setting.parameters, "of the model")->check(CLI::PositiveNumber);
  app.add_option("--gbits", setting.gbits, "what a node's network card carries a second, each way")
      ->check(CLI::PositiveNumber);
  app.add_option("--patience", setting.patience, "how long a replica waits for others (ModelOptions::patience)")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--steps", steps, "of a replica, about")->check(CLI::PositiveNumber);
  app.add_option("--json", json, "where to write the rows");
  CLI11_PARSE(app, argc, argv);
  try {
    const auto workload =
        fmt::format("{:.0f} parameters, {:g} ms a step, {:g} Gb/s", setting.parameters, setting.step_ms, setting.gbits);
    fmt::print("{}\n{:>8}{:>14}{:>14}{:>22}{:>14}\n", workload, "nodes", "efficiency", "of the card",
               "staleness, median", "p99");
    nlohmann::json rows;
    for (const int nodes : counts) {
      const auto one = simulate(nodes, setting, steps);
      fmt::print("{:>8}{:>14.3f}{:>14.3f}{:>22g}{:>14g}\n", nodes, one.efficiency, one.load, one.median, one.p99);
      std::fflush(stdout);
      rows.push_back({{"workload", workload},
                      {"nodes", nodes},
                      {"efficiency", one.efficiency},
                      {"load", one.load},
                      {"staleness_p50", one.median},
                      {"staleness_p99", one.p99}});
    }
    if (!json.empty() && !(std::ofstream{json} << rows.dump(2) << '\n'))
      throw tensair::Error{"the figures cannot be written", json.string(), "Check the folder."};
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "scale: {}\n", error.what());
    return 1;
  }
}
