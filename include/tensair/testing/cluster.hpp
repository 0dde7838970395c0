#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <tensair/pipeline.hpp>
#include <tensair/plan/profile.hpp>
#include <vector>

namespace tensair::testing {

/// How a simulated cluster behaves. Times are virtual.
struct ClusterOptions {
  int nodes = 1;
  std::uint64_t seed = 1;  ///< of everything that is drawn: which task runs next, how long turns and messages take
  Duration turn =
      std::chrono::milliseconds{1};  ///< a turn of a task that occupies its thread (a training step), on average
  Duration delay = std::chrono::microseconds{100};  ///< a message's way over a link, on average
  double bytes_per_second = 0;                      ///< of a link, each way; 0: without limit
  std::vector<NodeSpec> specs{};  ///< by node: labels and workers; missing ones have one worker and no label
  bool profiling = false;         ///< find out what the pipeline's parts cost
  std::optional<plan::Profile> use_profile{};  ///< place operators by it
  double turn_spread = 0.5;                    ///< turns take from 1 − so much to 1 + so much of the average
  std::vector<double> slowness{};              ///< by node: its turns take so many times longer; missing ones are 1
  double node_bytes_per_second = 0;  ///< of a node's network card: all its links together, each way; 0: without limit
};

/// A whole cluster in one process and one thread, under a virtual clock: the same pipeline, the same tasks and the same
/// messages as over TCP. The order in which things happen is drawn from a seed: tasks take turns in any order, messages
/// of different links overtake each other, those of one link never do. The same seed runs the same way again.
///
/// @code
/// tensair::testing::Cluster cluster{{.nodes = 5, .seed = 42}};
/// tensair::Collected<int> squares;
/// cluster.run([&](tensair::Pipeline& pipeline) {
///   auto collected = pipeline.source(std::vector{1, 2, 3}).map([](int n) { return n * n; }).collect();
///   if (pipeline.options().rank == 0) squares = collected;
/// });
/// @endcode
class Cluster {
 public:
  explicit Cluster(ClusterOptions options);
  Cluster(const Cluster&) = delete;
  auto operator=(const Cluster&) -> Cluster& = delete;
  ~Cluster();

  /// Node `rank` dies at this time, without a word; the run then ends with the NodeError that the others would end
  /// with.
  void kill(int rank, Duration at);

  /// For so long from this time on nothing arrives between nodes `a` and `b`, in either direction; it arrives
  /// afterwards, in order: a link that is cut and comes back in time.
  /// @throws UsageError  there is no such pair of nodes
  void cut(int a, int b, Duration at, Duration outage);

  /// At this time the run is drained, as by `Pipeline::drain`.
  void drain(Duration at);

  /// Builds the pipeline on every node, as every process would, and runs until every node has ended.
  /// @throws Error  what a node's run ended with; also when nothing can happen any more and tasks still wait (a deadlock: names them)
  void run(const std::function<void(Pipeline&)>& build);

  /// Virtual time since the start.
  auto elapsed() const -> Duration;
  /// What a run with `profiling` has found out. Turns take no virtual time, so no task was busy.
  auto profile() const -> plan::Profile;
  /// The bytes of all messages sent so far.
  auto bytes_sent() const -> std::uint64_t;

 private:
  struct World;
  std::unique_ptr<World> world_;
};

}  // namespace tensair::testing
