#pragma once

#include <atomic>
#include <memory>
#include <tensair/model/averaging.hpp>
#include <tensair/model/delta.hpp>
#include <tensair/model/divergence.hpp>
#include <tensair/model/options.hpp>
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
  /// @param options     the model's: what is exchanged, and how links compress it
  Exchange(runtime::Node& node, net::ChannelId channel, Overlay overlay, int replicas, std::size_t parameters,
           const ModelOptions& options = {});
  ~Exchange();

  /// The task of one of this node's replicas: woken when something arrives for it.
  void bind(int replica, runtime::Task& task);

  /// A step of one of this node's replicas, for all others.
  void publish(int replica, const SharedDelta& delta);

  /// What has arrived for a replica of this node since the last time; null when nothing has.
  auto collect(int replica) -> SharedDelta;

  /// A replica of this node has reached a mark; told to all others, to be compared.
  void tell(Sketch sketch);
  struct Divergence {
    double last = 0, largest = 0;
    std::uint64_t measured = 0;
  };
  /// As far as this node has seen.
  auto divergence() const -> Divergence;

  /// Marks at which the divergence was above the model's bound, in the order in which that was found; all nodes find
  /// the same. From number `first` on.
  auto diverged(std::size_t first) const -> std::vector<std::uint64_t>;

  /// What one of this node's replicas has to say in a round of averaging; told to all others.
  void average(const PartOfAverage& part);
  struct Mean {
    std::uint64_t round = 0;
    std::shared_ptr<const std::vector<float>> values;
  };
  /// The means of rounds in which all replicas have said their part, for a replica of this node; each once.
  auto means(int replica) -> std::vector<Mean>;

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
    explicit Local(std::size_t parameters) : inbox(parameters) {}
    Accumulator inbox;
    std::mutex means_mutex;
    std::vector<Mean> means;  // not collected yet
    std::atomic<runtime::Task*> task{nullptr};
  };

  void arrive(net::Rank from, net::Payload payload);
  auto read_delta(net::Reader& reader, bool compressed, std::shared_ptr<const net::Payload> payload) const
      -> SharedDelta;
  void pass_on(const Sketch& sketch, net::Rank from);
  void compare(Sketch sketch);
  void pass_on(const PartOfAverage& part, net::Rank from);
  void take_part(PartOfAverage part);
  /// Gives every neighbour's outbox but `from`'s something to say.
  template <class Give>
  void to_neighbours(net::Rank from, Give give);
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
  std::unique_ptr<const Compressor> decompressor_;  // null: deltas are not compressed
  std::vector<std::unique_ptr<Local>> locals_;
  std::vector<std::pair<net::Rank, std::shared_ptr<LinkOutbox>>> outboxes_;
  mutable std::mutex arrivals_mutex_;
  std::vector<Arrival> arrivals_;
  mutable std::mutex divergence_mutex_;
  DivergenceMeter divergence_;
  double bound_ = 0;
  std::vector<std::uint64_t> diverged_;  // marks
  std::mutex averages_mutex_;
  OpenAverages averages_;
  std::atomic<std::size_t> locals_unfinished_;
  std::atomic<std::size_t> unfinished_;  // this node's replicas, and other nodes
  std::shared_ptr<std::atomic<std::uint64_t>> deltas_sent_ = std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace tensair
