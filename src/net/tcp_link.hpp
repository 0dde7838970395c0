#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <tensair/net/failure_detector.hpp>
#include <tensair/net/frame.hpp>
#include <tensair/net/tcp_transport.hpp>
#include <tensair/net/transport.hpp>
#include <tensair/runtime/clock.hpp>
#include <vector>

#include "asio.hpp"
#include "batch.hpp"
#include "resend_buffer.hpp"

namespace tensair::net::detail {

/// What a link tells of; on the I/O thread.
class LinkOwner {
 public:
  /// A message for a channel. What it throws fails the link.
  virtual void arrived(Rank peer, ChannelId channel, Payload payload) = 0;
  /// Nothing more is at hand to be handed to `arrived`, or for a while there has been.
  virtual void burst_over() = 0;
  /// The connection was cut, and may come back: `resume` or `give_up` is to be called.
  virtual void interrupted(Rank peer, const std::string& reason) = 0;
  /// The link has failed, by no doing of this node; at most once. `closed` follows, if it has not come already.
  virtual void lost(Rank peer, const std::string& reason) = 0;
  /// The socket is closed; exactly once.
  virtual void closed(Rank peer) = 0;

 protected:
  ~LinkOwner() = default;
};

/// The link to one peer: a stream of bytes each way, which goes on over another connection when one was cut. `ready`,
/// `send` and `bytes_sent` may be called from any thread, all else on the I/O thread only.
class TcpLink final : public Link, public std::enable_shared_from_this<TcpLink> {
 public:
  TcpLink(LinkOwner& owner, Rank peer, Stream stream, const TcpLimits& limits, const Clock& clock);

  void ready(Lane lane, std::shared_ptr<Outbox> outbox) override;
  void send(Lane lane, Message message) override;
  auto bytes_sent(Lane lane) const -> std::uint64_t override;

  /// Begins to read, so as to see the peer's end; what arrives waits for `deliver`.
  void start();
  /// Hands what has arrived, and from now on arrives, to the owner.
  void deliver();
  /// Says goodbye once all outboxes are empty, and closes when the peer has said it, too.
  void finish();
  /// Drops what has not been written, tells the peer why, and closes.
  void abort(const std::string& reason);
  /// This node has found the link, or what came over it, to be of no use: tells owner and peer why, and closes.
  void fail(const std::string& reason);

  /// Cuts the connection, if that has not happened: the peer has another one.
  void interrupt();
  /// Whether the connection was cut, and nothing of it is under way any more.
  auto is_quiet() const -> bool { return interrupted_ && !writing_ && !reading_; }
  auto is_closed() const -> bool { return closed_; }
  /// Bytes of the peer's stream that have arrived.
  auto received() const -> std::uint64_t { return received_; }
  /// Goes on over a new connection. @pre  it is quiet, or closed
  /// @param place  bytes of this end's stream that the peer has
  void resume(Stream stream, std::uint64_t place);
  /// It will not come back.
  void give_up(const std::string& reason) {
    if (!closed_) lose(reason);
  }

 private:
  class Queue;
  enum class Farewell { none, wanted, writing, said };

  // The writer.
  void pump();
  auto fill() -> bool;
  void take_turn(std::size_t bytes);
  auto choose_lane(bool control_only) -> std::optional<std::size_t>;
  auto next_message(std::size_t lane) -> std::unique_ptr<Message>;
  void say(LinkMessage what, std::string_view text);
  void say_alive();
  void write(std::span<const asio::const_buffer> buffers);
  void written(const boost::system::error_code& error, std::size_t bytes);
  void forget_acknowledged();

  // The reader.
  void read();
  void have_read(const boost::system::error_code& error, std::size_t bytes);
  void take_read(const boost::system::error_code& error, std::size_t bytes);
  auto burst_goes_on() -> bool;
  void take_pending();
  void take(Arrived arrived);
  auto holds_enough() const -> bool;
  void take_link_message(const Arrived& arrived);
  void take_alive(const Arrived& arrived);

  // The connection, while it lasts (tcp_link_connection.cpp).
  void begin_connection();
  void wait_a_beat();
  void look_after();
  void connection_failed(const std::string& reason);
  void settle();

  // The end.
  void part_if_done();
  void part();
  auto discards() const -> bool { return abort_ != Farewell::none || parted_; }
  void lose(const std::string& reason);
  void shut();
  void forget_outboxes();

  LinkOwner& owner_;
  const Rank peer_;
  Stream stream_;
  const asio::any_io_executor executor_;  // stream_'s, for threads that must not touch it
  const TcpLimits limits_;
  const Clock& clock_;
  asio::steady_timer farewell_timer_;
  asio::steady_timer beat_timer_;

  // Shared with every thread that sends.
  std::mutex mutex_;
  std::array<std::deque<std::shared_ptr<Outbox>>, lanes> ready_;
  bool open_ = true;
  bool awake_ = false;  // a pump is posted, or a write is under way and a pump will follow
  std::array<std::atomic<std::uint64_t>, lanes> bytes_sent_{};
  std::array<std::shared_ptr<Queue>, lanes> queues_;

  // The I/O thread's own.
  std::array<std::optional<Cutter>, lanes> cutting_;
  Lane turn_ = Lane::delta;    // whose it is, of deltas and data
  std::size_t turn_used_ = 0;  // bytes
  bool checked_ = true;        // pieces have checksums
  Batch batch_;
  ResendBuffer resend_;
  std::vector<asio::const_buffer> again_;  // of resend_, being written
  std::uint64_t written_ = 0;              // how far this end's stream has been written on this connection
  std::uint64_t acknowledged_ = 0;
  bool resending_ = false;
  bool slept_full_ = false;  // `awake_` is off though there is more to write
  bool alive_due_ = false;
  bool writing_ = false;
  bool broken_ = false;  // writing has failed; the reader will find out why

  Assembler assembler_;
  std::unique_ptr<std::byte[]> staging_;
  std::span<const std::byte> pending_;  // in staging_, not yet looked at
  std::deque<Arrived> held_;            // arrived before `deliver`
  std::size_t held_bytes_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t received_since_said_ = 0;
  bool was_long_ = false;  // the last piece
  bool delivering_ = false;
  bool reading_ = false;
  int burst_ = 0;  // reads of one

  FailureDetector heard_, progress_;  // of anything; of acknowledgements, while some are outstanding
  bool peer_reads_ = true;
  bool has_progressed_ = true;  // on this connection
  bool interrupted_ = false;
  bool told_ = false;  // the owner, of the interruption
  std::string trouble_;

  Farewell goodbye_ = Farewell::none;
  std::uint64_t goodbye_end_ = 0;  // its place in this end's stream
  bool peer_said_goodbye_ = false;
  bool parted_ = false;  // both have said goodbye, and this end waits for the peer to close
  Farewell abort_ = Farewell::none;
  std::string abort_reason_;
  bool lost_ = false;
  bool closed_ = false;
};

}  // namespace tensair::net::detail
