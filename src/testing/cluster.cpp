#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <tensair/error.hpp>
#include <tensair/plan/place.hpp>
#include <tensair/testing/cluster.hpp>

#include "simulation.hpp"

namespace tensair::testing {

struct Cluster::World {
  explicit World(ClusterOptions options) : simulation(std::move(options)) {}

  // Tasks refer to their node, and nodes to the simulation: they go first.
  Simulation simulation;
  std::vector<std::unique_ptr<runtime::Node>> nodes;
  std::vector<std::unique_ptr<Pipeline>> pipelines;
};

Cluster::Cluster(ClusterOptions options) : world_(std::make_unique<World>(std::move(options))) {}
Cluster::~Cluster() = default;

void Cluster::drain(Duration at) {
  world_->simulation.drain_at(at);
}

void Cluster::kill(int rank, Duration at) {
  world_->simulation.kill_at(rank, at);
}

void Cluster::cut(int a, int b, Duration at, Duration outage) {
  const int nodes = world_->simulation.options().nodes;
  if (a == b || std::min(a, b) < 0 || std::max(a, b) >= nodes)
    throw UsageError(fmt::format("cannot cut the link between nodes {} and {} of {}", a, b, nodes), {},
                     "Name two nodes of the cluster.");
  world_->simulation.cut(a, b, at, outage);
}

void Cluster::run(const std::function<void(Pipeline&)>& build) {
  auto& simulation = world_->simulation;
  const int count = simulation.options().nodes;
  auto specs = simulation.options().specs;
  specs.resize(static_cast<std::size_t>(count));
  for (auto& spec : specs) spec.workers = std::max(spec.workers, 1);
  for (int rank = 0; rank < count; ++rank) {
    Options options;
    options.program = "test";
    options.rank = rank;
    options.seed = simulation.options().seed;
    if (const char* device = std::getenv("TENSAIR_DEVICE")) options.device = device;
    if (count > 1) {
      for (int node = 0; node < count; ++node) options.nodes.push_back(fmt::format("node{}:0", node));
    }
    auto& pipeline = *world_->pipelines.emplace_back(std::make_unique<Pipeline>(std::move(options)));
    build(pipeline);
    pipeline.graph()->check();
    if (const auto& profile = simulation.options().use_profile) {
      plan::place(pipeline.graph()->operators(), specs, *profile);
    } else {
      pipeline.graph()->place(specs);
    }
    if (pipeline.graph()->describe() != world_->pipelines.front()->graph()->describe()) {
      throw Error("the pipelines differ", fmt::format("nodes 0 and {}", rank), "Build the same graph on every node.");
    }
    auto& node = *world_->nodes.emplace_back(std::make_unique<runtime::Node>(
        rank, count, simulation.options().seed, simulation.transport(rank), simulation.scheduler(rank)));
    node.set_profiling(simulation.options().profiling);
    pipeline.graph()->build(node);
  }
  simulation.run();
  for (auto& node : world_->nodes) node->end();
}

auto Cluster::elapsed() const -> Duration {
  return world_->simulation.clock().now() - Time{};
}

auto Cluster::profile() const -> plan::Profile {
  plan::Profile profile;
  profile.seconds = std::chrono::duration<double>(elapsed()).count();
  for (const auto& node : world_->nodes) {
    for (const auto& [title, counter] : node->edge_bytes())
      profile.bytes[title] += static_cast<double>(counter->value());
    for (const auto& [title, counter] : node->busy())
      profile.busy[title] += 1e-6 * static_cast<double>(counter->value());
  }
  return profile;
}

auto Cluster::bytes_sent() const -> std::uint64_t {
  std::uint64_t bytes = 0;
  for (int from = 0; from < world_->simulation.options().nodes; ++from) {
    for (const auto& link : world_->simulation.transport(from).links()) {
      if (!link) continue;
      for (const auto lane : {net::Lane::control, net::Lane::delta, net::Lane::data}) bytes += link->bytes_sent(lane);
    }
  }
  return bytes;
}

}  // namespace tensair::testing
