// Drift detectors: what a value costs, how soon and how often they signal on streams whose changes are known, and what
// their signals are worth on real ones.
//
//   detectors [--data DIR] [--values N] [--repetitions N] [--json FILE] [--speed-only] [--quick]
//
// DIR has the folders drift-golden and drift (default: $TENSAIR_DATA); without it only the cost is measured. Cost is
// processor time for errors at a rate of 0.2, each detector in turn, all of them again and again; the median.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <sstream>
#include <string>
#include <tensair/drift/detectors.hpp>
#include <vector>

#include "drift_learners.hpp"
#include "seconds.hpp"
#include "statistics.hpp"

namespace {

using bench::Example;
using tensair::DriftLevel;
namespace fs = std::filesystem;

/// Each detector by name, those with a parameter that matters most more than once.
template <class Visit>
void for_each(Visit&& visit) {
  tensair::drift::for_each_detector([&](auto parameters) {
    using P = decltype(parameters);
    if constexpr (std::same_as<P, tensair::optwin>) {
      for (const double rho : {0.1, 0.5, 1.0}) visit(fmt::format("optwin, rho {:.1f}", rho), P{.rho = rho});
    } else {
      visit(std::string{P::Detector::name}, parameters);
    }
  });
}

// --- Cost ------------------------------------------------------------------------------------------------------------

auto errors(std::size_t n, double rate) -> std::vector<double> {
  std::vector<double> values(n);
  auto random = std::mt19937{1};
  for (auto& value : values) value = static_cast<double>(random()) < rate * 4294967296.0 ? 1 : 0;
  return values;
}

auto measure_cost(std::size_t n, int repetitions) -> nlohmann::json {
  const auto values = errors(n, 0.2);
  std::map<std::string, std::vector<double>> nanoseconds;
  std::map<std::string, std::uint64_t> windows;
  for (int i = 0; i < repetitions; ++i) {
    for_each([&](const std::string& name, auto parameters) {
      auto detector = typename decltype(parameters)::Detector{parameters};
      const auto some = name == "kswin" ? n / 50 : n;
      // OPTWIN's window is full then, and its cuts are computed.
      for (std::size_t k = 0; k < std::min<std::size_t>(some, 30'000); ++k) detector.update(values[k]);
      std::size_t signals = 0;
      const double begin = bench::cpu_seconds();
      for (std::size_t k = 0; k < some; ++k) signals += detector.update(values[k]) == DriftLevel::drift;
      nanoseconds[name].push_back((bench::cpu_seconds() - begin) / static_cast<double>(some) * 1e9);
      windows[name] = detector.count() + (signals > some ? 1 : 0);
    });
  }
  auto rows = nlohmann::json::array();
  fmt::print("{:<18}{:>10}{:>14}\n", "cost", "ns/value", "window's end");
  for (const auto& [name, all] : nanoseconds) {
    fmt::print("{:<18}{:>10.1f}{:>14}\n", name, bench::median(all), windows[name]);
    rows.push_back({{"table", "cost"}, {"detector", name}, {"ns", bench::median(all)}});
  }
  return rows;
}

// --- Known changes ---------------------------------------------------------------------------------------------------

struct Stream {
  std::vector<double> values;
  std::vector<std::uint64_t> changes;
};

auto split(const std::string& line) -> std::vector<std::string> {
  std::vector<std::string> fields(1);
  for (const char c : line) c == '\t' ? fields.emplace_back() : fields.back() += c;
  fields.resize(std::max<std::size_t>(fields.size(), 5));
  return fields;
}

auto known_streams(const fs::path& folder) -> std::map<std::string, std::vector<Stream>> {
  std::map<std::pair<std::string, std::string>, Stream> all;
  const auto read = [&](const char* name, auto take) {
    std::string line;
    for (auto file = std::ifstream{folder / name}; std::getline(file, line);) take(split(line));
  };
  read("streams.tsv", [&](const std::vector<std::string>& row) {
    auto text = std::istringstream{row[2]};
    for (double value = 0; text >> value;) all[{row[0], row[1]}].values.push_back(value);
  });
  read("detections.tsv", [&](const std::vector<std::string>& row) {
    auto text = std::istringstream{row[3]};
    if (row[2] != "TRUE") return;
    for (std::uint64_t at = 0; text >> at;) all[{row[0], row[1]}].changes.push_back(at);
  });
  std::map<std::string, std::vector<Stream>> by_scenario;
  for (auto& [key, stream] : all) {
    if (!stream.values.empty()) by_scenario[key.first].push_back(std::move(stream));
  }
  return by_scenario;
}

/// A change is found by the first signal within that many values; other signals in that time say it again. Any
/// signal else is a false alarm.
constexpr std::uint64_t in_time = 1'000;

struct Score {
  int found = 0, missed = 0, false_alarms = 0;
  double delay = 0;

  auto f1() const -> double { return 2.0 * found / (2 * found + missed + false_alarms); }
  void add(const std::vector<std::uint64_t>& changes, const std::vector<std::uint64_t>& signals) {
    for (const auto change : changes) {
      const auto first = std::lower_bound(signals.begin(), signals.end(), change);
      const bool in = first != signals.end() && *first < change + in_time;
      ++(in ? found : missed);
      if (in) delay += static_cast<double>(*first - change);
    }
    for (const auto signal : signals) {
      const auto next = std::upper_bound(changes.begin(), changes.end(), signal);
      if (next == changes.begin() || signal >= *std::prev(next) + in_time) ++false_alarms;
    }
  }
};

auto score_known(const fs::path& folder) -> nlohmann::json {
  auto rows = nlohmann::json::array();
  for (const auto& [scenario, streams] : known_streams(folder)) {
    fmt::print("\n{:<18}{:>8}{:>8}{:>8}{:>8}{:>8}   ({} streams)\n", scenario, "found", "missed", "false", "delay",
               "F1", streams.size());
    for_each([&, &scenario = scenario, &streams = streams](const std::string& name, auto parameters) {
      Score score;
      for (const auto& stream : streams) {
        auto detector = typename decltype(parameters)::Detector{parameters};
        std::vector<std::uint64_t> signals;
        for (std::uint64_t i = 0; i < stream.values.size(); ++i) {
          if (detector.update(stream.values[i]) == DriftLevel::drift) signals.push_back(i + 1);
        }
        score.add(stream.changes, signals);
      }
      const double delay = score.found == 0 ? 0 : score.delay / score.found;
      fmt::print("{:<18}{:>8}{:>8}{:>8}{:>8.0f}{:>8.2f}\n", name, score.found, score.missed, score.false_alarms, delay,
                 score.f1());
      rows.push_back({{"table", scenario},
                      {"detector", name},
                      {"found", score.found},
                      {"missed", score.missed},
                      {"false_alarms", score.false_alarms},
                      {"delay", delay},
                      {"f1", score.f1()}});
    });
  }
  return rows;
}

// --- Real streams ----------------------------------------------------------------------------------------------------

struct DataSet {
  std::string name;
  std::size_t labels = 0, features = 0;
  std::vector<Example> examples{};
};

auto electricity(const fs::path& folder) -> DataSet {
  DataSet data{.name = "electricity", .labels = 2, .features = 6};
  std::string line;
  auto file = std::ifstream{folder / "elec.csv"};
  std::getline(file, line);  // names
  while (std::getline(file, line)) {
    std::replace(line.begin(), line.end(), ',', ' ');
    auto text = std::istringstream{line};
    Example one;
    for (double value = 0; text >> value;) one.dense.push_back(value);
    if (one.dense.size() != data.features + 1) continue;
    one.label = one.dense.back() != 0;
    one.dense.pop_back();
    data.examples.push_back(std::move(one));
  }
  return data;
}

auto outdoor(const fs::path& folder) -> DataSet {
  DataSet data{.name = "outdoor", .labels = 40, .features = 21};
  std::string line;
  auto labels = std::ifstream{folder / "outdoorStream.labels"};
  for (auto file = std::ifstream{folder / "outdoorStream.data"}; std::getline(file, line);) {
    Example one;
    auto text = std::istringstream{line};
    for (double value = 0; text >> value;) one.dense.push_back(value);
    if (labels >> one.label && one.label < data.labels) data.examples.push_back(std::move(one));
  }
  return data;
}

auto spam(const fs::path& folder) -> DataSet {
  DataSet data{.name = "spam", .labels = 2, .features = 39'917};
  std::string line;
  for (auto file = std::ifstream{folder / "spam_stream.libsvm"}; std::getline(file, line);) {
    Example one;
    auto text = std::istringstream{line};
    text >> one.label;
    for (std::string pair; text >> pair;) one.sparse.push_back(std::strtoul(pair.c_str(), nullptr, 10));
    data.examples.push_back(std::move(one));
  }
  return data;
}

/// Predicts, watches the error, learns; begins anew at a drift.
template <class Watch>
auto accuracy(const DataSet& data, Watch&& drifts) -> double {
  auto learner = bench::NaiveBayes{data.labels, data.features};
  std::size_t right = 0;
  for (const auto& example : data.examples) {
    const bool good = learner.predict(example) == example.label;
    right += good;
    if (drifts(good ? 0.0 : 1.0)) learner = bench::NaiveBayes{data.labels, data.features};
    learner.learn(example);
  }
  return static_cast<double>(right) / static_cast<double>(data.examples.size());
}

auto score_real(const fs::path& folder) -> nlohmann::json {
  auto rows = nlohmann::json::array();
  for (const auto& data : {electricity(folder), spam(folder), outdoor(folder)}) {
    if (data.examples.empty()) continue;
    std::size_t same = 0;
    for (std::size_t i = 1; i < data.examples.size(); ++i) same += data.examples[i].label == data.examples[i - 1].label;
    fmt::print("\n{:<18}{:>10}{:>10}   ({} records)\n", data.name, "accuracy", "drifts", data.examples.size());
    const auto row = [&](const std::string& name, double value, std::size_t signals) {
      fmt::print("{:<18}{:>10.3f}{:>10}\n", name, value, signals);
      rows.push_back({{"table", data.name}, {"detector", name}, {"accuracy", value}, {"drifts", signals}});
    };
    row("(as the last)", static_cast<double>(same) / static_cast<double>(data.examples.size()), 0);
    row("(no detector)", accuracy(data, [](double) { return false; }), 0);
    for_each([&](const std::string& name, auto parameters) {
      auto detector = typename decltype(parameters)::Detector{parameters};
      std::size_t signals = 0;
      const double reached = accuracy(data, [&](double error) {
        const bool drifts = detector.update(error) == DriftLevel::drift;
        signals += drifts;
        return drifts;
      });
      row(name, reached, signals);
    });
  }
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  const char* from_environment = std::getenv("TENSAIR_DATA");
  fs::path data = from_environment == nullptr ? "" : from_environment, json;
  std::size_t values = 2'000'000;
  int repetitions = 5;
  bool speed_only = false, quick = false;
  auto app = CLI::App{"Drift detectors: cost, and what they find."};
  app.add_option("--data", data, "folder with drift-golden and drift");
  app.add_option("--values", values, "values for each measurement")->check(CLI::Range(100'000, 1'000'000'000));
  app.add_option("--repetitions", repetitions, "measurements of each")->check(CLI::PositiveNumber);
  app.add_option("--json", json, "write the figures there");
  app.add_flag("--speed-only", speed_only, "only what a value costs");
  app.add_flag("--quick", quick, "one measurement of few values");
  CLI11_PARSE(app, argc, argv);
  if (quick) {
    values = 200'000;
    repetitions = 1;
  }

  auto rows = measure_cost(values, repetitions);
  if (!speed_only && !data.empty()) {
    for (auto& row : score_known(data / "drift-golden")) rows.push_back(row);
    for (auto& row : score_real(data / "drift")) rows.push_back(row);
  }
  if (!json.empty()) std::ofstream{json} << rows.dump(2) << '\n';
  return 0;
}
