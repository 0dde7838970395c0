#pragma once

#include <functional>
#include <string>
#include <tensair/pipeline.hpp>
#include <vector>

namespace tensair::test {

/// A way to run a pipeline: on so many nodes, in the simulation with a seed or over TCP.
struct Topology {
  int nodes = 1;
  std::uint64_t seed = 1;
  bool tcp = false;
  int workers = 2;  ///< threads of a node, over TCP: the simulation has one for all

  auto name() const -> std::string;
};

/// 1, 2 and 5 nodes, each in the simulation with three seeds and over TCP with one worker and with three.
auto topologies() -> std::vector<Topology>;
/// One each of 1, 2 and 5 simulated nodes, and 2 nodes over TCP: for what takes long, or does not depend on the order.
auto some_topologies() -> std::vector<Topology>;
/// Those of `topologies` over TCP.
auto tcp_topologies() -> std::vector<Topology>;

/// Builds the pipeline on every node and runs it; throws what the first failing node throws.
/// @return node 0's figures, over TCP: those of the simulation cannot be asked for
auto run(const Topology& topology, const std::function<void(Pipeline&)>& build) -> std::string;

/// Runs N nodes over TCP on loopback ports of their own, each in a thread; throws node `whose`'s error, if that node
/// failed.
/// @return node 0's figures
auto run_tcp(int nodes, const std::function<void(Pipeline&)>& build, int whose = 0, int workers = 2) -> std::string;

/// The plan of a pipeline on so many nodes, as `--explain` prints it.
auto explained(const Pipeline& pipeline, int nodes) -> std::string;

}  // namespace tensair::test
