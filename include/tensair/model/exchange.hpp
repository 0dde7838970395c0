#pragma once

#include <atomic>
#include <memory>
#include <tensair/model/delta.hpp>
#include <tensair/model/pace.hpp>
#include <tensair/overlay.hpp>
#include <tensair/runtime/node.hpp>
#include <vector>

namespace tensair {

/// Carries deltas between the replicas of one model: those of this node in memory, those of other nodes over the links
/// of an overlay. Nobody waits in it.
class Exchange {
 public:
  /// @param channel     where deltas of this model arrive, on every node
  /// @param overlay     of the nodes that have replicas: number i is on the i-th of them, round and round
  /// @param replicas    on all nodes
  /// @param parameters  of the model
  Exchange(runtime::Node& node, net::ChannelId channel, Overlay overlay, int replicas, std::size_t parameters);
  ~Exchange();

  /// The task of one of this node's replicas: woken when something arrives for it.
  void bind(int replica, runtime::Task& task);

  /// A step of one of this node's replicas, for all others.
  void publish(int replica, const SharedDelta& delta);

  /// What has arrived for a replica of this node since the last time; null when nothing has.
  auto collect(int replica) -> SharedDelta;

  /// When each replica's last delta arrived on this node (its own: when it was published), by replica.
  auto arrivals() const -> std::vector<Arrival>;

  /// The replica will publish nothing more.
  void finish(int replica);

  /// Whether every replica has finished and all their deltas have arrived. Once true, `collect` gives the last ones.
  auto finished() const -> bool;

  /// Whether deltas say in full what their replicas had seen.
  auto tells_seen() const -> bool { return !overlay_.passes_on(); }
  /// Whether replicas tell each other nothing but that they have finished: there is one, or they are to be independent.
  auto alone() const -> bool { return replicas_ == 1 || independent_; }
  /// Before the run: makes them so.
  void make_independent() { independent_ = true; }
  auto deltas_sent() const -> std::uint64_t { return deltas_sent_->load(std::memory_order_relaxed); }

 private:
  class LinkOutbox;
  struct Local {
    Accumulator inbox;
    std::atomic<runtime::Task*> task{nullptr};
  };

  void arrive(net::Rank from, net::Payload payload);
  void pass_on(const SharedDelta& delta, net::Rank from);
  void end(net::Rank node, net::Rank from);
  void count_finished();
  void note_arrival(const Delta& delta);
  void wake_locals(const Local* but);
  auto local(int replica) -> Local& { return *locals_[static_cast<std::size_t>(replica) / overlay_.members().size()]; }

  runtime::Node& node_;
  net::ChannelId channel_;
  Overlay overlay_;
  int replicas_;
  bool independent_ = false;
  std::size_t parameters_;
  std::vector<std::unique_ptr<Local>> locals_;
  std::vector<std::pair<net::Rank, std::shared_ptr<LinkOutbox>>> outboxes_;
  mutable std::mutex arrivals_mutex_;
  std::vector<Arrival> arrivals_;
  std::atomic<std::size_t> locals_unfinished_;
  std::atomic<std::size_t> unfinished_;  // this node's replicas, and other nodes
  std::shared_ptr<std::atomic<std::uint64_t>> deltas_sent_ = std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace tensair
