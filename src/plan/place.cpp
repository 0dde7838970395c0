#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <tensair/error.hpp>
#include <tensair/plan/place.hpp>
#include <tensair/runtime/edge_shape.hpp>

namespace tensair::plan {
namespace {

using runtime::Sites;

auto all_labels(std::span<const NodeSpec> nodes) -> std::set<std::string> {
  std::set<std::string> labels;
  for (const auto& node : nodes) labels.insert(node.labels.begin(), node.labels.end());
  return labels;
}

// The nodes that `where` means. A node that is alone is every node that a program asks for: it has no others.
auto nodes_of(const Operator& op, std::span<const NodeSpec> nodes) -> std::vector<net::Rank> {
  std::vector<net::Rank> all(nodes.size());
  std::iota(all.begin(), all.end(), 0);
  if (nodes.size() == 1 || std::holds_alternative<std::monostate>(op.where)) return all;
  if (const auto* rank = std::get_if<net::Rank>(&op.where)) {
    if (*rank < 0 || *rank >= std::ssize(nodes)) {
      throw UsageError(fmt::format("there is no node {}", *rank), fmt::format("{}.on({})", op.title(), *rank),
                       fmt::format("The cluster's nodes are 0 to {}.", nodes.size() - 1));
    }
    return {*rank};
  }
  const auto& label = std::get<std::string>(op.where);
  std::erase_if(all, [&](net::Rank rank) {
    const auto& labels = nodes[static_cast<std::size_t>(rank)].labels;
    return std::find(labels.begin(), labels.end(), label) == labels.end();
  });
  if (all.empty()) {
    const auto known = all_labels(nodes);
    throw UsageError(fmt::format("no node has the label '{}'", label), fmt::format("{}.on(\"{}\")", op.title(), label),
                     known.empty() ? std::string{"Give the nodes labels in a file for --cluster."}
                                   : fmt::format("The cluster file has the labels {}.", fmt::join(known, ", ")));
  }
  return all;
}

auto instances_on(const Operator& op, std::span<const NodeSpec> nodes, net::Rank rank) -> int {
  return op.parallel > 0 ? op.parallel : std::max(nodes[static_cast<std::size_t>(rank)].workers, 1);
}

auto sites_on(const Operator& op, std::span<const NodeSpec> nodes, const std::vector<net::Rank>& ranks) -> Sites {
  std::vector<int> by_rank(nodes.size());
  for (const net::Rank rank : ranks) by_rank[static_cast<std::size_t>(rank)] = instances_on(op, nodes, rank);
  return Sites(std::move(by_rank));
}

auto one_on(net::Rank rank, std::span<const NodeSpec> nodes) -> Sites {
  std::vector<int> by_rank(nodes.size());
  by_rank[static_cast<std::size_t>(rank)] = 1;
  return Sites(std::move(by_rank));
}

// Replicas are dealt out, the first to the first node.
auto replicas_on(const Operator& op, std::span<const NodeSpec> nodes) -> Sites {
  const auto ranks = nodes_of(op, nodes);
  std::vector<int> by_rank(nodes.size());
  const auto replicas = op.instances > 0 ? static_cast<std::size_t>(op.instances) : ranks.size();
  for (std::size_t i = 0; i < replicas; ++i) ++by_rank[static_cast<std::size_t>(ranks[i % ranks.size()])];
  return Sites(std::move(by_rank));
}

auto nodes_with(const std::vector<const Operator*>& inputs, std::span<const NodeSpec> nodes) -> std::vector<net::Rank> {
  std::vector<net::Rank> ranks;
  for (net::Rank rank = 0; rank < std::ssize(nodes); ++rank) {
    if (std::any_of(inputs.begin(), inputs.end(), [&](const auto* input) { return input->sites.on(rank) > 0; }))
      ranks.push_back(rank);
  }
  return ranks;
}

auto sites_of(const Operator& op, const std::deque<std::shared_ptr<Operator>>& operators,
              std::span<const NodeSpec> nodes) -> Sites {
  const auto at = [&](int id) -> const Operator& { return *operators[static_cast<std::size_t>(id)]; };
  switch (op.edge) {
    case Edge::none:
      if (op.is_model) return replicas_on(op, nodes);
      if (op.placement == Placement::first_node && std::holds_alternative<std::monostate>(op.where))
        return one_on(0, nodes);
      return sites_on(op, nodes, nodes_of(op, nodes));
    case Edge::fused:
    case Edge::fork:
    case Edge::feedback:
      return at(op.input).sites;
    case Edge::forward:
    case Edge::local:
      if (op.loop == op.id) return sites_on(op, nodes, nodes_of(op, nodes));  // where a loop begins
      return sites_on(op, nodes, nodes_with({&at(op.input)}, nodes));
    case Edge::merge: {
      std::vector<const Operator*> inputs{&at(op.input)};
      for (const int more : op.more_inputs) inputs.push_back(&at(more));
      return sites_on(op, nodes, nodes_with(inputs, nodes));
    }
    case Edge::gather:
      return one_on(0, nodes);
    case Edge::key:
    case Edge::rebalance:
    case Edge::broadcast:
    case Edge::route:
      return sites_on(op, nodes, nodes_of(op, nodes));
  }
  return {};
}

}  // namespace

void place(const std::deque<std::shared_ptr<Operator>>& operators, std::span<const NodeSpec> nodes) {
  for (const auto& op : operators) op->sites = sites_of(*op, operators, nodes);
}

auto is_fused(const Operator& op, const std::deque<std::shared_ptr<Operator>>& operators) -> bool {
  if (op.input < 0 || !op.more_inputs.empty()) return false;
  switch (op.edge) {
    case Edge::fused:
    case Edge::fork:
      return true;
    case Edge::gather:
    case Edge::key:
    case Edge::broadcast:
    case Edge::rebalance:
      return runtime::EdgeShape{op.reach, operators[static_cast<std::size_t>(op.input)]->sites, op.sites}.one_to_one();
    default:
      return false;
  }
}

}  // namespace tensair::plan
