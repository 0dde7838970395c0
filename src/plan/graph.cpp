#include <fmt/format.h>

#include <algorithm>
#include <boost/core/demangle.hpp>
#include <map>
#include <set>
#include <tensair/error.hpp>
#include <tensair/plan/graph.hpp>
#include <tensair/plan/place.hpp>

namespace tensair::plan {
namespace {

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// ", std::allocator<X>" and the like say nothing to a reader. Removes from `start` to the end of that template
// argument.
void remove_argument(std::string& text, const std::string& start) {
  for (auto at = text.find(start); at != std::string::npos; at = text.find(start, at)) {
    auto end = at + start.size();
    for (int depth = 1; end < text.size() && depth > 0; ++end) {
      if (text[end] == '<') ++depth;
      if (text[end] == '>') --depth;
    }
    text.erase(at, end - at);
  }
}

auto count(int n, const char* thing) -> std::string {
  return fmt::format("{} {}{}", n, thing, n == 1 ? "" : "s");
}

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

// What all nodes must agree on.
auto describe_place(const Operator& op) -> std::string {
  std::string text;
  if (const auto* rank = std::get_if<net::Rank>(&op.where)) text += fmt::format(", on node {}", *rank);
  if (const auto* label = std::get_if<std::string>(&op.where)) text += fmt::format(", on «{}»", *label);
  if (op.parallel > 1) text += fmt::format(", parallel({})", op.parallel);
  if (op.sites.nodes() > 0 && (op.parallel == 0 || !std::holds_alternative<std::monostate>(op.where)))
    text += ": " + sites_text(op);
  return text;
}

}  // namespace

auto to_string(Edge edge) -> std::string {
  switch (edge) {
    case Edge::none:
      return "none";
    case Edge::fused:
      return "fused";
    case Edge::fork:
      return "fork";
    case Edge::gather:
      return "gather";
    case Edge::key:
      return "key hash";
    case Edge::rebalance:
      return "rebalance";
    case Edge::broadcast:
      return "broadcast";
    case Edge::merge:
      return "merge";
    case Edge::feedback:
      return "feedback";
    case Edge::route:
      return "route";
    case Edge::forward:
      return "forward";
    case Edge::local:
      return "local";
  }
  return "unknown";
}

auto Operator::title() const -> std::string {
  return label.empty() ? fmt::format("{} #{}", kind, id) : fmt::format("{} «{}»", kind, label);
}

auto Graph::add(std::string kind, std::string output, Placement placement) -> std::shared_ptr<Operator> {
  auto op = std::make_shared<Operator>();
  op->id = static_cast<int>(operators_.size());
  op->kind = std::move(kind);
  op->output = std::move(output);
  op->placement = placement;
  return operators_.emplace_back(std::move(op));
}

void Graph::on_build(std::function<void(runtime::Node&)> recipe) {
  recipes_.push_back(std::move(recipe));
}

void Graph::on_check(std::function<void()> check) {
  checks_.push_back(std::move(check));
}

void Graph::check() const {
  if (operators_.empty()) {
    throw UsageError("the pipeline is empty", {}, "Give it a source and a sink: pipeline.source(…).sink(…).");
  }
  std::set<int> consumed;
  for (const auto& op : operators_) {
    consumed.insert(op->input);
    consumed.insert(op->more_inputs.begin(), op->more_inputs.end());
  }
  for (const auto& op : operators_) {
    if (!op->output.empty() && !op->may_be_unused && !consumed.contains(op->id)) {
      throw UsageError(fmt::format("the stream of {} goes nowhere", op->title()), op->output,
                       "End it with .sink(…) or .collect().");
    }
  }
  for (const auto& check : checks_) check();
}

void Graph::place(std::span<const NodeSpec> nodes) {
  plan::place(operators_, nodes);
}

void Graph::build(runtime::Node& node) {
  for (auto& recipe : recipes_) recipe(node);
  node.built();
}

auto Graph::describe() const -> std::string {
  std::string text;
  for (const auto& op : operators_) {
    text += op->title();
    if (op->input >= 0) text += fmt::format(" after {}", op->input);
    if (!op->output.empty()) text += ": " + op->output;
    for (const int input : op->more_inputs) text += fmt::format(" and {}", input);
    if (op->instances > 0) text += fmt::format(", {} replicas", op->instances);
    text += describe_place(*op);
    if (!op->detail.empty()) text += ", " + op->detail;
    text += '\n';
  }
  return text;
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
      if (first) text += fmt::format("task {} on {}\n", t, sites_text(op));
      first = false;
      auto from = op.input < 0 ? std::string{}
                               : fmt::format("{} from {}", to_string(op.edge),
                                             operators_[static_cast<std::size_t>(op.input)]->title());
      for (const int input : op.more_inputs)
        from += fmt::format(", {}", operators_[static_cast<std::size_t>(input)]->title());
      text += fmt::format("  {:<28} {:<34} {}\n", op.title(), from, op.output);
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
      cluster = fmt::format("  subgraph cluster_{} {{\n    label=\"task {}, {}\";\n", task[i], task[i],
                            sites_text(*operators_[i]));
    cluster += fmt::format("    o{} [label=\"{}\"];\n", i, operators_[i]->title());
  }
  for (const auto& [number, cluster] : clusters) text += cluster + "  }\n";
  for (const auto& op : operators_) {
    if (op->input >= 0) text += fmt::format("  o{} -> o{} [label=\"{}\"];\n", op->input, op->id, to_string(op->edge));
    for (const int input : op->more_inputs)
      text += fmt::format("  o{} -> o{} [label=\"{}\"];\n", input, op->id, to_string(op->edge));
  }
  return text + "}\n";
}

auto type_name(const char* mangled) -> std::string {
  auto name = boost::core::demangle(mangled);
  replace_all(name, "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >", "std::string");
  replace_all(name, "std::__cxx11::", "std::");
  remove_argument(name, ", std::allocator<");
  remove_argument(name, ", std::less<");
  remove_argument(name, ", std::hash<");
  remove_argument(name, ", std::equal_to<");
  replace_all(name, "tensair::", "");
  replace_all(name, " >", ">");
  return name;
}

}  // namespace tensair::plan
