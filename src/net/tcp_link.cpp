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

#include "tcp_link.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <limits>
#include <tensair/net/handshake.hpp>
#include <utility>

namespace tensair::net::detail {
namespace {

constexpr std::size_t staging_bytes = 64 * 1024;

auto index(Lane lane) -> std::size_t {
  return static_cast<std::size_t>(lane);
}

// The kernel would take megabytes in advance on either side (here up to 4 and 32). An urgent message would have to wait
// for them, and deltas would grow old there instead of being summed. So the sender's kernel holds little that has not
// left the machine, and the receiver's announces a bounded window.
void configure(tcp::socket& socket, const TcpLimits& limits) {
  boost::system::error_code ignored;  // a link works without; it is only slower
  // Nagle would hold a delta back for the peer's delayed ACK (40 ms).
  socket.set_option(tcp::no_delay{true}, ignored);
#ifdef TCP_NOTSENT_LOWAT
  const int unsent = Batch::capacity;
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
#endif
  if (limits.in_flight > 0) {
    const auto window = std::min<std::size_t>(limits.in_flight, std::numeric_limits<int>::max());
    socket.set_option(tcp::socket::receive_buffer_size{static_cast<int>(window)}, ignored);
  }
}

auto reason_of(const boost::system::error_code& error) -> std::string {
  if (error == asio::error::eof) return "the connection was closed";
  if (error == asio::error::connection_reset || error == asio::error::broken_pipe) return "the connection was reset";
  return "the connection failed: " + error.message();
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

TcpLink::TcpLink(LinkOwner& owner, Rank peer, Stream stream, const TcpLimits& limits)
    : owner_(owner),
      peer_(peer),
      stream_(std::move(stream)),
      limits_(limits),
      farewell_timer_(stream_.get_executor()),
      assembler_(limits.message),
      staging_(std::make_unique_for_overwrite<std::byte[]>(staging_bytes)) {
  configure(stream_, limits_);
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
  asio::post(stream_.get_executor(), [self = shared_from_this()] { self->pump(); });
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

// --- the writer ------------------------------------------------------------------------------------------

void TcpLink::pump() {
  if (writing_ || broken_ || closed_) return;
  if (abort_ == Farewell::wanted) {
    abort_ = Farewell::writing;
    say(LinkMessage::abort, abort_reason_);
  } else if (abort_ != Farewell::none || goodbye_ == Farewell::said) {
    return;
  } else {
    try {
      fill();
    } catch (const std::exception& error) {
      return fail(error.what());
    }
    if (batch_.empty() && goodbye_ == Farewell::wanted) {
      goodbye_ = Farewell::writing;
      say(LinkMessage::goodbye, {});
    }
  }
  if (!batch_.empty()) write();
}

void TcpLink::fill() {
  while (batch_.room() > 0) {
    const auto lane = choose_lane();
    if (!lane) {
      if (!batch_.empty()) return;
      // Look once more with the lock held, so that whoever comes later finds the writer asleep and wakes it.
      const std::lock_guard lock{mutex_};
      awake_ = std::any_of(ready_.begin(), ready_.end(), [](const auto& waiting) { return !waiting.empty(); });
      if (!awake_) return;
      continue;
    }
    auto& cutter = cutting_[*lane];
    batch_.add(*cutter, static_cast<std::uint8_t>(*lane), limits_.piece);
    if (cutter->done()) {
      batch_.keep(cutter->release());
      cutter.reset();
    }
  }
}

// The most urgent lane with something to write; its message is then in `cutting_`.
auto TcpLink::choose_lane() -> std::optional<std::size_t> {
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    if (cutting_[lane]) return lane;
    if (auto message = next_message(lane)) {
      cutting_[lane].emplace(static_cast<std::uint8_t>(lane), std::move(message));
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
  Cutter cutter{link_lane, std::move(message)};
  batch_.add(cutter, link_lane, max_link_message_bytes);
  batch_.keep(cutter.release());
}

void TcpLink::write() {
  writing_ = true;
  // Asio would cut what it hands to the kernel at 64 KiB.
  const auto all_at_once = [](const boost::system::error_code& error, std::size_t) {
    return error ? 0 : Batch::capacity;
  };
  asio::async_write(
      stream_, batch_.buffers(), all_at_once,
      [self = shared_from_this()](const boost::system::error_code& error, std::size_t) { self->written(error); });
}

void TcpLink::written(const boost::system::error_code& error) {
  writing_ = false;
  if (!error) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      bytes_sent_[lane].fetch_add(batch_.bytes_of(lane), std::memory_order_relaxed);
    }
  }
  batch_.clear();
  if (closed_ || abort_ != Farewell::none) cutting_ = {};
  if (closed_) return;

  if (error) {
    // The reader first takes what the peer had still sent, perhaps the reason, and then sees the end, too.
    broken_ = true;
    if (!reading_) lose(reason_of(error));
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
  if (goodbye_ == Farewell::writing) {
    goodbye_ = Farewell::said;
    if (peer_said_goodbye_) shut();
    return;
  }
  pump();
}

// --- the reader ------------------------------------------------------------------------------------------

void TcpLink::start() {
  read();
}

void TcpLink::deliver() {
  if (closed_ || delivering_) return;
  delivering_ = true;
  if (!held_) return;
  take_pending();
  if (!closed_ && !reading_) read();
}

void TcpLink::read() {
  // Small messages come many at a time by way of the staging buffer. A long piece goes straight to its place, and with
  // it the header after it, so that the next piece does, too.
  reading_ = true;
  // While this end gives up, what arrives is only thrown away; the assembler may be of no use any more.
  const auto room = abort_ == Farewell::none ? assembler_.room() : std::span<std::byte>{};
  const auto beyond = room.size() >= staging_bytes ? sizeof(FrameHeader) : staging_bytes;
  const std::array<asio::mutable_buffer, 2> buffers{asio::buffer(room.data(), room.size()),
                                                    asio::buffer(staging_.get(), beyond)};
  stream_.async_read_some(buffers, [self = shared_from_this()](const boost::system::error_code& error,
                                                               std::size_t bytes) { self->have_read(error, bytes); });
}

void TcpLink::have_read(const boost::system::error_code& error, std::size_t bytes) {
  reading_ = false;
  if (closed_) return;
  if (abort_ != Farewell::none) return error ? shut() : read();
  if (error) return lose(reason_of(error));
  try {
    const auto direct = std::min(bytes, assembler_.room().size());
    pending_ = {staging_.get(), bytes - direct};
    if (auto arrived = assembler_.advance(direct)) take(*std::move(arrived));
  } catch (const std::exception& failure) {
    return fail(failure.what());
  }
  take_pending();
  if (!closed_ && !held_ && !reading_) read();
}

// Takes message by message what is in staging, until there is no more, or the link is no longer to be read.
void TcpLink::take_pending() {
  try {
    if (held_ && delivering_) take(*std::exchange(held_, std::nullopt));
    while (!pending_.empty() && !held_ && !closed_ && abort_ == Farewell::none) {
      if (auto arrived = assembler_.take(pending_)) take(*std::move(arrived));
    }
  } catch (const std::exception& failure) {
    fail(failure.what());
  }
}

void TcpLink::take(Arrived arrived) {
  if (arrived.lane == link_lane) return take_link_message(arrived);
  if (peer_said_goodbye_) throw Malformed("a message after the goodbye", fmt::format("channel {}", arrived.channel));
  if (!delivering_) {
    held_ = std::move(arrived);
    return;
  }
  owner_.arrived(peer_, arrived.channel, std::move(arrived.payload));
}

void TcpLink::take_link_message(const Arrived& arrived) {
  switch (static_cast<LinkMessage>(arrived.channel)) {
    case LinkMessage::goodbye:
      peer_said_goodbye_ = true;
      if (goodbye_ == Farewell::said) shut();
      return;
    case LinkMessage::abort: {
      const std::string_view text{reinterpret_cast<const char*>(arrived.payload.data()), arrived.payload.size()};
      return lose(fmt::format("node {} gave up: {}", peer_, printable(text, max_link_message_bytes)));
    }
  }
  throw Malformed(fmt::format("malformed frame: unknown message {} of the link", arrived.channel));
}

// --- the end ---------------------------------------------------------------------------------------------

void TcpLink::finish() {
  if (closed_ || abort_ != Farewell::none || goodbye_ != Farewell::none) return;
  goodbye_ = Farewell::wanted;
  pump();
}

void TcpLink::abort(const std::string& reason) {
  if (closed_ || abort_ != Farewell::none) return;
  forget_outboxes();
  // Who has said goodbye has nothing to add, and who cannot be written to cannot be told.
  if (goodbye_ == Farewell::said || goodbye_ == Farewell::writing || broken_) return shut();
  abort_ = Farewell::wanted;
  abort_reason_ = printable(reason, max_link_message_bytes);
  farewell_timer_.expires_after(limits_.farewell);
  farewell_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->shut();
  });
  if (writing_) return;
  cutting_ = {};
  batch_.clear();
  pump();
}

void TcpLink::fail(const std::string& reason) {
  const auto self = shared_from_this();
  if (!std::exchange(lost_, true) && !peer_said_goodbye_ && abort_ == Farewell::none) owner_.lost(peer_, reason);
  abort(reason);
  if (!closed_ && abort_ != Farewell::none && !reading_) read();
}

// The connection is gone, or the peer wants it so.
void TcpLink::lose(const std::string& reason) {
  const auto self = shared_from_this();
  if (!std::exchange(lost_, true) && !peer_said_goodbye_ && abort_ == Farewell::none) owner_.lost(peer_, reason);
  shut();
}

void TcpLink::shut() {
  if (std::exchange(closed_, true)) return;
  forget_outboxes();
  farewell_timer_.cancel();
  boost::system::error_code ignored;
  stream_.close(ignored);
  if (!writing_) {
    cutting_ = {};
    batch_.clear();
  }
  owner_.closed(peer_);
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

}  // namespace tensair::net::detail
