#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <tensair/runtime/node.hpp>
#include <vector>

// When a loop has ended.
//
// Records go round a loop as they like, over any number of tasks and nodes, so no counter of one node says that none is
// left. What says it is a *wave*: every head of the loop (the task where records enter it) sends a marker into it,
// which travels in order with the records and is passed on by a task when it has come from all who send to that task: a
// watermark. When the marker has come back to a head, everything that was in the loop before it has come back too. If
// from sending its marker until it came back no head was given a record, there is none: what was there before the
// markers has come back or left, and nothing has been sent behind them. (A double wave of flushing markers; the idea is
// that of Mattern, "Algorithms for distributed termination detection", Distributed Computing 2, 1987.)
//
// A wave begins when the loop's input has ended on every node and the wave before has come back to every head; node 0
// says so. Records never wait for it.

namespace tensair::runtime {

/// One node's part in finding out that a loop has ended. On node 0 also the one who decides.
class LoopTermination {
 public:
  /// @param channel  for the nodes' messages about this loop
  /// @param heads    how many heads the loop has on this node
  LoopTermination(Node& node, net::ChannelId channel, std::size_t heads);

  /// Woken when there is a new wave, or the end.
  void bind(Task& head);

  /// The latest wave that heads may send their markers of; 0: none.
  auto wave() const -> std::uint64_t;
  /// Whether nothing circulates on any node and nothing more comes in.
  auto ended() const -> bool { return ended_.load(std::memory_order_acquire); }

  /// A head says that its input has ended (wave 0), or that the marker of a wave has come back to it. Once a wave.
  /// @param quiet  no record came back to it between sending the marker and seeing it again
  void report(std::uint64_t wave, bool quiet);

 private:
  /// How many have reported a wave, of those who must.
  struct Round {
    std::size_t missing;
    bool quiet = true;
  };

  void report_of_node(std::uint64_t wave, bool quiet);
  void begin(std::uint64_t wave, bool end);
  void wake_heads();

  Node& node_;
  net::ChannelId channel_;
  std::size_t heads_;
  mutable std::mutex mutex_;
  std::vector<Task*> tasks_;
  Round of_heads_, of_nodes_;
  std::uint64_t wave_ = 0;
  std::atomic<bool> ended_{false};  // written with the lock
};

}  // namespace tensair::runtime
