#pragma once

#include <string>
#include <tensair/plan/graph.hpp>

namespace tensair::plan {

/// Where an operator that has been placed runs: "nodes 0–1, 3, 2 instances each".
auto sites_text(const Operator& op) -> std::string;

}  // namespace tensair::plan
