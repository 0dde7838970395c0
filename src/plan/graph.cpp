#include <fmt/format.h>

#include <algorithm>
#include <boost/core/demangle.hpp>
#include <map>
#include <set>
#include <tensair/error.hpp>
#include <tensair/plan/graph.hpp>
#include <tensair/plan/place.hpp>

#include "explain.hpp"

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
  op->compression = compression_;
  return operators_.emplace_back(std::move(op));
}

auto Graph::add(std::unique_ptr<Recipe> recipe) -> std::shared_ptr<Recipe> {
  recipes_.push_back(std::move(recipe));
  return recipes_.back();
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
  for (const auto& recipe : recipes_) recipe->build(node);
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

auto type_name(const char* mangled) -> std::string {
  auto name = boost::core::demangle(mangled);
  replace_all(name, "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >", "std::string");
  replace_all(name, "std::__cxx11::", "std::");
  remove_argument(name, ", std::allocator<");
  remove_argument(name, ", std::less<");
  remove_argument(name, ", std::hash<");
  remove_argument(name, ", std::equal_to<");
  replace_all(name, "tensair::", "");
  replace_all(name, "(anonymous namespace)::", "");
  replace_all(name, " >", ">");
  return name;
}

}  // namespace tensair::plan
