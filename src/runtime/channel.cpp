#include <fmt/format.h>

#include <tensair/net/compressed.hpp>
#include <tensair/runtime/channel.hpp>
#include <utility>

namespace tensair::runtime {
namespace detail {

void send_credits(Node& node, net::Rank to, net::ChannelId channel, SenderId sender, std::size_t credits) {
  net::Writer writer{channel | credit_bit};
  writer.write(sender);
  writer.write(static_cast<std::uint64_t>(credits));
  node.transport().link(to).send(net::Lane::control, std::move(*writer.finish()));
}

void MessageQueue::push(std::unique_ptr<net::Message> message) {
  const std::lock_guard lock{mutex_};
  messages_.push_back(std::move(message));
}

auto MessageQueue::next() -> std::unique_ptr<net::Message> {
  const std::lock_guard lock{mutex_};
  if (messages_.empty()) return nullptr;
  auto message = std::move(messages_.front());
  messages_.pop_front();
  return message;
}

AnyInlet::AnyInlet(Node& node, net::ChannelId channel, std::size_t senders, Granting granting, ReadParcel read)
    : node_(node),
      channel_(channel),
      senders_(senders),
      granting_(granting),
      read_(read),
      withheld_(static_cast<std::size_t>(node.count())) {
  if (read != nullptr && node.count() > 1) {
    node.transport().receive(channel, [this](net::Rank from, const net::Payload& payload) { arrive(from, payload); });
  }
}

void AnyInlet::withhold(const std::vector<net::Rank>& senders, std::size_t credits) {
  for (const net::Rank rank : senders) {
    if (rank != node_.rank()) withheld_[static_cast<std::size_t>(rank)] = credits;
  }
}

// From an outlet on this node.
void AnyInlet::put(std::unique_ptr<Parcel> item, std::shared_ptr<CreditReturn> credit) {
  if (bytes_ && read_ != nullptr) {
    net::Writer writer{channel_};
    item->write(writer);
    bytes_->add(writer.finish()->size());
  }
  {
    const std::lock_guard lock{mutex_};
    items_.push_back({std::move(item), node_.rank(), 0, std::move(credit)});
  }
  wake();
}

// One sender has ended.
void AnyInlet::end() {
  {
    const std::lock_guard lock{mutex_};
    ++ended_;
  }
  wake();
}

auto AnyInlet::take() -> std::unique_ptr<Parcel> {
  auto entry = take_entry();
  return entry ? std::move(entry->item) : nullptr;
}

auto AnyInlet::exchange(std::unique_ptr<Parcel>& used) -> bool {
  if (used) spares_.give(std::move(used));
  auto entry = take_entry();
  if (!entry) return false;
  used = std::move(entry->item);
  return true;
}

auto AnyInlet::ended() const -> bool {
  const std::lock_guard lock{mutex_};
  return ended_ == senders_ && items_.empty();
}

auto AnyInlet::take_entry() -> std::optional<Entry> {
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
      owe(entry->from, entry->sender);
    }
  }
  if (hungry && !creditors_.empty()) pay();
  if (hungry && granting_ == Granting::prefer_local) invite();
  return entry;
}

void AnyInlet::arrive(net::Rank from, const net::Payload& payload) {
  net::Reader reader{payload};
  const auto mark = reader.read<std::uint8_t>();
  if (mark == end_mark) return end();
  if (mark == compressed_mark) {
    const auto plain = net::read_compressed(reader);
    net::Reader inner{plain};
    if (inner.read<std::uint8_t>() != item_mark) throw net::Malformed("a compressed message that holds no item");
    return arrive(from, inner, plain.size());
  }
  if (mark != item_mark) throw net::Malformed(fmt::format("a message of an unknown kind, {}", mark));
  arrive(from, reader, payload.size());
}

void AnyInlet::arrive(net::Rank from, net::Reader& reader, std::size_t size) {
  const auto sender = reader.read<SenderId>();
  auto item = read_(reader, spares_.take());
  if (bytes_) bytes_->add(size);
  {
    const std::lock_guard lock{mutex_};
    items_.push_back({std::move(item), from, sender, nullptr});
  }
  if (auto* owner = owner_.load(std::memory_order_acquire)) node_.wake_after_burst(*owner);
}

// Nothing waits here: let the other nodes send.
void AnyInlet::invite() {
  for (std::size_t rank = 0; rank < withheld_.size(); ++rank) {
    if (withheld_[rank] == 0) continue;
    send_credits(node_, static_cast<net::Rank>(rank), channel_, 0, std::exchange(withheld_[rank], 0));
  }
}

void AnyInlet::owe(net::Rank rank, SenderId sender) {
  if (granted_together_ <= 1) return send_credits(node_, rank, channel_, sender, 1);
  if (owed_.empty()) owed_.resize(static_cast<std::size_t>(node_.count()));
  auto& by_sender = owed_[static_cast<std::size_t>(rank)];
  if (by_sender.size() <= sender) by_sender.resize(std::size_t{sender} + 1);
  auto& owed = by_sender[sender];
  if (owed == 0) creditors_.push_back({rank, sender});
  if (++owed < granted_together_) return;
  send_credits(node_, rank, channel_, sender, std::exchange(owed, 0));
  std::erase_if(creditors_, [&](const Creditor& one) { return one.rank == rank && one.sender == sender; });
}

void AnyInlet::pay() {
  for (const auto [rank, sender] : creditors_) {
    auto& owed = owed_[static_cast<std::size_t>(rank)][sender];
    send_credits(node_, rank, channel_, sender, std::exchange(owed, 0));
  }
  creditors_.clear();
}

void AnyInlet::wake() const {
  if (auto* owner = owner_.load(std::memory_order_acquire)) owner->wake();
}

void AnyOutlet::Credits::give(std::size_t credits) {
  count.fetch_add(credits, std::memory_order_acq_rel);
  if (auto* task = owner.load(std::memory_order_acquire)) task->wake();
}

AnyOutlet::AnyOutlet(std::shared_ptr<AnyInlet> inlet, std::size_t credits)
    : inlet_(std::move(inlet)), credits_(std::make_shared<Credits>(credits)) {}

AnyOutlet::AnyOutlet(Node& node, net::Rank to, net::ChannelId channel, std::size_t credits, SenderId sender,
                     enum compression method)
    : node_(&node),
      to_(to),
      channel_(channel),
      sender_(sender),
      compression_(method),
      credits_(std::make_shared<Credits>(credits)),
      queue_(std::make_shared<MessageQueue>()),
      most_spares_(2 * credits) {}

auto AnyOutlet::spare() -> std::unique_ptr<Parcel> {
  if (inlet_) return inlet_->spare();
  if (!spares_) spares_ = std::make_shared<Spares>(most_spares_);
  return spares_->take();
}

void AnyOutlet::put(std::unique_ptr<Parcel> item) {
  credits_->count.fetch_sub(1, std::memory_order_acq_rel);
  if (inlet_) {
    inlet_->put(std::move(item), credits_);
    return;
  }
  std::shared_ptr<const Parcel> owned;
  if (spares_) {
    owned = {item.release(), [to = spares_](Parcel* used) { to->give(std::unique_ptr<Parcel>(used)); }};
  } else {
    owned = std::move(item);
  }
  net::Writer writer{channel_};
  writer.write(item_mark);
  writer.write(sender_);
  owned->write(writer);
  auto message = writer.finish(owned);
  if (compression_ != compression::none) {
    net::Writer smaller{channel_};
    smaller.write(compressed_mark);
    if (net::write_compressed(smaller, *message, compression_)) message = smaller.finish();
  }
  post(std::move(message));
}

void AnyOutlet::end() {
  if (inlet_) {
    inlet_->end();
    return;
  }
  net::Writer writer{channel_};
  writer.write(end_mark);
  post(writer.finish());
}

void AnyOutlet::post(std::unique_ptr<net::Message> message) {
  queue_->push(std::move(message));
  node_->transport().link(to_).ready(net::Lane::data, queue_);
}

}  // namespace detail

void receive_credits(Node& node, net::ChannelId channel, std::vector<std::shared_ptr<detail::CreditReturn>> by_rank,
                     std::size_t senders) {
  if (node.count() == 1) return;
  node.transport().receive(channel | detail::credit_bit, [by_rank = std::move(by_rank), channel, senders](
                                                             net::Rank from, const net::Payload& payload) {
    net::Reader reader{payload};
    const std::size_t sender = reader.read<detail::SenderId>();
    const auto credits = reader.read<std::uint64_t>();
    const auto at = static_cast<std::size_t>(from) * senders + sender;
    if (sender >= senders || at >= by_rank.size() || !by_rank[at]) {
      throw net::Malformed(
          fmt::format("credits for outlet {} of channel {}, which node {} has no inlet of", sender, channel, from));
    }
    by_rank[at]->give(credits);
  });
}

}  // namespace tensair::runtime
