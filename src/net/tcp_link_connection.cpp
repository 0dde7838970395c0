// A link's connection: whether it is alive, what happens when it is cut, and the end of both.
//
// A connection that is cut is closed, and then its read and its write under way come to their ends, with or without
// bytes. Only when both have, what has been received is known, and the owner is told: it looks for another connection.
// Over that each end learns how far the other has come, and goes on from there.
//
// A peer that is gone without a word, or is no longer reached, is silent; one that does not read acknowledges nothing.
// Neither is noticed by TCP before many minutes have passed.

#include <fmt/format.h>

#include <chrono>
#include <tensair/net/handshake.hpp>
#include <utility>

#include "socket_options.hpp"
#include "tcp_address.hpp"
#include "tcp_link.hpp"

namespace tensair::net::detail {
namespace {

auto seconds(std::chrono::milliseconds time) -> double {
  return std::chrono::duration<double>{time}.count();
}

}  // namespace

void TcpLink::begin_connection() {
  configure(stream_, limits_);
  boost::system::error_code unknown;
  const auto from = stream_.remote_endpoint(unknown);
  checked_ = limits_.checksums.value_or(unknown || !is_loopback(from.address()));
  if (limits_.beat.count() > 0) wait_a_beat();
  if (!holds_enough() && !reading_) read();
}

void TcpLink::wait_a_beat() {
  beat_timer_.expires_after(limits_.beat);
  beat_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->look_after();
  });
}

void TcpLink::look_after() {
  if (closed_ || interrupted_ || discards()) return;
  const auto now = clock_.now();
  if (holds_enough()) heard_.heard();  // not listening
  if (heard_.suspects(now)) {
    return connection_failed(fmt::format("nothing was heard from it for {:g} s", seconds(limits_.silence)));
  }
  const bool owes_nothing = acknowledged_ == resend_.end() && !writing_;
  if (owes_nothing || !peer_reads_) progress_.heard();
  if (progress_.suspects(now)) {
    const auto reason = fmt::format("it has read nothing for {:g} s", seconds(limits_.silence));
    return has_progressed_ ? connection_failed(reason) : fail(reason);  // another connection has not helped
  }
  alive_due_ = true;
  pump();
  wait_a_beat();
}

void TcpLink::interrupt() {
  if (!closed_ && !interrupted_) connection_failed("the peer calls again");
}

void TcpLink::connection_failed(const std::string& reason) {
  const bool may_come_back = limits_.outage.count() > 0 && delivering_ && !discards();
  if (!may_come_back) return lose(reason);
  interrupted_ = true;
  told_ = false;
  trouble_ = reason;
  beat_timer_.cancel();
  boost::system::error_code ignored;
  stream_.close(ignored);
  settle();
}

void TcpLink::settle() {
  if (is_quiet() && !std::exchange(told_, true)) owner_.interrupted(peer_, trouble_);
}

void TcpLink::resume(Stream stream, std::uint64_t place) {
  if (closed_) return;  // and so is the new connection, now that nobody has it
  if (place < acknowledged_ || place > resend_.end()) {
    return lose(fmt::format("it goes on at byte {}; this node has {} to {}", place, acknowledged_, resend_.end()));
  }
  stream_ = std::move(stream);
  interrupted_ = false;
  broken_ = false;
  acknowledged_ = written_ = place;
  resend_.acknowledge(place);
  heard_ = progress_ = FailureDetector{limits_.beat, limits_.silence, clock_.now()};
  has_progressed_ = false;
  alive_due_ = true;
  begin_connection();
  pump();
  part_if_done();
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
  const bool cannot_be_told = broken_ || interrupted_ || written_ < resend_.end();
  if (goodbye_ == Farewell::said || cannot_be_told) return shut();
  abort_ = Farewell::wanted;
  abort_reason_ = printable(reason, max_link_message_bytes);
  farewell_timer_.expires_after(limits_.farewell);
  farewell_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->shut();
  });
  if (writing_) return;
  resend_.clear();
  cutting_ = {};
  batch_.clear();
  pump();
}

// Both have said goodbye, this end knows that the peer has all, and the peer can know it of this end.
void TcpLink::part_if_done() {
  const bool busy = writing_ || alive_due_ || interrupted_ || closed_ || discards();
  if (busy || goodbye_ != Farewell::said || !peer_said_goodbye_ || written_ < goodbye_end_) return;
  if (limits_.outage.count() == 0 || acknowledged_ >= goodbye_end_) part();
}

// Whoever closed now with bytes unread, such as a last sign of life, would reset the connection and might take back its
// own last words; so each closes when the other has closed its half.
void TcpLink::part() {
  parted_ = true;
  beat_timer_.cancel();
  boost::system::error_code ignored;
  stream_.shutdown(Stream::shutdown_send, ignored);
  farewell_timer_.expires_after(limits_.farewell);
  farewell_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->shut();
  });
  if (!reading_) read();
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
  beat_timer_.cancel();
  boost::system::error_code ignored;
  stream_.close(ignored);
  if (!writing_) {
    resend_.clear();
    cutting_ = {};
    batch_.clear();
  }
  owner_.closed(peer_);
}

}  // namespace tensair::net::detail
