#pragma once

#include <deque>
#include <tensair/operators/batch.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/runtime/channel.hpp>

namespace tensair::operators {

/// Records that move together through a channel. Batches are big already and move alone.
template <class T>
inline constexpr std::size_t chunk_size = is_batch<T> ? 1 : 256;

/// Chunks a sender may have under way to one receiver: two to overlap sending with work, the others to cover a round
/// trip.
inline constexpr std::size_t chunk_credits = 8;

/// Collects records into chunks and sends them through one outlet, in order, as credits allow.
template <class T>
class ChunkSender {
 public:
  using Chunk = std::vector<T>;

  void connect(runtime::Outlet<Chunk> outlet, runtime::Task& task) {
    outlet_.emplace(std::move(outlet));
    outlet_->bind(task);
  }

  void push(T record) {
    if (chunk_.empty()) chunk_.reserve(chunk_size<T>);
    chunk_.push_back(std::move(record));
    if (chunk_.size() >= chunk_size<T>) flush();
  }

  void flush() {
    if (!chunk_.empty()) waiting_.push_back(std::exchange(chunk_, {}));
    while (!waiting_.empty() && outlet_->credits() > 0) {
      outlet_->put(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    if (finishing_ && !ended_ && waiting_.empty()) {
      ended_ = true;
      outlet_->end();
    }
  }

  void finish() {
    finishing_ = true;
    flush();
  }

  auto blocked() const -> bool { return !waiting_.empty() || (finishing_ && !ended_); }

 private:
  std::optional<runtime::Outlet<Chunk>> outlet_;
  Chunk chunk_;
  std::deque<Chunk> waiting_;
  bool finishing_ = false, ended_ = false;
};

/// Sends the records of this node to the operator's one instance on node 0. The inlet is there on node 0 and null
/// elsewhere.
template <class T>
class GatherStage {
 public:
  GatherStage(net::ChannelId channel, std::shared_ptr<std::shared_ptr<runtime::Inlet<std::vector<T>>>> inlet)
      : channel_(channel), inlet_(std::move(inlet)) {}

  void operator()(T record) { sender_.push(std::move(record)); }

  void open(StageContext& context) {
    auto& node = context.node;
    if constexpr (!net::Encodable<T>) {
      if (node.count() > 1) {
        throw UsageError("records of " + stream_type<T>() + " cannot be sent to another node", {},
                         "Give the type a member template serialize(archive, version) { archive & a & b; }.");
      }
    }
    if (node.rank() == 0) {
      sender_.connect(runtime::Outlet<std::vector<T>>(*inlet_, chunk_credits), context.task);
      return;
    }
    if constexpr (net::Encodable<T>) {
      auto outlet = runtime::Outlet<std::vector<T>>(node, 0, channel_, chunk_credits);
      auto returns =
          std::vector<std::shared_ptr<runtime::detail::CreditReturn>>(static_cast<std::size_t>(node.count()));
      returns[0] = outlet.credit_return();
      runtime::receive_credits(node, channel_, std::move(returns));
      sender_.connect(std::move(outlet), context.task);
    }
  }
  void flush() { sender_.flush(); }
  void finish() { sender_.finish(); }
  auto blocked() -> bool { return sender_.blocked(); }

 private:
  net::ChannelId channel_;
  std::shared_ptr<std::shared_ptr<runtime::Inlet<std::vector<T>>>> inlet_;
  ChunkSender<T> sender_;
};

}  // namespace tensair::operators
