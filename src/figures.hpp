#pragma once

#include <string>
#include <tensair/pipeline.hpp>
#include <tensair/runtime/node.hpp>
#include <vector>

namespace tensair {

/// The report of this node, as JSON: who, how long, how much memory, bytes sent on each lane, and the parts that its
/// operators added.
auto node_figures(runtime::Node& node, double seconds) -> std::string;

/// The figures of a run, as JSON: every node's report, sums over them, and the program's own.
auto run_figures(const Options& options, double seconds, const std::vector<std::string>& nodes, const OwnFigures& own)
    -> std::string;

}  // namespace tensair
