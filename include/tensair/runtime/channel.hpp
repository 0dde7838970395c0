#pragma once

#include <atomic>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <tensair/compression.hpp>
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
// the control lane, with others if the inlet is told to gather some (`grant_together`). End of stream travels behind
// the last item.
//
// An outlet to another node can be told to compress what it sends; the message says so, and any inlet takes either.
//
// Items that are containers are used again, empty, so that a channel soon allocates none any more, and none of their
// memory is touched for the first time: who has worked through one leaves it with the inlet (`exchange`), whose senders
// on the node fill it again (`spare`), or what arrives from other nodes. An outlet to another node has back what the
// peer has received.
//
// An item travels in a box, and all but the ends' types is the same for all of them: a program has many types of
// records, and its compiler sees none of the machinery for any.

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
inline constexpr std::uint8_t compressed_mark = 2;  // a message with an item, compressed

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

/// What a channel carries, whatever it is: so that channels are compiled once, and not for each type of record.
class Parcel {
 public:
  Parcel() = default;
  virtual ~Parcel() = default;
  Parcel(const Parcel&) = delete;
  auto operator=(const Parcel&) -> Parcel& = delete;

  /// For another node. Precondition: the item's type is `net::Encodable`
  virtual void write(net::Writer& writer) const = 0;
  /// Leaves nothing in it but memory.
  virtual void clear() = 0;
};

/// An item, as it moves through a channel.
template <class T>
class Boxed final : public Parcel {
 public:
  Boxed() = default;
  explicit Boxed(T of) : item(std::move(of)) {}

  void write(net::Writer& writer) const override {
    if constexpr (net::Encodable<T>) writer.write(item);
  }
  void clear() override {
    if constexpr (requires { item.clear(); }) item.clear();
  }

  T item;
};
template <class T>
using Box = std::unique_ptr<Boxed<T>>;

namespace detail {

/// Makes an item of what `Parcel::write` has written, in one that is spare or, without, in a new one. Null for what
/// cannot be written.
using ReadParcel = std::unique_ptr<Parcel> (*)(net::Reader&, std::unique_ptr<Parcel> spare);

template <class T>
auto unpack(std::unique_ptr<Parcel> parcel) -> Box<T> {
  return Box<T>(static_cast<Boxed<T>*>(parcel.release()));
}

template <class T>
inline constexpr ReadParcel read_parcel = nullptr;
template <net::Encodable T>
inline constexpr ReadParcel read_parcel<T> =
    [](net::Reader& reader, std::unique_ptr<Parcel> spare) -> std::unique_ptr<Parcel> {
  if (!spare) return std::make_unique<Boxed<T>>(reader.read<T>());
  auto box = unpack<T>(std::move(spare));
  reader.read_into(box->item);
  return box;
};

/// Parcels that have been worked through, to be filled again: the last one, whose memory is most likely in a cache,
/// first. From any thread.
class Spares {
 public:
  Spares() = default;
  /// That keeps so many; `give` allocates nothing.
  explicit Spares(std::size_t most) : most_(most) { parcels_.reserve(most); }

  void give(std::unique_ptr<Parcel> used) {
    used->clear();
    const std::lock_guard lock{mutex_};
    if (parcels_.size() < most_) parcels_.push_back(std::move(used));
  }
  /// None, when there is none.
  auto take() -> std::unique_ptr<Parcel> {
    const std::lock_guard lock{mutex_};
    if (parcels_.empty()) return nullptr;
    auto spare = std::move(parcels_.back());
    parcels_.pop_back();
    return spare;
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Parcel>> parcels_;
  std::size_t most_ = std::numeric_limits<std::size_t>::max();
};

/// An inlet of whatever type.
class AnyInlet {
 public:
  AnyInlet(Node& node, net::ChannelId channel, std::size_t senders, Granting granting, ReadParcel read);

  void bind(Task& owner) { owner_.store(&owner, std::memory_order_release); }
  void put(std::unique_ptr<Parcel> item, std::shared_ptr<CreditReturn> credit);
  void end();
  auto take() -> std::unique_ptr<Parcel>;
  auto exchange(std::unique_ptr<Parcel>& used) -> bool;
  auto spare() -> std::unique_ptr<Parcel> { return spares_.take(); }
  auto ended() const -> bool;
  void withhold(const std::vector<net::Rank>& senders, std::size_t credits);
  /// With `Granting::always`: a sender on another node gets its credits back so many at a time, and what it is owed
  /// when nothing waits here. A message for each would cost more than the item itself. At most half of what it began
  /// with.
  void grant_together(std::size_t credits) { granted_together_ = credits; }
  /// From now on the bytes of what comes are counted, as they are or would be encoded.
  void count_bytes(std::shared_ptr<Counter> counter) { bytes_ = std::move(counter); }

 private:
  struct Entry {
    std::unique_ptr<Parcel> item;
    net::Rank from;
    SenderId sender;
    std::shared_ptr<CreditReturn> credit;  // null: the sender is on another node
  };

  auto take_entry() -> std::optional<Entry>;
  void arrive(net::Rank from, const net::Payload& payload);
  void arrive(net::Rank from, net::Reader& reader, std::size_t size);
  void invite();
  void owe(net::Rank rank, SenderId sender);
  void pay();
  void wake() const;

  Node& node_;
  net::ChannelId channel_;
  std::size_t senders_;
  Granting granting_;
  ReadParcel read_;
  std::atomic<Task*> owner_{nullptr};
  mutable std::mutex mutex_;
  Ring<Entry> items_;
  Spares spares_;
  std::size_t ended_ = 0;
  std::vector<std::size_t> withheld_;  // credits, by node. Owner task only
  // Credits that senders on other nodes are to get, and who is owed some. Owner task only.
  struct Creditor {
    net::Rank rank;
    SenderId sender;
  };
  std::size_t granted_together_ = 1;
  std::vector<std::vector<std::size_t>> owed_;  // by node, by sender
  std::vector<Creditor> creditors_;
  std::shared_ptr<Counter> bytes_;
};

/// An outlet of whatever type.
class AnyOutlet {
 public:
  /// To nowhere, until another one is assigned.
  AnyOutlet() = default;
  AnyOutlet(std::shared_ptr<AnyInlet> inlet, std::size_t credits);
  AnyOutlet(Node& node, net::Rank to, net::ChannelId channel, std::size_t credits, SenderId sender,
            enum compression method = compression::none);

  /// The task to wake when a credit comes back.
  void bind(Task& owner) { credits_->owner.store(&owner, std::memory_order_release); }
  auto credits() const -> std::size_t { return credits_->count.load(std::memory_order_acquire); }
  /// What to do with credits that arrive from the other node (the owner of the channel's receiver calls it).
  auto credit_return() -> std::shared_ptr<CreditReturn> { return credits_; }
  /// Tells the inlet that nothing more comes from here.
  void end();
  auto to_other_node() const -> bool { return inlet_ == nullptr; }

  /// An empty parcel that has been put before, if there is one. From the first call on an outlet keeps what comes back.
  auto spare() -> std::unique_ptr<Parcel>;
  void put(std::unique_ptr<Parcel> item);

 private:
  struct Credits final : CreditReturn {
    explicit Credits(std::size_t initial) : count(initial) {}
    void give(std::size_t credits) override;
    std::atomic<std::size_t> count;
    std::atomic<Task*> owner{nullptr};
  };

  void post(std::unique_ptr<net::Message> message);

  std::shared_ptr<AnyInlet> inlet_;
  Node* node_ = nullptr;
  net::Rank to_ = 0;
  net::ChannelId channel_ = 0;
  SenderId sender_ = 0;
  enum compression compression_ = compression::none;
  std::shared_ptr<Credits> credits_;
  std::shared_ptr<MessageQueue> queue_;
  std::size_t most_spares_ = 0;
  std::shared_ptr<Spares> spares_;  // to another node: what it has received
};

}  // namespace detail

/// The receiving end of a channel. Copies are the same end.
template <class T>
class Inlet {
 public:
  using Item = T;

  /// None, until another one is assigned.
  Inlet() = default;
  /// @param senders  how many outlets (on all nodes) will end before this inlet ends
  TENSAIR_COLD Inlet(Node& node, net::ChannelId channel, std::size_t senders, Granting granting = Granting::always)
      : any_(std::make_shared<detail::AnyInlet>(node, channel, senders, granting, detail::read_parcel<T>)) {}
  /// One that has been made for items of this type.
  explicit Inlet(std::shared_ptr<detail::AnyInlet> any) : any_(std::move(any)) {}

  explicit operator bool() const { return any_ != nullptr; }
  auto any() const -> const std::shared_ptr<detail::AnyInlet>& { return any_; }

  /// The task to wake when something arrives.
  void bind(Task& owner) const { any_->bind(owner); }

  /// The next item, if there is one; its sender may send another. Only the owner task calls it.
  auto take() const -> std::optional<T> {
    const auto box = detail::unpack<T>(any_->take());
    if (!box) return std::nullopt;
    return std::move(box->item);
  }

  /// Puts the next item into `used`, if there is one, and says whether there was. What `used` held has been worked
  /// through; its memory is used again for what comes. Only the owner task calls it.
  auto exchange(Box<T>& used) const -> bool {
    std::unique_ptr<Parcel> parcel = std::move(used);
    const bool there = any_->exchange(parcel);
    used = detail::unpack<T>(std::move(parcel));
    return there;
  }

  /// Whether all senders have ended and everything has been taken.
  auto ended() const -> bool { return any_->ended(); }

  /// With `Granting::prefer_local`: on which nodes the senders are, one each, and how many credits those elsewhere get
  /// when nothing is waiting here.
  void withhold(const std::vector<net::Rank>& senders, std::size_t credits) const { any_->withhold(senders, credits); }

 private:
  std::shared_ptr<detail::AnyInlet> any_;
};

/// The sending end of a channel: belongs to one task.
template <class T>
class Outlet : public detail::AnyOutlet {
 public:
  /// To nowhere, until another one is assigned.
  Outlet() = default;
  /// To an inlet of this node.
  TENSAIR_COLD Outlet(const Inlet<T>& inlet, std::size_t credits) : AnyOutlet(inlet.any(), credits) {}

  /// To the inlet with that channel on another node.
  /// @param credits  what the inlet's `Granting` allows at the start: nothing when it prefers local senders
  /// @param sender   which of this node's outlets to that inlet it is
  TENSAIR_COLD Outlet(Node& node, net::Rank to, net::ChannelId channel, std::size_t credits,
                      detail::SenderId sender = 0)
      : AnyOutlet(node, to, channel, credits, sender) {
    static_assert(
        net::Encodable<T>,
        "records of this type cannot be sent to another node: give the type a serialize(archive, version) member");
  }
  /// One that has been made for items of this type.
  explicit Outlet(AnyOutlet any) : AnyOutlet(std::move(any)) {}

  /// An empty item to fill, with memory that has been used before if there is some.
  auto spare() -> Box<T> {
    auto box = detail::unpack<T>(AnyOutlet::spare());
    return box ? std::move(box) : std::make_unique<Boxed<T>>();
  }

  /// Sends an item. Precondition: `credits() > 0`.
  void put(T item) { put(std::make_unique<Boxed<T>>(std::move(item))); }
  void put(Box<T> item) { AnyOutlet::put(std::move(item)); }
};

/// Credits that come back from `channel`'s inlets on other nodes, handed to the right outlet: `senders` for each rank,
/// in order of sender; null where there is none.
void receive_credits(Node& node, net::ChannelId channel, std::vector<std::shared_ptr<detail::CreditReturn>> by_rank,
                     std::size_t senders = 1);

}  // namespace tensair::runtime
