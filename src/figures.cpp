#include "figures.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace tensair {
namespace {

using nlohmann::json;

// The program's own. What getrusage tells a process begins with what the one that started it had: more than the
// program's, when that was a large one.
auto peak_memory() -> std::uint64_t {
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;  // in KiB
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

// The value that a share `q` of all samples does not exceed. `counts[v]` samples had value v.
auto quantile(const std::vector<std::uint64_t>& counts, double q) -> std::uint64_t {
  std::uint64_t all = 0;
  for (const auto count : counts) all += count;
  std::uint64_t seen = 0;
  for (std::size_t value = 0; value < counts.size(); ++value) {
    seen += counts[value];
    if (static_cast<double>(seen) >= q * static_cast<double>(all)) return value;
  }
  return 0;
}

auto staleness(const std::vector<std::uint64_t>& counts) -> json {
  std::size_t highest = counts.size();
  while (highest > 0 && counts[highest - 1] == 0) --highest;
  return {{"p50", quantile(counts, 0.5)}, {"p99", quantile(counts, 0.99)}, {"max", highest == 0 ? 0 : highest - 1}};
}

void add_counts(std::vector<std::uint64_t>& to, const std::vector<std::uint64_t>& from) {
  if (to.size() < from.size()) to.resize(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) to[i] += from[i];
}

// Models report how often each staleness occurred, so that quantiles over all nodes are exact; readers get the
// quantiles.
void summarise_staleness(json& model, std::vector<std::uint64_t>& all) {
  const auto counts = model.at("staleness_counts").get<std::vector<std::uint64_t>>();
  add_counts(all, counts);
  model.erase("staleness_counts");
  model["staleness"] = staleness(counts);
}

}  // namespace

auto node_figures(runtime::Node& node, double seconds) -> std::string {
  json report{{"rank", node.rank()}, {"seconds", seconds}};
  std::uint64_t control = 0, delta = 0, data = 0;
  for (net::Rank peer = 0; peer < node.count(); ++peer) {
    if (peer == node.rank()) continue;
    const auto& link = node.transport().link(peer);
    control += link.bytes_sent(net::Lane::control);
    delta += link.bytes_sent(net::Lane::delta);
    data += link.bytes_sent(net::Lane::data);
  }
  report["bytes_sent"] = control + delta + data;
  report["bytes_sent_control"] = control;
  report["bytes_sent_delta"] = delta;
  report["bytes_sent_data"] = data;
  report["turned_away"] = node.transport().turned_away();
  report["models"] = json::object();
  for (const auto& [name, part] : node.reports()) report["models"][name] = json::parse(part());
  report["counts"] = json::object();
  for (const auto& [name, counter] : node.counters()) report["counts"][name] = counter->value();
  if (node.profiling()) {
    report["busy_microseconds"] = report["edge_bytes"] = json::object();
    for (const auto& [name, counter] : node.busy()) report["busy_microseconds"][name] = counter->value();
    for (const auto& [name, counter] : node.edge_bytes()) report["edge_bytes"][name] = counter->value();
  }
  report["peak_rss_bytes"] = peak_memory();
  return report.dump();
}

auto run_figures(const Options& options, double seconds, const std::vector<std::string>& nodes, const OwnFigures& own)
    -> std::string {
  json figures{
      {"program", options.program}, {"seed", options.seed}, {"run_seconds", seconds}, {"per_node", json::array()}};
  std::uint64_t bytes = 0, memory = 0, deltas = 0;
  std::vector<std::uint64_t> counts;
  std::map<std::string, std::uint64_t> sums, turned_away;
  for (const auto& text : nodes) {
    auto node = json::parse(text);
    std::vector<std::uint64_t> node_counts;
    std::uint64_t node_deltas = 0;
    bytes += node.at("bytes_sent").get<std::uint64_t>();
    memory += node.at("peak_rss_bytes").get<std::uint64_t>();
    for (auto& model : node.at("models")) {
      node_deltas += model.at("deltas_sent").get<std::uint64_t>();
      summarise_staleness(model, node_counts);
    }
    for (const auto& [name, count] : node.at("counts").items()) sums[name] += count.get<std::uint64_t>();
    for (const auto& [why, count] : node.at("turned_away").items()) turned_away[why] += count.get<std::uint64_t>();
    node["deltas_sent"] = node_deltas;
    node["staleness"] = staleness(node_counts);
    for (const auto& [name, value] : own.by_node) node[name] = json::parse(value(node.at("rank").get<int>()));
    deltas += node_deltas;
    add_counts(counts, node_counts);
    figures["per_node"].push_back(std::move(node));
  }
  figures["bytes_sent"] = bytes;
  figures["counts"] = sums;
  figures["deltas_sent"] = deltas;
  figures["peak_rss_bytes"] = memory;
  figures["staleness"] = staleness(counts);
  figures["turned_away"] = turned_away;
  for (const auto& [name, value] : own.of_run) figures[name] = json::parse(value());
  return figures.dump(2);
}

}  // namespace tensair
