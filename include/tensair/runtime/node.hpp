#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tensair/net/transport.hpp>
#include <tensair/runtime/counter.hpp>
#include <tensair/runtime/task.hpp>
#include <vector>

namespace tensair::runtime {

/// One node of a running pipeline, as its tasks see it: who it is, the clock, the scheduler, the links, and the figures
/// it will report.
class Node {
 public:
  using Counters = std::map<std::string, std::shared_ptr<Counter>>;

  /// @pre  the transport is not connected yet; it outlives the node's tasks, and calls nobody once it is closed
  Node(net::Rank rank, int count, std::uint64_t seed, net::Transport& transport, Scheduler& scheduler);
  Node(const Node&) = delete;
  auto operator=(const Node&) -> Node& = delete;

  auto rank() const -> net::Rank { return rank_; }
  auto count() const -> int { return count_; }
  auto seed() const -> std::uint64_t { return seed_; }
  auto transport() -> net::Transport& { return transport_; }
  auto scheduler() -> Scheduler& { return scheduler_; }
  auto clock() const -> const Clock& { return scheduler_.clock(); }

  /// Asked to stop when nothing more is wanted of sources, because the run has failed or is drained: whoever waits for
  /// something outside gives up then.
  auto stop_token() const -> std::stop_token { return scheduler_.stop_token(); }
  /// Whether sources are to end now, though they may have more.
  auto draining() const -> bool { return scheduler_.draining(); }

  /// Wakes a task for what a receiver has put before it, once for a burst of messages. On the transport's thread.
  void wake_after_burst(Task& task);

  /// Whether the user asked for no progress display.
  auto quiet() const -> bool { return quiet_; }
  void set_quiet(bool quiet) { quiet_ = quiet; }

  /// Runs when everything of the graph has been made on this node and before anything starts: now outlets find their
  /// inlets.
  void when_built(std::function<void()> action);
  /// Opens a task then, and hands it to the scheduler.
  void start_when_built(std::unique_ptr<Task> task);
  void built();

  /// Adds a part to this node's report: called once when the run has ended well, it returns a JSON object (as text)
  /// that appears under `name`.
  void report(std::string name, std::function<std::string()> part);
  auto reports() const -> const std::vector<std::pair<std::string, std::function<std::string()>>>& { return reports_; }

  /// A number in this node's report, under `counts`; whoever asks for the same name counts with the same counter. The
  /// run's report has the sum over all nodes. While the graph is built or opened.
  auto counter(const std::string& name) -> std::shared_ptr<Counter> { return counter_in(counters_, name); }
  auto counters() const -> const Counters& { return counters_; }

  /// Whether this run finds out what its parts cost: then every exchange is one, every task counts its time, and every
  /// edge its bytes, as they would be encoded.
  auto profiling() const -> bool { return profiling_; }
  void set_profiling(bool profiling) { profiling_ = profiling; }
  /// The microseconds that tasks of this name have run.
  auto busy_counter(const std::string& task) -> std::shared_ptr<Counter> { return counter_in(busy_, task); }
  /// The bytes that went over the edge of this name.
  auto edge_counter(const std::string& edge) -> std::shared_ptr<Counter> { return counter_in(edge_bytes_, edge); }
  auto busy() const -> const Counters& { return busy_; }
  auto edge_bytes() const -> const Counters& { return edge_bytes_; }

  /// Runs when all tasks of this node have ended well, before its links close (saving a model, for one). May throw.
  void at_end(std::function<void()> action);
  void end();

 private:
  static auto counter_in(Counters& counters, const std::string& name) -> std::shared_ptr<Counter>;

  net::Rank rank_;
  int count_;
  std::uint64_t seed_;
  net::Transport& transport_;
  Scheduler& scheduler_;
  bool has_bursts_ = false;
  std::vector<Task*> arrived_for_;  // a burst's; on the transport's thread
  bool quiet_ = false;
  std::vector<std::pair<std::string, std::function<std::string()>>> reports_;
  bool profiling_ = false;
  Counters counters_, busy_, edge_bytes_;
  std::vector<std::function<void()>> built_;
  std::vector<std::function<void()>> endings_;
};

}  // namespace tensair::runtime
