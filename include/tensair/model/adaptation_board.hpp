#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tensair/model/adaptation_rule.hpp>
#include <tensair/net/transport.hpp>
#include <tensair/runtime/node.hpp>
#include <vector>

namespace tensair {

/// What a node knows of the outcomes of all replicas' batches, and the decisions that follow.
///
/// Every replica tells every node with replicas what came of each of its batches. Batches have places in one order, in
/// which each node's board gives the outcomes to its own rule; so all boards make the same decisions, without a word
/// about them. There are two ways to find a batch's place:
///
/// - If all come from one stream on one node, it is its number in that stream. Outcomes wait for those of earlier
///   batches, and each of these comes: it has been sent to a replica.
/// - Otherwise replica k of R gives its batches the places k, k + R, k + 2R and so on, in the order in which it takes
///   them (a Lamport clock with R readings a tick). What is before a place is known when every replica is beyond it;
///   one that has no batch moves on when it hears that others have, and says so.
///
/// No replica begins a batch whose place is more than the lag beyond the first one of which the outcome is still
/// missing. So when a replica begins a batch, all decisions that hold for it have been made.
///
/// Nobody waits for ever: the batch that is first in order never has to wait, and a replica takes batches of one stream
/// in their order, so it is not behind one that waits.
class AdaptationBoard {
 public:
  AdaptationBoard(Automatic wanted, std::size_t lag) : lag_(lag), rule_(std::move(wanted), lag) {}

  /// @param replicas  on all nodes; `owners`: the nodes that have them
  /// @param one_stream  whether all batches come from one stream on one node
  void attach(runtime::Node& node, net::ChannelId channel, std::size_t replicas, const std::vector<net::Rank>& owners,
              bool one_stream);
  /// A replica of this node, woken when there is news.
  void add(std::size_t number, runtime::Task& replica);

  // From replicas of the node, while it runs:
  /// The place of the batch that a replica has taken and not told the outcome of yet.
  auto place_of(std::size_t replica, std::uint64_t number) const -> std::uint64_t;
  /// Whether all is known that holds for that place, which the replica's batch has. If not, the others hear that it
  /// waits.
  auto may_begin(std::size_t replica, std::uint64_t place) -> bool;
  void tell(std::size_t replica, const BatchOutcome& outcome);
  /// A replica has no batch to begin.
  void idle(std::size_t replica);
  /// A replica will get no more batches.
  void end(std::size_t replica);
  /// Whether that is so of all.
  auto ended() const -> bool;
  /// Gives the rule what has come.
  /// @throws Error  as the rule
  void read();
  /// The decisions that the replica has not been given yet and that hold for a place, or for whatever it may still get.
  auto decisions(std::size_t replica, std::uint64_t place = 0) -> std::vector<Decision>;

  auto rejected() const -> std::uint64_t;

  /// For a checkpoint that a replica writes: the rule's state, and what that replica has still to obey.
  auto state(std::size_t replica) const -> std::string;
  /// Goes on from it, before the run. @return whether the model is to train
  auto restore(std::string_view state) -> bool;

 private:
  static constexpr auto none_to_come = std::numeric_limits<std::uint64_t>::max();

  void arrive(const net::Payload& payload);
  enum class Kind : std::uint8_t { moves_on, waits, outcome };

  void note(std::size_t replica, Kind kind, std::uint64_t next, const BatchOutcome* outcome = nullptr);
  void say(std::size_t replica, Kind kind, const BatchOutcome* outcome = nullptr) const;
  auto first_missing() const -> std::uint64_t;
  auto all_ended() const -> bool;
  void wake() const;

  std::size_t lag_;
  mutable std::mutex mutex_;
  AdaptationRule rule_;
  bool one_stream_ = false;
  std::map<std::uint64_t, BatchOutcome> waiting_;  // by place: what the rule has not been given yet
  std::uint64_t taken_ = 0;                        // in one stream: how many it has been given
  std::vector<std::uint64_t> next_;  // by replica: none of its batches to come has a place before this one
  // The greatest place that an outcome has led to, or that a batch waits at.
  std::uint64_t busiest_ = 0;
  std::uint64_t end_ = 0;                       // the place behind all of which there is an outcome
  std::deque<Decision> decided_;                // as far as a replica of this node may not have been given them
  std::map<std::size_t, std::uint64_t> given_;  // by replica of this node: the number of the last one
  runtime::Node* node_ = nullptr;
  net::ChannelId channel_ = 0;
  std::vector<net::Rank> others_;
  std::vector<runtime::Waker> replicas_;
};

}  // namespace tensair
