#include <fmt/format.h>

#include <algorithm>
#include <boost/core/demangle.hpp>
#include <map>
#include <set>
#include <tensair/error.hpp>
#include <tensair/plan/graph.hpp>

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

auto where(const Operator& op, int nodes) -> std::string {
  if (op.instances > 0) {
    return fmt::format("{} replica{} on {} node{}", op.instances, op.instances == 1 ? "" : "s",
                       std::min(nodes, op.instances), std::min(nodes, op.instances) == 1 ? "" : "s");
  }
  const auto times = op.parallel > 1 ? fmt::format(", {} instances{}", op.parallel, nodes > 1 ? " each" : "") : "";
  if (op.placement == Placement::first_node || nodes == 1) return "node 0" + times;
  return fmt::format("nodes 0–{}", nodes - 1) + times;
}

// Whether records go over this edge without changing the task: always, or with so many nodes and instances.
auto stays_in_task(const Operator& op, const std::deque<std::shared_ptr<Operator>>& operators, int nodes) -> bool {
  if (op.input < 0 || !op.more_inputs.empty()) return false;
  if (op.edge == Edge::fused || op.edge == Edge::fork) return true;
  const auto& from = *operators[static_cast<std::size_t>(op.input)];
  const bool alone = nodes == 1 && from.parallel == 1;
  switch (op.edge) {
    case Edge::gather:
      return alone;
    case Edge::key:
    case Edge::broadcast:
    case Edge::rebalance:
      return alone && op.parallel == 1;
    default:
      return false;
  }
}

// A task is a maximal run of fused operators; this gives each operator the number of its task.
auto tasks_of(const std::deque<std::shared_ptr<Operator>>& operators, int nodes) -> std::vector<int> {
  std::vector<int> task(operators.size());
  int next = 0;
  for (std::size_t i = 0; i < operators.size(); ++i) {
    const auto& op = *operators[i];
    task[i] = stays_in_task(op, operators, nodes) ? task[static_cast<std::size_t>(op.input)] : next++;
  }
  return task;
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
    if (op->parallel > 1) text += fmt::format(", parallel({})", op->parallel);
    if (!op->detail.empty()) text += ", " + op->detail;
    text += '\n';
  }
  return text;
}

auto Graph::explain(int nodes) const -> std::string {
  std::string text;
  const auto task = tasks_of(operators_, nodes);
  const int count = task.empty() ? 0 : *std::max_element(task.begin(), task.end()) + 1;
  for (int t = 0; t < count; ++t) {
    bool first = true;
    for (std::size_t i = 0; i < operators_.size(); ++i) {
      if (task[i] != t) continue;
      const auto& op = *operators_[i];
      if (first) text += fmt::format("task {} on {}\n", t, where(op, nodes));
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

auto Graph::explain_dot(int nodes) const -> std::string {
  std::string text = "digraph tensair {\n  rankdir=LR;\n  node [shape=box];\n";
  const auto task = tasks_of(operators_, nodes);
  std::map<int, std::string> clusters;
  for (std::size_t i = 0; i < operators_.size(); ++i) {
    auto& cluster = clusters[task[i]];
    if (cluster.empty())
      cluster = fmt::format("  subgraph cluster_{} {{\n    label=\"task {}, {}\";\n", task[i], task[i],
                            where(*operators_[i], nodes));
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
