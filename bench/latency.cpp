// How long a record's result takes, at half of the rate that can be sustained.
//
//   latency [--json FILE] [--quick] [--seconds N] [--records N]
//
// Two pipelines, each on one node and on two (processes of this machine, over TCP):
//
//   keyed count     every record goes to the instance of its key, is counted, and its result comes back to node 0
//   tumbling count  the Yahoo streaming benchmark's: of advertising events, the views are joined with a table of
//                   campaigns in memory and counted by campaign in windows of 10 ms (its 10 s would give too few
//                   results)
//
// The load is an open loop (at_rate): a record's latency is the time from when it was due to when its result is at the
// sink; of a window's result, from when the first record behind the window's end was due. First each pipeline runs as
// fast as it can, which gives the rate that can be sustained.

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <tensair/io/at_rate.hpp>
#include <tensair/pipeline.hpp>
#include <vector>

#include "child.hpp"
#include "listener.hpp"
#include "report.hpp"
#include "statistics.hpp"

namespace {

using namespace std::chrono_literals;
using tensair::Time;

/// A rate so high that every record is overdue.
constexpr double without_limit = 1e12;
constexpr auto window = std::chrono::milliseconds{10};
constexpr std::uint32_t keys = 10'000, campaigns = 100, ads = 1'000;

struct Event {
  std::uint32_t ad = 0;
  std::uint32_t kind = 0;  // 0 is a view
  Time due;
};
struct View {
  std::uint32_t campaign = 0;
  Time due;
};
struct Counted {
  std::uint64_t count = 0;
  Time due;
};

/// Marsaglia's xorshift of a record's number.
auto scatter(std::uint64_t n) -> std::uint64_t {
  n += 88172645463325252;
  n ^= n << 13;
  n ^= n >> 7;
  n ^= n << 17;
  return n;
}

/// Latencies of a sink's records: of one in `every`, because asking for the time costs more than counting. The first
/// tenth does not count.
class Latencies {
 public:
  /// @param every  0: of none
  explicit Latencies(unsigned every) : every_(every) {
    if (every > 0) all_.reserve(8'000'000);
  }

  void add(Time due) {
    if (every_ == 0 || ++seen_ % every_ != 0) return;
    const auto latency = std::chrono::steady_clock::now() - due;
    // The last windows' results come at the end of the stream, before the window's.
    if (latency > latency.zero()) all_.push_back(std::chrono::duration<float, std::milli>(latency).count());
  }
  /// The median, p99 and p99.9, ms.
  auto quantiles() const -> std::array<double, 3> {
    std::vector<double> kept(all_.begin() + static_cast<std::ptrdiff_t>(all_.size() / 10), all_.end());
    if (kept.empty()) return {};
    return {bench::quantile(kept, 0.5), bench::quantile(kept, 0.99), bench::quantile(kept, 0.999)};
  }

 private:
  unsigned every_, seen_ = 0;
  std::vector<float> all_;
};

auto events(double rate, std::uint64_t records) {
  return tensair::at_rate(rate, [records](std::uint64_t i, Time due) -> std::optional<Event> {
    if (i == records) return std::nullopt;
    const auto drawn = scatter(i);
    return Event{static_cast<std::uint32_t>(drawn % ads), static_cast<std::uint32_t>(drawn >> 32) % 3, due};
  });
}

void keyed_count(tensair::Pipeline& pipeline, double rate, std::uint64_t records, Latencies& latencies) {
  pipeline
      .source(tensair::at_rate(rate,
                               [records](std::uint64_t i, Time due) -> std::optional<View> {
                                 if (i == records) return std::nullopt;
                                 return View{static_cast<std::uint32_t>(scatter(i) % keys), due};
                               }))
      .key_by(&View::campaign)
      .with_state<std::uint64_t>([](std::uint64_t& count, const View& view) {
        return Counted{++count, view.due};
      })
      .sink([&](const Counted& counted) { latencies.add(counted.due); });
}

/// The runtime's time as event time: the two differ by a constant that does not matter here.
auto event_time(Time time) -> tensair::EventTime {
  return tensair::EventTime{std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch())};
}

void tumbling_count(tensair::Pipeline& pipeline, double rate, std::uint64_t records, Latencies& latencies) {
  pipeline.source(events(rate, records))
      .filter([](const Event& event) { return event.kind == 0; })
      .map([](const Event& event) {
        return View{event.ad / (ads / campaigns), event.due};
      })
      .assign_timestamps([](const View& view) { return event_time(view.due); })
      .key_by(&View::campaign)
      .window(tensair::tumbling(window))
      .count()
      .sink([&](const auto& result) { latencies.add(Time{result.window.end.time_since_epoch()}); });
}

using Build = void (*)(tensair::Pipeline&, double, std::uint64_t, Latencies&);

struct Workload {
  std::string name;
  Build build;
  unsigned every;  // so many results one is measured
};
const Workload workloads[] = {{"keyed count", keyed_count, 16}, {"tumbling count", tumbling_count, 1}};

/// One node of a run, in a process of its own (`--node`): node 0 says the seconds that the run took and its quantiles.
auto run_node(std::size_t workload, double rate, std::uint64_t records, tensair::Options options) -> int {
  Latencies latencies{rate < without_limit ? workloads[workload].every : 0};
  tensair::Pipeline pipeline{std::move(options)};
  workloads[workload].build(pipeline, rate, records, latencies);
  const auto start = std::chrono::steady_clock::now();
  pipeline.execute();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (pipeline.options().rank != 0) return 0;
  const auto q = latencies.quantiles();
  bench::say(fmt::format("{} {} {} {}", seconds, q[0], q[1], q[2]));
  return 0;
}

struct Outcome {
  double seconds = 0, p50 = 0, p99 = 0, p999 = 0;
};

/// Runs a workload in processes of their own, one a node.
auto run_processes(std::size_t workload, double rate, std::uint64_t records, int nodes) -> Outcome {
  std::vector<bench::Child> children;
  std::vector<bench::Listener> listeners;
  std::string addresses;
  for (int rank = 0; rank < nodes && nodes > 1; ++rank) {
    listeners.push_back(bench::listen_anywhere());
    addresses += (rank > 0 ? "," : "") + listeners.back().address;
  }
  for (int rank = nodes - 1; rank >= 0; --rank) {
    std::vector<std::string> arguments{"--node", std::to_string(rank),    "--workload", std::to_string(workload),
                                       "--rate", fmt::format("{}", rate), "--records",  std::to_string(records)};
    std::vector<int> inherited;
    if (nodes > 1) {
      const int socket = listeners[static_cast<std::size_t>(rank)].socket;
      arguments.insert(arguments.end(), {"--addresses", addresses, "--socket", std::to_string(socket)});
      inherited.push_back(socket);
    }
    children.emplace_back(std::move(arguments), inherited);
  }
  for (const auto& listener : listeners) ::close(listener.socket);
  Outcome outcome;
  const auto line = children.back().hear();
  if (std::sscanf(line.c_str(), "%lf %lf %lf %lf", &outcome.seconds, &outcome.p50, &outcome.p99, &outcome.p999) != 4)
    throw tensair::Error("a node says what it should not", line);
  return outcome;
}

void run(double seconds, std::uint64_t records, int repetitions, const std::filesystem::path& json) {
  bench::Report report;
  for (std::size_t workload = 0; workload < std::size(workloads); ++workload) {
    for (const int nodes : {1, 2}) {
      std::vector<double> rates, p50, p99, p999;
      for (int i = 0; i < repetitions; ++i)
        rates.push_back(static_cast<double>(records) / run_processes(workload, without_limit, records, nodes).seconds);
      const double sustainable = bench::median(rates);
      const double rate = sustainable / 2;
      for (int i = 0; i < repetitions; ++i) {
        const auto outcome = run_processes(workload, rate, static_cast<std::uint64_t>(rate * seconds), nodes);
        p50.push_back(outcome.p50);
        p99.push_back(outcome.p99);
        p999.push_back(outcome.p999);
      }
      const double limit = nodes == 1 ? 1 : 3;  // ms
      report.table(
          fmt::format("{}, {} node{}, {:.2f} M records/s", workloads[workload].name, nodes, nodes > 1 ? "s" : "",
                      rate / 1e6),
          "ms",
          {{"tensair", bench::median(p50), std::nullopt, "p50"},
           {"tensair", bench::median(p99), bench::median(p99) / limit, fmt::format("p99, at most {} ms", limit)},
           {"tensair", bench::median(p999), std::nullopt, "p99.9"}});
    }
  }
  if (!json.empty()) report.write(json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Latency at half of the sustainable rate."};
  std::filesystem::path json;
  double seconds = 5, rate = 0;
  std::uint64_t records = 10'000'000;
  int repetitions = 5, node = -1, socket = -1;
  std::size_t workload = 0;
  std::string addresses;
  bool quick = false;
  app.add_option("--json", json, "where to write the rows");
  app.add_option("--seconds", seconds, "how long a run at half of the rate lasts");
  app.add_option("--records", records, "how many records show the rate that can be sustained");
  app.add_option("--repetitions", repetitions, "how often each is run")->check(CLI::PositiveNumber);
  app.add_flag("--quick", quick, "within 20 s");
  // What the benchmark tells its own processes.
  app.add_option("--node", node)->group("");
  app.add_option("--workload", workload)->group("");
  app.add_option("--rate", rate)->group("");
  app.add_option("--addresses", addresses)->group("");
  app.add_option("--socket", socket)->group("");
  CLI11_PARSE(app, argc, argv);
  if (quick) {
    seconds = 1;
    records = 2'000'000;
    repetitions = 1;
  }
  try {
    if (node >= 0) {
      tensair::Options options;
      options.program = "latency";
      options.rank = node;
      options.listen_socket = socket;
      options.quiet = true;
      for (std::size_t at = 0; at < addresses.size();) {
        const auto comma = std::min(addresses.find(',', at), addresses.size());
        options.nodes.push_back(addresses.substr(at, comma - at));
        at = comma + 1;
      }
      return run_node(workload, rate, records, std::move(options));
    }
    run(seconds, records, repetitions, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "latency: {}\n", error.what());
    return 1;
  }
}
