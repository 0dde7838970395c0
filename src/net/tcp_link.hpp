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
#include <tensair/net/frame.hpp>
#include <tensair/net/tcp_transport.hpp>
#include <tensair/net/transport.hpp>
#include <vector>

#include "asio.hpp"
#include "batch.hpp"

namespace tensair::net::detail {

/// What a link tells of; on the I/O thread.
class LinkOwner {
 public:
  /// A message for a channel. What it throws fails the link.
  virtual void arrived(Rank peer, ChannelId channel, Payload payload) = 0;
  /// The link has failed, by no doing of this node; at most once. `closed` follows, if it has not come already.
  virtual void lost(Rank peer, const std::string& reason) = 0;
  /// The socket is closed; exactly once.
  virtual void closed(Rank peer) = 0;

 protected:
  ~LinkOwner() = default;
};

/// The connection to one peer. `ready`, `send` and `bytes_sent` may be called from any thread, all else on the I/O
/// thread only.
class TcpLink final : public Link, public std::enable_shared_from_this<TcpLink> {
 public:
  TcpLink(LinkOwner& owner, Rank peer, Stream stream, const TcpLimits& limits);

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

 private:
  class Queue;
  enum class Farewell { none, wanted, writing, said };

  // The writer.
  void pump();
  void fill();
  auto choose_lane() -> std::optional<std::size_t>;
  auto next_message(std::size_t lane) -> std::unique_ptr<Message>;
  void say(LinkMessage what, std::string_view text);
  void write();
  void written(const boost::system::error_code& error);

  // The reader.
  void read();
  void have_read(const boost::system::error_code& error, std::size_t bytes);
  void take_pending();
  void take(Arrived arrived);
  void take_link_message(const Arrived& arrived);

  // The end.
  void lose(const std::string& reason);
  void shut();
  void forget_outboxes();

  LinkOwner& owner_;
  const Rank peer_;
  Stream stream_;
  const TcpLimits limits_;
  asio::steady_timer farewell_timer_;

  // Shared with every thread that sends.
  std::mutex mutex_;
  std::array<std::deque<std::shared_ptr<Outbox>>, lanes> ready_;
  bool open_ = true;
  bool awake_ = false;  // a pump is posted, or a write is under way and a pump will follow
  std::array<std::atomic<std::uint64_t>, lanes> bytes_sent_{};
  std::array<std::shared_ptr<Queue>, lanes> queues_;

  // The I/O thread's own.
  std::array<std::optional<Cutter>, lanes> cutting_;
  Batch batch_;
  bool writing_ = false;
  bool broken_ = false;  // writing has failed; the reader will find out why

  Assembler assembler_;
  std::unique_ptr<std::byte[]> staging_;
  std::span<const std::byte> pending_;  // in staging_, not yet looked at
  std::optional<Arrived> held_;         // arrived before `deliver`
  bool delivering_ = false;
  bool reading_ = false;

  Farewell goodbye_ = Farewell::none;
  bool peer_said_goodbye_ = false;
  Farewell abort_ = Farewell::none;
  std::string abort_reason_;
  bool lost_ = false;
  bool closed_ = false;
};

}  // namespace tensair::net::detail
