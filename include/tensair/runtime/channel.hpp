#pragma once

#include <algorithm>
#include <atomic>
#include <concepts>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <tensair/net/codec.hpp>
#include <tensair/runtime/node.hpp>
#include <tensair/runtime/ring.hpp>
#include <utility>
#include <vector>

// Channels: bounded, in order, the same in memory and over TCP.
//
// A channel has one Inlet, owned by the task that takes from it, and an Outlet for each task that puts into it. Every
// outlet starts with a number of credits; putting an item spends one, and the inlet gives it back when its task has
// taken the item. So an inlet never holds more than senders × credits items, whatever the speed of the sides, and
// nobody blocks: a sender without credit has its task wait, and is woken by the credit. An item for this node is handed
// over by pointer; one for another node is encoded and travels as a message on the data lane, and its credit returns on
// the control lane. End of stream travels behind the last item.
//
// Items that are containers go back too, empty, so that a channel inside a node soon allocates nothing any more: who
// has worked through one leaves its memory with the inlet (`exchange`), whose senders fill it again (`spare`).

namespace tensair::runtime {

/// When an inlet gives senders their credits back.
enum class Granting {
  always,        ///< as soon as an item is taken
  prefer_local,  ///< to senders on other nodes only while nothing is waiting here: work is moved only to who would idle
  never,         ///< something else bounds what is under way (replies: the requests do)
};

namespace detail {

/// Where a spent credit goes back to: an outlet of this node.
class CreditReturn {
 public:
  virtual ~CreditReturn() = default;
  virtual void give(std::size_t credits) = 0;
};

inline constexpr net::ChannelId credit_bit = 0x8000'0000U;
inline constexpr std::uint8_t item_mark = 0;
inline constexpr std::uint8_t end_mark = 1;

/// Which of the outlets on its node sent an item.
using SenderId = std::uint16_t;

void send_credits(Node& node, net::Rank to, net::ChannelId channel, SenderId sender, std::size_t credits);

/// Messages waiting for the link; bounded by the credits of the outlet that fills it.
class MessageQueue final : public net::Outbox {
 public:
  void push(std::unique_ptr<net::Message> message);
  auto next() -> std::unique_ptr<net::Message> override;

 private:
  std::mutex mutex_;
  std::deque<std::unique_ptr<net::Message>> messages_;
};

}  // namespace detail

/// An item whose memory can be used again.
template <class T>
concept Reusable = std::default_initializable<T> && requires(T item) {
  item.clear();
  item.capacity();
};

/// The receiving end of a channel.
template <class T>
class Inlet {
 public:
  using Item = T;

  /// @param senders  how many outlets (on all nodes) will end before this inlet ends
  /// @param credits  what each outlet starts with
  /// @param granting  with `prefer_local`, the senders are one on each of the first nodes
  TENSAIR_COLD Inlet(Node& node, net::ChannelId channel, std::size_t senders, std::size_t credits,
                     Granting granting = Granting::always)
      : node_(node),
        channel_(channel),
        senders_(senders),
        granting_(granting),
        withheld_(static_cast<std::size_t>(node.count())) {
    if (granting == Granting::prefer_local) {
      for (std::size_t rank = 0; rank < std::min(senders, withheld_.size()); ++rank) {
        if (static_cast<net::Rank>(rank) != node.rank()) withheld_[rank] = credits;
      }
    }
    if constexpr (net::Encodable<T>) {
      if (node.count() > 1) {
        node.transport().receive(channel, [this](net::Rank from, net::Payload payload) { arrive(from, payload); });
      }
    }
  }

  /// The task to wake when something arrives.
  void bind(Task& owner) { owner_.store(&owner, std::memory_order_release); }

  /// From an outlet on this node.
  void put(T item, std::shared_ptr<detail::CreditReturn> credit) {
    {
      const std::lock_guard lock{mutex_};
      items_.push_back({std::move(item), node_.rank(), 0, std::move(credit)});
    }
    wake();
  }

  /// One sender has ended.
  void end() {
    {
      const std::lock_guard lock{mutex_};
      ++ended_;
    }
    wake();
  }

  /// The next item, if there is one; its sender may send another. Only the owner task calls it.
  auto take() -> std::optional<T> {
    std::optional<Entry> entry = take_entry();
    if (!entry) return std::nullopt;
    return std::move(entry->item);
  }

  /// Puts the next item into `used`, if there is one, and says whether there was. What `used` held has been worked
  /// through; its memory goes back to the senders of this node. Only the owner task calls it.
  auto exchange(T& used) -> bool requires Reusable<T> {
    if (std::exchange(used_is_local_, false) && used.capacity() > 0) {
      used.clear();
      const std::lock_guard lock{mutex_};
      spares_.push_back(std::move(used));
    }
    std::optional<Entry> entry = take_entry();
    if (!entry) return false;
    used_is_local_ = entry->credit != nullptr;
    used = std::move(entry->item);
    return true;
  }

  /// An empty item, with the memory of one that has been worked through if there is one.
  auto spare() -> T requires Reusable<T> {
    const std::lock_guard lock{mutex_};
    if (spares_.empty()) return {};
    T item = std::move(spares_.back());
    spares_.pop_back();
    return item;
  }

  /// Whether all senders have ended and everything has been taken.
  auto ended() const -> bool {
    const std::lock_guard lock{mutex_};
    return ended_ == senders_ && items_.empty();
  }

 private:
  struct Entry {
    T item;
    net::Rank from;
    detail::SenderId sender;
    std::shared_ptr<detail::CreditReturn> credit;  // null: the sender is on another node
  };

  auto take_entry() -> std::optional<Entry> {
    std::optional<Entry> entry;
    bool hungry = false;
    {
      const std::lock_guard lock{mutex_};
      if (!items_.empty()) {
        entry.emplace(std::move(items_.front()));
        items_.pop_front();
      }
      hungry = items_.empty();
    }
    if (entry) {
      if (entry->credit) {
        entry->credit->give(1);
      } else if (granting_ == Granting::prefer_local) {
        ++withheld_[static_cast<std::size_t>(entry->from)];
      } else if (granting_ == Granting::always) {
        detail::send_credits(node_, entry->from, channel_, entry->sender, 1);
      }
    }
    if (hungry && granting_ == Granting::prefer_local) invite();
    return entry;
  }

  void arrive(net::Rank from, const net::Payload& payload) {
    net::Reader reader{payload};
    if (reader.read<std::uint8_t>() == detail::end_mark) {
      end();
      return;
    }
    const auto sender = reader.read<detail::SenderId>();
    auto item = reader.read<T>();
    {
      const std::lock_guard lock{mutex_};
      items_.push_back({std::move(item), from, sender, nullptr});
    }
    wake();
  }

  // Nothing waits here: let the other nodes send. Owner task only, as is `withheld_`.
  void invite() {
    for (std::size_t rank = 0; rank < withheld_.size(); ++rank) {
      if (withheld_[rank] == 0) continue;
      detail::send_credits(node_, static_cast<net::Rank>(rank), channel_, 0, std::exchange(withheld_[rank], 0));
    }
  }

  void wake() {
    if (auto* owner = owner_.load(std::memory_order_acquire)) owner->wake();
  }

  Node& node_;
  net::ChannelId channel_;
  std::size_t senders_;
  Granting granting_;
  std::atomic<Task*> owner_{nullptr};
  mutable std::mutex mutex_;
  Ring<Entry> items_;
  std::vector<T> spares_;
  bool used_is_local_ = false;  // what `exchange` gave last came from this node. Owner task only
  std::size_t ended_ = 0;
  std::vector<std::size_t> withheld_;
};

/// The sending end of a channel: belongs to one task.
template <class T>
class Outlet {
 public:
  /// To nowhere, until another one is assigned.
  Outlet() = default;
  /// To an inlet of this node.
  TENSAIR_COLD Outlet(std::shared_ptr<Inlet<T>> inlet, std::size_t credits)
      : inlet_(std::move(inlet)), credits_(std::make_shared<Credits>(credits)) {}

  /// To the inlet with that channel on another node.
  /// @param credits  what the inlet's `Granting` allows at the start: nothing when it prefers local senders
  /// @param sender   which of this node's outlets to that inlet it is
  TENSAIR_COLD Outlet(Node& node, net::Rank to, net::ChannelId channel, std::size_t credits,
                      detail::SenderId sender = 0)
      : node_(&node),
        to_(to),
        channel_(channel),
        sender_(sender),
        credits_(std::make_shared<Credits>(credits)),
        queue_(std::make_shared<detail::MessageQueue>()) {
    static_assert(
        net::Encodable<T>,
        "records of this type cannot be sent to another node: give the type a serialize(archive, version) member");
  }

  /// The task to wake when a credit comes back.
  void bind(Task& owner) { credits_->owner.store(&owner, std::memory_order_release); }

  auto credits() const -> std::size_t { return credits_->count.load(std::memory_order_acquire); }

  /// What to do with credits that arrive from the other node (the owner of the channel's receiver calls it).
  auto credit_return() -> std::shared_ptr<detail::CreditReturn> { return credits_; }

  /// An empty item to fill, with memory that has been used before if there is some.
  auto spare() -> T requires Reusable<T> { return inlet_ ? inlet_->spare() : T{}; }

  /// Sends an item. Precondition: `credits() > 0`.
  void put(T item) {
    credits_->count.fetch_sub(1, std::memory_order_acq_rel);
    if (inlet_) {
      inlet_->put(std::move(item), credits_);
      return;
    }
    if constexpr (net::Encodable<T>) {
      auto owned = std::make_shared<const T>(std::move(item));
      net::Writer writer{channel_};
      writer.write(detail::item_mark);
      writer.write(sender_);
      writer.write(*owned);
      post(writer.finish(owned));
    }
  }

  /// Tells the inlet that nothing more comes from here.
  void end() {
    if (inlet_) {
      inlet_->end();
      return;
    }
    net::Writer writer{channel_};
    writer.write(detail::end_mark);
    post(writer.finish());
  }

  auto to_other_node() const -> bool { return inlet_ == nullptr; }

 private:
  struct Credits final : detail::CreditReturn {
    explicit Credits(std::size_t initial) : count(initial) {}
    void give(std::size_t credits) override {
      count.fetch_add(credits, std::memory_order_acq_rel);
      if (auto* task = owner.load(std::memory_order_acquire)) task->wake();
    }
    std::atomic<std::size_t> count;
    std::atomic<Task*> owner{nullptr};
  };

  void post(std::unique_ptr<net::Message> message) {
    queue_->push(std::move(message));
    node_->transport().link(to_).ready(net::Lane::data, queue_);
  }

  std::shared_ptr<Inlet<T>> inlet_;
  Node* node_ = nullptr;
  net::Rank to_ = 0;
  net::ChannelId channel_ = 0;
  detail::SenderId sender_ = 0;
  std::shared_ptr<Credits> credits_;
  std::shared_ptr<detail::MessageQueue> queue_;
};

/// Credits that come back from `channel`'s inlets on other nodes, handed to the right outlet: `senders` for each rank,
/// in order of sender; null where there is none.
void receive_credits(Node& node, net::ChannelId channel, std::vector<std::shared_ptr<detail::CreditReturn>> by_rank,
                     std::size_t senders = 1);

}  // namespace tensair::runtime
