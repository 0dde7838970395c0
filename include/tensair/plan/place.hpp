#pragma once

#include <deque>
#include <memory>
#include <span>
#include <tensair/flags.hpp>
#include <tensair/plan/graph.hpp>

namespace tensair::plan {

/// Says where each operator runs: fills in `Operator::sites`.
///
/// An operator is where its input is, unless an exchange stands in front of it. Then it is on every node, in as many
/// instances as `parallel` says, or on those nodes that `on` says; what is gathered is on node 0. A source is on node
/// 0, or if it can be split on every node, or on each node that `on` says. Every node comes to the same result.
/// @throws UsageError  a node or a label that the cluster does not have
void place(const std::deque<std::shared_ptr<Operator>>& operators, std::span<const NodeSpec> nodes);

/// Whether records go from its input to this operator, both placed, in one task.
auto is_fused(const Operator& op, const std::deque<std::shared_ptr<Operator>>& operators) -> bool;

}  // namespace tensair::plan
