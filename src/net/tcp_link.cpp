// A link: who may touch what, and why no wake-up is lost.
//
// Everything about a link happens on the transport's I/O thread but two things, which the mutex guards: the lists of
// outboxes that are ready, and `awake_`. `awake_` says that the writer will look at the lists again: a pump is posted
// or a write is under way. A sender that finds it set only adds its outbox. The writer clears it only after it has seen
// all lists empty, under the same lock. So each burst of sends posts once, and none is overlooked.
//
// The writer asks an outbox for its next message only when the socket has taken everything before it, and it cuts at
// most one batch ahead. So what an outbox has not been asked for can still change (a delta, more deltas added), and
// what is urgent waits for one batch.
//
// What has been written is kept until the peer says that it has it, and written again when the connection was cut
// (tcp_link_connection.cpp). So an end's stream of bytes has places, counted from its beginning, and the peer's word
// for one of them is all that both need to go on. How much is kept is bounded: a writer that has so much outstanding
// waits.

#include "tcp_link.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tensair/net/handshake.hpp>
#include <utility>

#include "socket_options.hpp"

namespace tensair::net::detail {
namespace {

constexpr std::size_t staging_bytes = 64 * 1024;
constexpr std::size_t most_held = 65'536;        // messages, however short
constexpr std::size_t least_direct = 16 * 1024;  // below, a copy costs less than a system call
constexpr int most_reads_of_burst = 4;           // each of 128 KiB at most, but for what is read ahead

auto index(Lane lane) -> std::size_t {
  return static_cast<std::size_t>(lane);
}

}  // namespace

// The messages that stand alone, of one lane.
class TcpLink::Queue final : public Outbox {
 public:
  void push(Message message) {
    const std::lock_guard lock{mutex_};
    messages_.push_back(std::make_unique<Message>(std::move(message)));
  }

  auto next() -> std::unique_ptr<Message> override {
    const std::lock_guard lock{mutex_};
    if (messages_.empty()) return nullptr;
    auto message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }

  void clear() {
    const std::lock_guard lock{mutex_};
    messages_.clear();
  }

 private:
  std::mutex mutex_;
  std::deque<std::unique_ptr<Message>> messages_;
};

TcpLink::TcpLink(LinkOwner& owner, Rank peer, Stream stream, const TcpLimits& limits, const Clock& clock)
    : owner_(owner),
      peer_(peer),
      stream_(std::move(stream)),
      executor_(stream_.get_executor()),
      limits_(limits),
      clock_(clock),
      farewell_timer_(executor_),
      beat_timer_(executor_),
      assembler_(limits.message),
      staging_(std::make_unique_for_overwrite<std::byte[]>(staging_bytes)),
      heard_(limits.beat, limits.silence, clock.now()),
      progress_(heard_) {
  for (auto& queue : queues_) queue = std::make_shared<Queue>();
}

// --- any thread ------------------------------------------------------------------------------------------

void TcpLink::ready(Lane lane, std::shared_ptr<Outbox> outbox) {
  {
    const std::lock_guard lock{mutex_};
    if (!open_) return;
    auto& waiting = ready_[index(lane)];
    if (std::find(waiting.begin(), waiting.end(), outbox) == waiting.end()) waiting.push_back(std::move(outbox));
    if (std::exchange(awake_, true)) return;
  }
  asio::post(executor_, [self = shared_from_this()] { self->pump(); });
}

void TcpLink::send(Lane lane, Message message) {
  if (const auto size = message.size(); size > limits_.message) {
    throw Error(fmt::format("a message of {} bytes is over the limit of {}", size, limits_.message),
                fmt::format("channel {}", message.channel));
  }
  auto& queue = queues_[index(lane)];
  {
    const std::lock_guard lock{mutex_};
    if (!open_) return;
    queue->push(std::move(message));
  }
  ready(lane, queue);
}

auto TcpLink::bytes_sent(Lane lane) const -> std::uint64_t {
  return bytes_sent_[index(lane)].load(std::memory_order_relaxed);
}

void TcpLink::forget_outboxes() {
  std::array<std::deque<std::shared_ptr<Outbox>>, lanes> forgotten;  // their destructors run without the lock
  {
    const std::lock_guard lock{mutex_};
    open_ = false;
    forgotten.swap(ready_);
  }
  for (auto& queue : queues_) queue->clear();
}

// --- the writer ------------------------------------------------------------------------------------------

void TcpLink::pump() {
  if (writing_ || broken_ || interrupted_ || closed_ || parted_) return;
  if (written_ < resend_.end()) {
    resending_ = true;
    resend_.bytes_at(written_, again_);
    return write(again_);
  }
  if (abort_ == Farewell::wanted) {
    abort_ = Farewell::writing;
    say(LinkMessage::abort, abort_reason_);
  } else if (abort_ != Farewell::none) {
    return;
  } else {
    if (std::exchange(alive_due_, false)) say_alive();
    if (goodbye_ != Farewell::said) {
      bool all = false;
      try {
        all = fill();
      } catch (const std::exception& error) {
        return fail(error.what());
      }
      if (all && batch_.empty() && goodbye_ == Farewell::wanted) {
        goodbye_ = Farewell::said;
        say(LinkMessage::goodbye, {});
        goodbye_end_ = resend_.end() + batch_.bytes();
      }
    }
  }
  if (!batch_.empty()) write(batch_.buffers());
}

// Takes what outboxes have and the batch has room for; gives whether there was nothing more.
auto TcpLink::fill() -> bool {
  // Control is short, and does not wait for acknowledgements of long messages.
  const bool full = resend_.bytes() >= limits_.unacknowledged;
  if (std::exchange(slept_full_, false)) {
    const std::lock_guard lock{mutex_};
    awake_ = true;
  }
  while (batch_.room() > 0) {
    const auto lane = choose_lane(full);
    if (!lane) {
      if (!batch_.empty()) return !full;
      // Look once more with the lock held, so that whoever comes later finds the writer asleep and wakes it. One that
      // is full is woken by the next acknowledgement, too; what is not control is left for that.
      const std::lock_guard lock{mutex_};
      const auto some = [](const auto& waiting) { return !waiting.empty(); };
      awake_ = full ? some(ready_[index(Lane::control)]) : std::any_of(ready_.begin(), ready_.end(), some);
      slept_full_ = full && !awake_;
      if (!awake_) return !full;
      continue;
    }
    auto& cutter = cutting_[*lane];
    // The receiver makes room for a long message by its first piece; after a short one it would have to move it.
    const bool begins_too_short = !cutter->begun() && batch_.room() < std::min(cutter->left(), limits_.piece);
    if (begins_too_short && !batch_.empty()) return false;
    const auto before = batch_.bytes();
    batch_.add(*cutter, static_cast<std::uint8_t>(*lane), limits_.piece);
    if (*lane == index(turn_)) take_turn(batch_.bytes() - before);
    if (cutter->done()) {
      batch_.keep(cutter->release(), static_cast<std::uint8_t>(*lane));
      cutter.reset();
    }
  }
  return false;
}

void TcpLink::take_turn(std::size_t bytes) {
  turn_used_ += bytes;
  if (turn_used_ < limits_.piece) return;
  turn_used_ = 0;
  turn_ = turn_ == Lane::delta ? Lane::data : Lane::delta;
}

// The lane of the next piece; its message is then in `cutting_`. Control comes first. Of deltas and data one has its
// turn until it has sent a piece's bytes, in one message or in many: so a record waits for a piece of a delta and not
// for the delta, and the other way round, and neither takes more than half of a full link from the other.
auto TcpLink::choose_lane(bool control_only) -> std::optional<std::size_t> {
  const auto first = index(turn_), second = index(Lane::delta) + index(Lane::data) - first;
  for (const auto lane : {index(Lane::control), first, second}) {
    if (control_only && lane != index(Lane::control)) break;
    if (cutting_[lane]) return lane;
    if (auto message = next_message(lane)) {
      cutting_[lane].emplace(static_cast<std::uint8_t>(lane), std::move(message), checked_);
      return lane;
    }
  }
  return std::nullopt;
}

auto TcpLink::next_message(std::size_t lane) -> std::unique_ptr<Message> {
  auto& waiting = ready_[lane];
  for (;;) {
    std::shared_ptr<Outbox> outbox;
    {
      const std::lock_guard lock{mutex_};
      if (waiting.empty()) return nullptr;
      outbox = std::move(waiting.front());
      waiting.pop_front();
    }
    auto message = outbox->next();
    if (!message) continue;
    if (const auto size = message->size(); size > limits_.message) {
      throw Error(fmt::format("a message of {} bytes is over the limit of {}", size, limits_.message),
                  fmt::format("channel {}", message->channel));
    }
    // To the end of the lane: the others have their turn first.
    const std::lock_guard lock{mutex_};
    if (open_ && std::find(waiting.begin(), waiting.end(), outbox) == waiting.end())
      waiting.push_back(std::move(outbox));
    return message;
  }
}

void TcpLink::say(LinkMessage what, std::string_view text) {
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  auto message = std::make_unique<Message>();
  message->channel = static_cast<ChannelId>(what);
  message->head.assign(bytes, bytes + text.size());
  Cutter cutter{link_lane, std::move(message), checked_};
  batch_.add(cutter, link_lane, max_link_message_bytes);
  batch_.keep(cutter.release(), link_lane);
}

void TcpLink::say_alive() {
  const AliveBytes alive{received_, delivering_ ? 1U : 0U};
  received_since_said_ = 0;
  say(LinkMessage::alive, {reinterpret_cast<const char*>(&alive), sizeof alive});
}

void TcpLink::write(std::span<const asio::const_buffer> buffers) {
  writing_ = true;
  // Asio would cut what it hands to the kernel at 64 KiB.
  const auto all_at_once = [](const boost::system::error_code& error, std::size_t) {
    return error ? 0 : Batch::capacity;
  };
  asio::async_write(stream_, buffers, all_at_once,
                    [self = shared_from_this()](const boost::system::error_code& error, std::size_t bytes) {
                      self->written(error, bytes);
                    });
}

void TcpLink::written(const boost::system::error_code& error, std::size_t bytes) {
  writing_ = false;
  if (std::exchange(resending_, false)) {
    if (!error) written_ += bytes;
  } else {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      bytes_sent_[lane].fetch_add(batch_.bytes_of(lane), std::memory_order_relaxed);
    }
    if (limits_.outage.count() > 0 && !closed_ && abort_ == Farewell::none) {
      resend_.keep(batch_);
    } else {
      resend_.clear();
      resend_.skip(batch_.bytes());
      batch_.clear();
    }
    if (!error) written_ = resend_.end();
  }
  forget_acknowledged();
  if (closed_ || abort_ != Farewell::none) {
    resend_.clear();
    cutting_ = {};
  }
  if (closed_) return;
  if (interrupted_) return settle();

  if (error) {
    // The reader first takes what the peer had still sent, perhaps the reason, and then sees the end, too.
    broken_ = true;
    if (reading_) return;
    if (delivering_) return connection_failed(reason_of(error));
    // It has stopped reading because it holds so much. What is still to come is no more than what the kernel has.
    take_pending();
    if (!closed_ && !reading_) read();
    owner_.burst_over();
    return;
  }
  if (abort_ == Farewell::writing) {
    abort_ = Farewell::said;
    // Closing with bytes unread would reset the connection and take the reason with it; so read on until the peer
    // closes.
    boost::system::error_code ignored;
    stream_.shutdown(Stream::shutdown_send, ignored);
    if (!reading_) read();
    return;
  }
  pump();
  part_if_done();
}

// What the peer has may still be under way here: that its write has ended is only known when its handler has run.
void TcpLink::forget_acknowledged() {
  const auto place = std::min(acknowledged_, written_);
  if (place > resend_.begin()) resend_.acknowledge(place);
}

// --- the reader ------------------------------------------------------------------------------------------

void TcpLink::start() {
  begin_connection();
}

void TcpLink::deliver() {
  if (closed_ || delivering_) return;
  delivering_ = true;
  if (held_.empty()) return;
  take_pending();
  if (!closed_ && !reading_) read();
  owner_.burst_over();
}

void TcpLink::read() {
  // Small messages come many at a time by way of the staging buffer. A long piece goes straight to its place, and with
  // it the header after it, so that the next piece does, too; hence after a long piece no more than a header is read
  // ahead.
  reading_ = true;
  // While this end gives up, what arrives is only thrown away; the assembler may be of no use any more.
  const auto room = discards() ? std::span<std::byte>{} : assembler_.room();
  const bool long_piece = room.size() >= least_direct;
  const auto beyond = long_piece || std::exchange(was_long_, false) ? sizeof(FrameHeader) : staging_bytes;
  was_long_ = was_long_ || long_piece;
  const std::array<asio::mutable_buffer, 2> buffers{asio::buffer(room.data(), room.size()),
                                                    asio::buffer(staging_.get(), beyond)};
  stream_.async_read_some(buffers, [self = shared_from_this()](const boost::system::error_code& error,
                                                               std::size_t bytes) { self->have_read(error, bytes); });
}

void TcpLink::have_read(const boost::system::error_code& error, std::size_t bytes) {
  reading_ = false;
  take_read(error, bytes);
  if (burst_goes_on()) return;
  burst_ = 0;
  owner_.burst_over();
}

// Whoever waits for what has arrived is on another core, and to wake it may cost as much as to receive a long message.
auto TcpLink::burst_goes_on() -> bool {
  boost::system::error_code error;
  return reading_ && ++burst_ < most_reads_of_burst && stream_.available(error) >= least_direct && !error;
}

void TcpLink::take_read(const boost::system::error_code& error, std::size_t bytes) {
  if (closed_) return;
  if (discards()) return error ? shut() : read();
  if (bytes > 0) {
    received_ += bytes;
    received_since_said_ += bytes;
    heard_.heard();
    try {
      const auto direct = std::min(bytes, assembler_.room().size());
      pending_ = {staging_.get(), bytes - direct};
      if (auto arrived = assembler_.advance(direct)) take(*std::move(arrived));
    } catch (const std::exception& failure) {
      return fail(failure.what());
    }
    take_pending();
  }
  if (closed_) return;
  if (interrupted_) return settle();
  if (error && !discards()) return connection_failed(reason_of(error));
  // Often enough for the peer's writer never to wait, seldom enough to cost nothing.
  if (received_since_said_ >= limits_.unacknowledged / 8) {
    alive_due_ = true;
    pump();
  }
  if (!closed_ && !holds_enough() && !reading_) read();
}

// Takes message by message what was held and what is in staging, until there is no more, or the link is no longer to be
// read.
void TcpLink::take_pending() {
  try {
    while (delivering_ && !held_.empty() && !closed_ && !discards()) {
      auto next = std::move(held_.front());
      held_.pop_front();
      take(std::move(next));
    }
    while (!pending_.empty() && !holds_enough() && !closed_ && !discards()) {
      if (auto arrived = assembler_.take(pending_)) take(*std::move(arrived));
    }
  } catch (const std::exception& failure) {
    fail(failure.what());
  }
}

void TcpLink::take(Arrived arrived) {
  const bool of_link = arrived.lane == link_lane;
  const bool is_goodbye = of_link && arrived.channel == static_cast<ChannelId>(LinkMessage::goodbye);
  // That the peer gives up is not to wait behind what it has sent before: this node may never come so far.
  if (!delivering_ && (!of_link || is_goodbye)) {
    held_bytes_ += arrived.payload.size();
    held_.push_back(std::move(arrived));
    return;
  }
  if (of_link) return take_link_message(arrived);
  if (peer_said_goodbye_) throw Malformed("a message after the goodbye", fmt::format("channel {}", arrived.channel));
  owner_.arrived(peer_, arrived.channel, std::move(arrived.payload));
}

// So much that the peer has to wait, too, until `deliver`.
auto TcpLink::holds_enough() const -> bool {
  return !delivering_ && !broken_ && (held_bytes_ >= limits_.unacknowledged || held_.size() >= most_held);
}

void TcpLink::take_link_message(const Arrived& arrived) {
  switch (static_cast<LinkMessage>(arrived.channel)) {
    case LinkMessage::goodbye:
      peer_said_goodbye_ = true;
      if (limits_.outage.count() > 0) {  // the peer waits for it
        alive_due_ = true;
        pump();
      }
      return part_if_done();
    case LinkMessage::alive:
      return take_alive(arrived);
    case LinkMessage::abort: {
      const std::string_view text{reinterpret_cast<const char*>(arrived.payload.data()), arrived.payload.size()};
      return lose(fmt::format("node {} gave up: {}", peer_, printable(text, max_link_message_bytes)));
    }
  }
  throw Malformed(fmt::format("malformed frame: unknown message {} of the link", arrived.channel));
}

void TcpLink::take_alive(const Arrived& arrived) {
  AliveBytes alive;
  if (arrived.payload.size() != sizeof alive) throw Malformed("malformed frame: not a sign of life");
  std::memcpy(&alive, arrived.payload.data(), sizeof alive);
  const auto most = resend_.end() + (resending_ ? 0 : batch_.bytes());
  if (alive.received > most) {
    throw Malformed(fmt::format("malformed frame: {} bytes acknowledged of {}", alive.received, most));
  }
  peer_reads_ = alive.reading != 0;
  if (alive.received <= acknowledged_) return;  // less: said before a cut, and written again after it
  progress_.heard();
  has_progressed_ = true;
  acknowledged_ = alive.received;
  forget_acknowledged();
  pump();
  part_if_done();
}

}  // namespace tensair::net::detail
