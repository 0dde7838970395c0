// samples/cifar10's training, through tensair, against the loop that one would write by hand (bare_loop.hpp).
//
// Both sides work in turns within one run, in short windows (cifar10_window.hpp), each process kept on one core: a
// ratio holds where single runs differ by 15 %. All processes are this program again (cifar10_worker.hpp).

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <numeric>

#include "child.hpp"
#include "cifar10_worker.hpp"
#include "listener.hpp"
#include "report.hpp"
#include "statistics.hpp"

namespace {

using bench::Child;
using bench::Report;
using bench::WorkerArguments;
using nlohmann::json;

struct Arguments {
  std::filesystem::path data =
      std::getenv("TENSAIR_DATA") != nullptr ? std::filesystem::path(std::getenv("TENSAIR_DATA")) / "cifar10" : "";
  int pairs = 20;
  double window = 0.8;
  bool quick = false;
  std::filesystem::path json;
  std::string only;
  WorkerArguments worker;  // of which the benchmark itself uses the seed and the epochs
};

const auto sections = std::vector<std::string>{"one", "two", "bytes", "memory", "accuracy"};

auto parse(int argc, char** argv, Arguments& arguments) -> std::optional<int> {
  auto& worker = arguments.worker;
  CLI::App app{"Trains CIFAR-10's network with tensair and with a bare LibTorch loop, in turns."};
  app.add_option(
      "--data", arguments.data,
      "folder of CIFAR-10's binary files (default: $TENSAIR_DATA/cifar10; without it, images are generated)");
  app.add_option("--pairs", arguments.pairs, "windows of each side")
      ->capture_default_str()
      ->check(CLI::Range(5, 10'000));
  app.add_option("--window", arguments.window, "seconds a window")
      ->capture_default_str()
      ->check(CLI::Range(0.05, 60.0));
  app.add_flag("--quick", arguments.quick, "few and short windows: ends within 20 s");
  app.add_option("--json", arguments.json, "file for the figures");
  app.add_option(
         "--only", arguments.only,
         "one section: one (replica), two (nodes), bytes (of a delta), memory, accuracy (which takes minutes, and is "
         "left out else)")
      ->check(CLI::IsMember(sections));
  app.add_option("--epochs", worker.epochs, "of the accuracy section")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--seed", worker.seed, "all randomness follows from it")->capture_default_str();
  app.add_option("--worker", worker.role)->group("");
  app.add_option("--rank", worker.rank)->group("");
  app.add_option("--count", worker.count)->group("");
  app.add_option("--core", worker.core)->group("");
  app.add_option("--nodes", worker.nodes)->delimiter(',')->group("");
  app.add_option("--listen-socket", worker.listen_socket)->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(tensair::ExitCode::usage);
  }
  worker.data = arguments.data;
  return std::nullopt;
}

// --- Processes side by side -----------------------------------------------------------------------------------------

/// As many processes of a role, each on a core of its own from `first_core` on (-1: on any).
auto start(const Arguments& arguments, const std::string& role, int count, int first_core, std::uint64_t seed)
    -> std::vector<Child> {
  auto listeners = std::vector<bench::Listener>{};
  auto addresses = std::string{};
  for (auto i = 0; i < count; ++i) {
    listeners.push_back(bench::listen_anywhere());
    addresses += (i == 0 ? "" : ",") + listeners.back().address;
  }
  auto children = std::vector<Child>{};
  for (auto i = 0; i < count; ++i) {
    const auto socket = listeners[static_cast<std::size_t>(i)].socket;
    const auto core = first_core < 0 ? -1 : (first_core + i) % bench::cores();
    auto flags = std::vector<std::string>{
        "--worker", role,      "--rank", fmt::to_string(i),    "--count",  fmt::to_string(count),
        "--nodes",  addresses, "--seed", fmt::to_string(seed), "--epochs", fmt::to_string(arguments.worker.epochs)};
    flags.push_back(fmt::format("--core={}", core));
    if (!arguments.data.empty()) flags.push_back(fmt::format("--data={}", arguments.data.string()));
    if (count > 1 && role != "bare") flags.push_back(fmt::format("--listen-socket={}", socket));
    children.emplace_back(std::move(flags), std::vector<int>{socket});
  }
  for (const auto& listener : listeners) ::close(listener.socket);
  return children;
}

// --- Windows in turns -----------------------------------------------------------------------------------------------

/// What one side reached in a window.
struct Speed {
  double images_a_second = 0;      // of all its processes together
  double images_a_cpu_second = 0;  // what neighbours on the machine disturb less
};

struct Comparison {
  std::vector<Speed> bare, tensair;
  double bare_peak = 0, tensair_peak = 0;  // bytes; of the process with most
  double parameters = 0;
  std::uint64_t deltas = 0, delta_bytes = 0, data_bytes = 0, steps = 0;  // of all nodes, while they lived
  json staleness;
};

class Side {
 public:
  explicit Side(std::vector<Child> processes) : processes_(std::move(processes)) {}

  /// One window, in all processes at once.
  auto run(double seconds) -> Speed {
    for (auto& process : processes_) process.tell(fmt::format("run {}", std::llround(1000 * seconds)));
    auto speed = Speed{};
    auto images = 0.0, cpu_seconds = 0.0;
    auto batches = std::uint64_t{0};
    for (auto& process : processes_) {
      auto window = bench::Window{};
      auto given = std::uint64_t{0};
      std::istringstream{process.hear()} >> window.steps >> window.seconds >> window.cpu_seconds >> given;
      images += bench::batch_size * static_cast<double>(window.steps);
      cpu_seconds += window.cpu_seconds;
      speed.images_a_second += bench::batch_size * static_cast<double>(window.steps) / window.seconds;
      batches += given;
    }
    if (batches > 0) processes_.front().ask(fmt::format("drain {}", batches));
    speed.images_a_cpu_second = images / cpu_seconds;
    return speed;
  }

  auto end() -> std::vector<json> {
    for (auto& process : processes_) process.tell("end");
    auto ends = std::vector<json>{};
    for (auto& process : processes_) ends.push_back(json::parse(process.hear()));
    return ends;
  }

 private:
  std::vector<Child> processes_;
};

auto largest_peak(const std::vector<json>& ends) -> double {
  auto largest = 0.0;
  for (const auto& end : ends) largest = std::max(largest, end.at("peak_bytes").get<double>());
  return largest;
}

/// Tensair's nodes and as many bare loops, in turns. All processes are started anew a few times: where memory happens
/// to lie makes a per cent of difference that no repetition within one process would even out.
auto compare(const Arguments& arguments, int count, int pairs) -> Comparison {
  const auto lives = arguments.quick || pairs < 8 ? 1 : 4;
  auto result = Comparison{};
  for (auto life = 0; life < lives; ++life) {
    auto bare = Side{start(arguments, "bare", count, life, arguments.worker.seed)};
    auto tensair = Side{start(arguments, "node", count, life, arguments.worker.seed)};
    bare.run(arguments.window / 4);  // not measured: first steps are slow
    tensair.run(arguments.window / 4);
    for (auto pair = life; pair < pairs; pair += lives) {
      const auto bare_first = pair / lives % 2 == 0;
      if (bare_first) result.bare.push_back(bare.run(arguments.window));
      result.tensair.push_back(tensair.run(arguments.window));
      if (!bare_first) result.bare.push_back(bare.run(arguments.window));
    }

    const auto bare_end = bare.end(), tensair_end = tensair.end();
    const auto losses =
        std::array{bare_end[0].at("first_loss").get<double>(), tensair_end[0].at("first_loss").get<double>()};
    if (count == 1 && std::abs(losses[0] - losses[1]) > 1e-4) {
      throw tensair::Error{
          fmt::format("the sides do different work: the first batch's loss is {} in the bare loop, {} in "
                      "tensair",
                      losses[0], losses[1]),
          "bench/cifar10", "Make both use the same model, images and settings."};
    }
    result.bare_peak = std::max(result.bare_peak, largest_peak(bare_end));
    result.tensair_peak = std::max(result.tensair_peak, largest_peak(tensair_end));
    result.parameters = bare_end[0].at("parameters").get<double>();
    const auto& figures = tensair_end[0].at("figures");
    result.deltas += figures.at("deltas_sent").get<std::uint64_t>();
    for (const auto& node : figures.at("per_node")) {
      result.delta_bytes += node.at("bytes_sent_delta").get<std::uint64_t>();
      result.data_bytes += node.at("bytes_sent_data").get<std::uint64_t>();
      result.steps += node.at("models").at("cnn").at("steps").get<std::uint64_t>();
    }
    result.staleness = figures.at("staleness");
  }
  return result;
}

// --- Sections -------------------------------------------------------------------------------------------------------

auto met(bool yes) -> std::string {
  return yes ? "met" : "MISSED";
}

void report_speed(Report& report, const Comparison& comparison, const std::string& workload, const std::string& limit,
                  double required) {
  const auto column = [](const std::vector<Speed>& speeds, double Speed::*field) {
    auto values = std::vector<double>{};
    for (const auto& speed : speeds) values.push_back(speed.*field);
    return values;
  };
  const auto compare_column = [&](double Speed::*field, const std::string& what, const std::string& unit) {
    const auto bare = column(comparison.bare, field), tensair = column(comparison.tensair, field);
    auto ratios = std::vector<double>{};
    for (auto i = std::size_t{0}; i < bare.size(); ++i) ratios.push_back(tensair[i] / bare[i]);
    const auto ratio = bench::median(ratios);
    report.table(workload + what, unit,
                 {{"limit", bench::median(bare), 1.0, limit}, {"tensair", bench::median(tensair), ratio}});
    const auto interval = bench::median_interval(ratios);
    report.note(
        "ratio: median of {} pairs {:.3f}, its 95 % interval {:.3f} to {:.3f}; half of all pairs {:.3f} to {:.3f}",
        ratios.size(), ratio, interval.low, interval.high, bench::quantile(ratios, 0.25),
        bench::quantile(ratios, 0.75));
    return ratio;
  };
  const auto ratio = compare_column(&Speed::images_a_second, "", "images/s");
  report.note("required: at least {:.2f}: {}", required, met(ratio >= required));
  compare_column(&Speed::images_a_cpu_second, ", processor time", "images/CPU s");
  report.end_of_section();
}

void report_bytes(Report& report, const Comparison& comparison) {
  const auto limit = 4 * comparison.parameters;
  const auto bytes = static_cast<double>(comparison.delta_bytes) / static_cast<double>(comparison.deltas);
  report.table(fmt::format("cifar10, a delta on the wire, {:.0f} parameters", comparison.parameters), "bytes",
               {{"limit", limit, 1.0, "4 × parameters (the limit)"}, {"tensair", bytes, bytes / limit}});
  report.note("required: at most 1.01 of the limit: {}", met(bytes <= 1.01 * limit));
  report.note("{} steps, {} deltas (steps are summed when a link is busy), {:.1f} MB of batches moved between nodes",
              comparison.steps, comparison.deltas, static_cast<double>(comparison.data_bytes) / 1e6);
  report.note("staleness: {}", comparison.staleness.dump());
  report.end_of_section();
}

void report_memory(Report& report, const Comparison& comparison) {
  constexpr auto megabyte = 1e6;
  const auto allowed = 8 * 4 * comparison.parameters + 32 * megabyte;
  const auto more = comparison.tensair_peak - comparison.bare_peak;
  report.table("cifar10, peak memory of a process", "MB",
               {{"limit", comparison.bare_peak / megabyte, 1.0, "bare loop (the limit)"},
                {"tensair", comparison.tensair_peak / megabyte, comparison.tensair_peak / comparison.bare_peak,
                 "tensair, a node of two"}});
  report.note("{:+.1f} MB; allowed: 8 × the model + 32 MB = {:.1f} MB: {}", more / megabyte, allowed / megabyte,
              met(more <= allowed));
  report.end_of_section();
}

void report_accuracy(Report& report, const Arguments& arguments) {
  constexpr auto wanted = 0.6;
  auto rows = std::vector<bench::Row>{};
  auto notes = std::vector<std::string>{};
  auto alone = 0.0;
  for (const auto count : {1, 2, 4}) {
    auto finals = std::vector<double>{}, last_epochs = std::vector<double>{}, times = std::vector<double>{};
    for (const auto seed : {arguments.worker.seed, arguments.worker.seed + 1, arguments.worker.seed + 2}) {
      auto nodes = start(arguments, "learner", count, -1, seed);
      const auto tests = json::parse(nodes.front().hear());
      auto last_epoch = 0.0;
      for (auto i = tests.size() - 4; i < tests.size(); ++i) last_epoch += tests[i].at("accuracy").get<double>() / 4;
      finals.push_back(100 * tests.back().at("accuracy").get<double>());
      last_epochs.push_back(100 * last_epoch);
      const auto reached = std::find_if(tests.begin(), tests.end(),
                                        [](const json& test) { return test.at("accuracy").get<double>() >= wanted; });
      if (reached != tests.end()) times.push_back(reached->at("seconds").get<double>());
    }
    const auto mean = [](const std::vector<double>& values) {
      return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    };
    if (count == 1) alone = mean(finals);
    rows.push_back({count == 1 ? "limit" : fmt::format("tensair, {} nodes", count), mean(finals), mean(finals) / alone,
                    fmt::format("{} replica{}", count, count == 1 ? " (the limit)" : "s, one a node")});
    notes.push_back(
        fmt::format("{} replicas: {:.1f} (mean of the last four tests {:.1f}), {:+.1f} points: {}; 60 % after {:.0f} s",
                    count, fmt::join(finals, " "), fmt::join(last_epochs, " "), mean(finals) - alone,
                    met(alone - mean(finals) <= 1.5), fmt::join(times, " ")));
    report.note("{}", notes.back());
  }
  report.table(fmt::format("cifar10, test accuracy after {} epochs, 3 seeds", arguments.worker.epochs), "%", rows);
  report.note(
      "required: at most 1.5 points less than one replica's, and 60 % within 90 s in one process on a quiet core");
  report.end_of_section();
}

void run(Arguments arguments) {
  if (arguments.quick) {
    arguments.pairs = std::min(arguments.pairs, 5);
    arguments.window = std::min(arguments.window, 0.25);
  }
  const auto wants = [&](const char* section) { return arguments.only.empty() || arguments.only == section; };
  auto report = Report{};

  if (wants("one")) {
    report_speed(report, compare(arguments, 1, arguments.pairs), "cifar10, one replica, one thread",
                 "bare LibTorch loop (the limit)", 0.98);
  }
  if (wants("two") || wants("bytes") || wants("memory")) {
    const auto comparison = compare(arguments, 2, wants("two") ? arguments.pairs : 5);
    if (wants("two")) {
      report_speed(report, comparison, "cifar10, two nodes, one thread each", "two bare loops side by side (the limit)",
                   0.95);
    }
    if (wants("bytes")) report_bytes(report, comparison);
    if (wants("memory")) report_memory(report, comparison);
  }
  if (arguments.only == "accuracy") report_accuracy(report, arguments);
  if (!arguments.json.empty()) report.write(arguments.json);
}

}  // namespace

int main(int argc, char** argv) {
  auto arguments = Arguments{};
  if (const auto status = parse(argc, argv, arguments)) return *status;
  if (!arguments.worker.role.empty()) return bench::work(arguments.worker);
  try {
    run(std::move(arguments));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "cifar10: {}\n", error.what());
    return 1;
  }
}
