#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tensair/flags.hpp>
#include <tensair/net/frame.hpp>
#include <tensair/net/transport.hpp>
#include <tensair/runtime/clock.hpp>

namespace tensair::net {

/// What a `TcpTransport` takes and gives at most.
struct TcpLimits {
  /// Bytes of the longest message sent or received.
  std::uint64_t message = max_message_bytes;
  /// Bytes of the longest piece sent, up to 256 KiB; a link writes that much at a time, of one piece or of many.
  std::size_t piece = 128 * 1024;
  /// Bytes that a link's receiver may leave unread, as far as the kernel allows (Linux: net.core.rmem_max); 0: the
  /// kernel decides. An urgent message waits for them, and the throughput is at most this per round trip: 1 MiB gives 1
  /// GB/s up to 1 ms.
  std::size_t in_flight = 1024 * 1024;
  /// How long a connection may live before it has proved to be a node of this pipeline.
  std::chrono::milliseconds stranger{5'000};
  /// How long `abort` tries to tell the peers why.
  std::chrono::milliseconds farewell{1'000};
  /// How often a link says that it is alive, and how far it has read; 0: never, and silence is no reason to suspect.
  std::chrono::milliseconds beat{500};
  /// How long nothing may be heard from a peer, or a peer may read nothing of what it has been sent.
  std::chrono::milliseconds silence{5'000};
  /// How long a connection that was cut may take to come back; 0: a cut fails the link at once. A peer whose port
  /// refuses connections has ended, and is not waited for.
  std::chrono::milliseconds outage{10'000};
  /// Whether pieces have checksums, beside headers, which always have; unless it says, those that leave this machine
  /// have.
  std::optional<bool> checksums{};
  /// Bytes that a link has written and keeps until its peer has them; it writes no more until then. Each link may take
  /// that much memory and refer to that much of messages.
  std::size_t unacknowledged = 4 * 1024 * 1024;
};

/// The nodes of a cluster over TCP: each pair shares one connection, which the node of the higher rank makes.
///
/// Threads: one, from `connect` to `disconnect` or `abort`; receivers, outboxes and `on_loss` are called on it, never
/// before all links are up. `disconnect`, `connect` and the destructor must not be called there; `abort` may be. The
/// listening port stays open as long as the transport: a connection that is not a missing node of this pipeline, or one
/// that comes back after a cut, is closed, and nothing else happens. A transport that is destroyed while connected
/// aborts.
///
/// @code
/// auto transport = tensair::net::TcpTransport{options};
/// transport.receive(7, [&](Rank from, const Payload& payload) { count(from, payload.size()); });
/// transport.on_loss([&](Rank peer, const std::string& reason) { stop(peer, reason); });
/// transport.connect({options.rank, options.node_count(), plan});
/// transport.link(0).send(Lane::control, {.channel = 7});
/// transport.disconnect();
/// @endcode
class TcpTransport final : public Transport {
 public:
  /// @param options  `nodes`, `rank` and `connect_deadline` are used; `listen_socket`, if there is one, belongs to the transport from here on
  /// @param clock  tells how long a peer has been silent; timers are the machine's
  /// @throws UsageError  the rank is outside the list, or an address is not of the form host:port
  explicit TcpTransport(const Options& options, TcpLimits limits = {},
                        std::shared_ptr<const Clock> clock = std::make_shared<const SteadyClock>());
  TcpTransport(const TcpTransport&) = delete;
  auto operator=(const TcpTransport&) -> TcpTransport& = delete;
  ~TcpTransport() override;

  /// @throws Error  the channel has a receiver already
  void receive(ChannelId channel, Receiver receiver) override;

  auto after_burst(std::function<void()> action) -> bool override;
  void on_loss(Loss loss) override;

  /// Either all links are up when it returns, or it throws, and then no socket and no thread is left; a node that had
  /// connected already is told why. Once a transport; it can't connect again.
  /// @throws UsageError  `identity` is not the node that the options named
  /// @throws NodeError  a peer refused, differs, gave up, or is missing at the deadline; names it, or the first of several
  /// @throws Error  this node's address cannot be listened on, or a peer's not be resolved
  void connect(const Identity& identity) override;

  /// @throws Error  there is no link to this peer: before `connect`, or no other node has this rank
  auto link(Rank peer) -> Link& override;

  /// Nothing may be sent any more once it is called but what outboxes hold then or get while they are emptied: what a
  /// receiver sends after that has no effect.
  auto turned_away() const -> std::map<std::string, std::uint64_t> override;
  void disconnect() override;

  void abort(const std::string& reason) override;

 private:
  class Cluster;
  std::unique_ptr<Cluster> cluster_;
};

}  // namespace tensair::net
