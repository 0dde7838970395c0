// The plan for a person, as text and as a picture: operators and edges as the user wrote them, in the tasks, instances
// and nodes that they have been placed in.

#include "explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tensair/plan/place.hpp>
#include <vector>

namespace tensair::plan {
namespace {

constexpr std::size_t columns = 100;

auto count(int n, const char* thing) -> std::string {
  return fmt::format("{} {}{}", n, thing, n == 1 ? "" : "s");
}

// A task is a maximal run of fused operators; this gives each operator the number of its task.
auto tasks_of(const std::deque<std::shared_ptr<Operator>>& operators) -> std::vector<int> {
  std::vector<int> task(operators.size());
  int next = 0;
  for (std::size_t i = 0; i < operators.size(); ++i) {
    const auto& op = *operators[i];
    task[i] = is_fused(op, operators) ? task[static_cast<std::size_t>(op.input)] : next++;
  }
  return task;
}

// How many columns a text takes: bytes that begin a letter (UTF-8).
auto width(const std::string& text) -> std::size_t {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// Up to so many columns; what is cut off ends in "…".
auto clipped(std::string text, std::size_t most) -> std::string {
  if (width(text) <= most) return text;
  while (width(text) > most - 1) text.pop_back();
  return text + "…";
}

auto padded(std::string text, std::size_t to) -> std::string {
  const auto is = width(text);
  return is < to ? text.append(to - is, ' ') : text;
}

auto without_trailing_space(std::string text) -> std::string {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

auto goes_to_other_nodes(const Operator& from, const Operator& to) -> bool {
  if (to.edge != Edge::gather && to.edge != Edge::key && to.edge != Edge::rebalance && to.edge != Edge::broadcast)
    return false;
  for (net::Rank a = 0; a < from.sites.nodes(); ++a) {
    for (net::Rank b = 0; b < to.sites.nodes(); ++b) {
      if (a != b && from.sites.on(a) > 0 && to.sites.on(b) > 0) return true;
    }
  }
  return false;
}

// "key hash", "key hash, zstd": how the records of one of its inputs reach an operator.
auto edge_text(const Operator& from, const Operator& to) -> std::string {
  // The channels of an operator with two inputs are those of the operators in front of it.
  const auto method = to.more_inputs.empty() ? to.compression : from.compression;
  if (method == compression::none || !goes_to_other_nodes(from, to)) return to_string(to.edge);
  return to_string(to.edge) + ", " + to_string(method);
}

// As a string of Graphviz.
auto quoted(const std::string& text) -> std::string {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace

// "nodes 0–1, 3", with how many instances: "2 instances", or where they differ "5 instances in all".
auto sites_text(const Operator& op) -> std::string {
  const auto& sites = op.sites;
  std::string ranks;
  int nodes = 0;
  bool alike = true;
  for (net::Rank rank = 0; rank < sites.nodes(); ++rank) {
    if (sites.on(rank) == 0) continue;
    ++nodes;
    alike = alike && sites.on(rank) == sites.most();
    net::Rank last = rank;
    while (last + 1 < sites.nodes() && sites.on(last + 1) > 0) ++last;
    ranks += fmt::format("{}{}", ranks.empty() ? "" : ", ", rank);
    if (last > rank) ranks += fmt::format("–{}", last);
    for (; rank < last; ++rank) {
      ++nodes;
      alike = alike && sites.on(rank + 1) == sites.most();
    }
  }
  const auto where = fmt::format("node{} {}", nodes == 1 ? "" : "s", ranks);
  if (op.is_model) return fmt::format("{} on {}", count(sites.total(), "replica"), where);
  if (!alike) return fmt::format("{}, {} in all", where, count(sites.total(), "instance"));
  if (sites.most() > 1) return fmt::format("{}, {} instances{}", where, sites.most(), nodes > 1 ? " each" : "");
  return where;
}

auto Graph::explain() const -> std::string {
  std::string text;
  const auto task = tasks_of(operators_);
  const int count = task.empty() ? 0 : *std::max_element(task.begin(), task.end()) + 1;
  for (int t = 0; t < count; ++t) {
    bool first = true;
    for (std::size_t i = 0; i < operators_.size(); ++i) {
      if (task[i] != t) continue;
      const auto& op = *operators_[i];
      if (first) text += clipped(fmt::format("task {} on {}", t, sites_text(op)), columns) + '\n';
      first = false;
      std::string from;
      if (op.input >= 0) {
        const auto& input = *operators_[static_cast<std::size_t>(op.input)];
        from = fmt::format("{} from {}", edge_text(input, op), input.title());
      }
      for (const int input : op.more_inputs)
        from += fmt::format(", {}", operators_[static_cast<std::size_t>(input)]->title());
      const auto line = padded(padded("  " + op.title(), 30) + ' ' + from, 65) + ' ' + op.output;
      text += clipped(without_trailing_space(line), columns) + '\n';
    }
  }
  return text;
}

auto Graph::explain_dot() const -> std::string {
  std::string text = "digraph tensair {\n  rankdir=LR;\n  node [shape=box];\n";
  const auto task = tasks_of(operators_);
  std::map<int, std::string> clusters;
  for (std::size_t i = 0; i < operators_.size(); ++i) {
    auto& cluster = clusters[task[i]];
    if (cluster.empty())
      cluster = fmt::format("  subgraph cluster_{} {{\n    label={};\n", task[i],
                            quoted(fmt::format("task {}, {}", task[i], sites_text(*operators_[i]))));
    cluster += fmt::format("    o{} [label={}];\n", i, quoted(operators_[i]->title()));
  }
  for (const auto& [number, cluster] : clusters) text += cluster + "  }\n";
  for (const auto& op : operators_) {
    const auto draw = [&](int input) {
      text += fmt::format("  o{} -> o{} [label=\"{}\"];\n", input, op->id,
                          edge_text(*operators_[static_cast<std::size_t>(input)], *op));
    };
    if (op->input >= 0) draw(op->input);
    for (const int input : op->more_inputs) draw(input);
  }
  return text + "}\n";
}

}  // namespace tensair::plan
