// How many records a second a model answers, and how long a lone one takes.
//
//   predict [--json FILE] [--quick]
//
// Throughput: a source of tensors as fast as it can, predict with the batch size that is best for the bare model, a
// sink that counts. The limit is the bare model: forward passes over one batch that lies ready, on one thread as the
// replica's; neither collating nor handing over is in it. The two take turns, five times.
//
// Latency: one record every 25 ms, so each is alone in its batch and waits for the whole of `max_delay`. Its time
// counts from when it was due to when its answer is at the sink; the bare model's forward of one record is measured at
// the same pace, because after 25 ms of nothing its weights are no longer in the caches.

#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <tensair/io/at_rate.hpp>
#include <tensair/tensair.hpp>
#include <thread>
#include <vector>

#include "report.hpp"
#include "statistics.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t features = 784, hidden = 1'024, classes = 10;
constexpr auto max_delay = 2ms;
constexpr auto pause = 25ms;

auto make_net() -> torch::nn::Sequential {
  return torch::nn::Sequential(torch::nn::Linear(features, hidden), torch::nn::ReLU(),
                               torch::nn::Linear(hidden, hidden), torch::nn::ReLU(),
                               torch::nn::Linear(hidden, classes));
}

auto seconds_since(Clock::time_point begin) -> double {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Records a second of the model alone.
auto bare_throughput(torch::nn::Sequential& net, std::int64_t batch, double seconds) -> double {
  const torch::NoGradGuard no_grad;
  const auto input = torch::rand({batch, features});
  net->forward(input);
  std::int64_t records = 0;
  const auto begin = Clock::now();
  while (seconds_since(begin) < seconds) {
    net->forward(input);
    records += batch;
  }
  return static_cast<double>(records) / seconds_since(begin);
}

/// Records a second of a pipeline, without its start: from the first answer to the last.
auto pipeline_throughput(const std::vector<at::Tensor>& records, std::int64_t batch, std::uint64_t count) -> double {
  tensair::Pipeline pipeline;
  auto net = pipeline.model("net", make_net);
  std::uint64_t answered = 0;
  std::optional<Clock::time_point> first;
  Clock::time_point last{};
  pipeline
      .source([&, n = std::uint64_t{0}]() mutable {
        return n < count ? std::optional(records[n++ % records.size()]) : std::nullopt;
      })
      .model(net)
      .predict({.max_batch = static_cast<std::size_t>(batch), .max_delay = max_delay})
      .sink([&](const tensair::Prediction<at::Tensor>&) {
        if (!first) first = Clock::now();
        if (++answered == count) last = Clock::now();
      });
  pipeline.execute();
  return static_cast<double>(count) / std::chrono::duration<double>(last - *first).count();
}

/// Milliseconds of the model alone for one record, once every `pause`.
auto bare_latencies(torch::nn::Sequential& net, std::uint64_t count) -> std::vector<double> {
  const torch::NoGradGuard no_grad;
  const auto input = torch::rand({1, features});
  std::vector<double> all;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::this_thread::sleep_for(pause);
    const auto begin = Clock::now();
    net->forward(input);
    all.push_back(seconds_since(begin) * 1e3);
  }
  return all;
}

struct Lone {
  at::Tensor input;
  tensair::Time due;
};
auto collate(std::span<const Lone> some) -> at::Tensor {
  std::vector<at::Tensor> inputs;
  for (const auto& one : some) inputs.push_back(one.input);
  return torch::stack(inputs);
}

auto pipeline_latencies(const std::vector<at::Tensor>& records, std::uint64_t count) -> std::vector<double> {
  tensair::Pipeline pipeline;
  auto net = pipeline.model("net", make_net);
  std::vector<double> all;
  pipeline
      .source(tensair::at_rate(1.0 / std::chrono::duration<double>(pause).count(),
                               [&](std::uint64_t i, tensair::Time due) -> std::optional<Lone> {
                                 if (i == count) return std::nullopt;
                                 return Lone{records[i % records.size()], due};
                               }))
      .model(net)
      .predict({.max_batch = 64, .max_delay = max_delay})
      .sink([&](const tensair::Prediction<Lone>& one) {
        all.push_back(std::chrono::duration<double, std::milli>(Clock::now() - one.record.due).count());
      });
  pipeline.execute();
  all.erase(all.begin());  // the first forward pass sets LibTorch up
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"How many records a second a model answers, and how long a lone one takes"};
  std::string json;
  bool quick = false;
  app.add_option("--json", json, "write the rows here");
  app.add_flag("--quick", quick, "within 20 s");
  CLI11_PARSE(app, argc, argv);

  at::set_num_threads(1);
  torch::manual_seed(1);
  auto net = make_net();
  net->eval();
  std::vector<at::Tensor> records;
  for (int i = 0; i < 4'096; ++i) records.push_back(torch::rand({features}));
  const double seconds = quick ? 0.5 : 2;
  const int runs = quick ? 3 : 5;

  bench::Report report;
  std::int64_t best = 1;
  double best_rate = 0;
  for (const std::int64_t batch : {1, 8, 32, 64, 128, 256, 512}) {
    const double rate = bare_throughput(net, batch, seconds / 4);
    if (rate > best_rate) {
      best_rate = rate;
      best = batch;
    }
  }
  std::vector<double> bare, ours, ratios;
  for (int run = 0; run < runs; ++run) {
    bare.push_back(bare_throughput(net, best, seconds));
    ours.push_back(pipeline_throughput(records, best, static_cast<std::uint64_t>(best_rate * seconds)));
    ratios.push_back(ours.back() / bare.back());
  }
  report.table("predict, an MLP of 1.9 M parameters, batches of " + std::to_string(best), "records/s",
               {{"limit", bench::median(bare), 1.0, "bare model, batches ready"},
                {"tensair", bench::median(ours), bench::median(ratios)}});
  report.end_of_section();

  const std::uint64_t lone = quick ? 100 : 400;
  const auto forward = bare_latencies(net, lone);
  const auto answered = pipeline_latencies(records, lone);
  const double delay = std::chrono::duration<double, std::milli>(max_delay).count();
  const double bound = delay + 1.2 * bench::median(forward);
  const auto row = [&](const std::string& system, double value, const std::string& label) {
    return bench::Row{system, value, std::nullopt, label};
  };
  report.table("a lone record, median", "ms",
               {row("bare forward", bench::median(forward), "bare forward of one record"),
                row("tensair", bench::median(answered), "tensair, 2 ms of them waiting for others")});
  report.table("a lone record, p99", "ms",
               {row("bare forward", bench::quantile(forward, 0.99), "bare forward of one record"),
                row("bound", bound, "max_delay + 1.2 x the median forward"),
                bench::Row{"tensair", bench::quantile(answered, 0.99), bound / bench::quantile(answered, 0.99)}});
  if (!json.empty()) report.write(json);
}
