#pragma once

#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tensair/plan/graph.hpp>

namespace tensair::plan {

/// What a run has found out about its parts (`--profile`).
struct Profile {
  double seconds = 0;                     ///< how long it took
  std::map<std::string, double> busy{};   ///< by the title of a task's first operator: the seconds that it has run
  std::map<std::string, double> bytes{};  ///< by the title of an edge's operator: what went over it, encoded
};

/// What a placement costs, judging by a profile.
struct Cost {
  double overload = 0;          ///< cores that nodes are asked for beyond what they may give
  double bytes_per_second = 0;  ///< over the network
};

/// Of a node's workers, so much may be busy: what is left takes bursts.
inline constexpr double load_limit = 0.8;

/// @param operators  placed
/// @throws UsageError  the profile is of another graph
auto cost(const std::deque<std::shared_ptr<Operator>>& operators, std::span<const NodeSpec> nodes,
          const Profile& profile) -> Cost;

/// Places the operators so that the least is sent over the network, as far as no node is asked for more than
/// `load_limit` of its workers. What can be moved are the tasks behind an exchange that no `on` has placed: each is on
/// every node, or on one.
///
/// The best that a descent finds, one move at a time, from every task everywhere and from all tasks on each of the
/// nodes. Every node comes to the same result.
/// @throws UsageError  the profile is of another graph; a node or a label that the cluster does not have
void place(const std::deque<std::shared_ptr<Operator>>& operators, std::span<const NodeSpec> nodes,
           const Profile& profile);

/// @throws UsageError  two operators have the same title, so a profile could not tell them apart
void check_titles(const std::deque<std::shared_ptr<Operator>>& operators);

}  // namespace tensair::plan
