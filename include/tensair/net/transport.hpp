#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tensair/net/message.hpp>

namespace tensair::net {

/// One direction of the connection to one other node. Every member may be called from any thread.
class Link {
 public:
  virtual ~Link() = default;

  /// Tells that `outbox` has a message. It is asked (`next`) when the lane's turn comes, again and again until it has
  /// none; outboxes of one lane take turns. Telling twice is harmless. A link that has failed ignores it.
  virtual void ready(Lane lane, std::shared_ptr<Outbox> outbox) = 0;

  /// Sends one message that stands alone, in order with the others sent so on this lane.
  virtual void send(Lane lane, Message message) = 0;

  /// Bytes written on a lane so far, frame headers included.
  virtual auto bytes_sent(Lane lane) const -> std::uint64_t = 0;
};

/// What a node tells its peers before anything else; links come up only between nodes that agree.
struct Identity {
  Rank rank = 0;
  int nodes = 1;
  std::string plan;  ///< one line an operator; the first line that differs is named to the user
};

/// Connects this node to all the others. Two kinds: TCP (`TcpTransport`) and memory under virtual time (`testing`).
///
/// Life: `receive` and `on_loss` are set, `connect` brings all links up, messages flow, `disconnect` ends them in good
/// order.
class Transport {
 public:
  using Receiver = std::function<void(Rank from, Payload payload)>;
  using Loss = std::function<void(Rank peer, std::string reason)>;

  virtual ~Transport() = default;

  /// Who takes the messages of a channel. Called on the transport's thread: it must be quick and never wait.
  /// A receiver that throws, and a message for a channel without a receiver, fail the link it came over.
  virtual void receive(ChannelId channel, Receiver receiver) = 0;

  /// Messages come in bursts. What a receiver wants done once for a burst and not for each message, this is called for:
  /// on the transport's thread, behind the last one's receiver, and within a burst that does not end after some
  /// hundreds of kilobytes. Before `connect`.
  /// @return  whether it will be called; if not, there are no bursts
  virtual auto after_burst(std::function<void()> /*action*/) -> bool { return false; }

  /// Called once for each peer that is lost after `connect` and before it said goodbye; on the transport's thread.
  virtual void on_loss(Loss loss) = 0;

  /// Brings up the link to every other node.
  /// @throws Error  when the address cannot be listened on, a peer refuses or differs, or somebody is missing at the deadline
  virtual void connect(const Identity& identity) = 0;

  /// The link to a node other than this one.
  virtual auto link(Rank peer) -> Link& = 0;

  /// How many connections have been made to this node that are none of a peer's, by what was wrong with them, each in
  /// one line. They are closed, and nothing else happens; this is for a node's report. From any thread.
  virtual auto turned_away() const -> std::map<std::string, std::uint64_t> { return {}; }

  /// Writes everything that outboxes still hold, says goodbye, waits for every peer's goodbye (or loss), and closes.
  /// Blocks.
  virtual void disconnect() = 0;

  /// Tells every peer why this node gives up, as far as that is possible within a second, and closes at once.
  /// Idempotent. The peers' `on_loss` gets the reason.
  virtual void abort(const std::string& reason) = 0;
};

}  // namespace tensair::net
