#pragma once

#include <chrono>
#include <exception>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tensair/flags.hpp>
#include <tensair/net/handshake.hpp>
#include <tensair/net/tcp_transport.hpp>
#include <tensair/net/transport.hpp>
#include <vector>

#include "asio.hpp"

namespace tensair::net::detail {

/// What a rendezvous tells of; on the I/O thread.
class RendezvousOwner {
 public:
  /// The handshake with a peer has succeeded on both sides; at most once a peer.
  virtual void joined(Rank peer, Stream stream) = 0;
  /// The nodes cannot all come together; may be told more than once.
  virtual void failed(std::exception_ptr error) = 0;

  struct LinkState {
    bool open = false;           ///< the link can go on over another connection
    bool quiet = false;          ///< and nothing of the one before is under way
    std::uint64_t received = 0;  ///< bytes, final when it is quiet
  };
  /// Cuts a link's connection, unless that has happened.
  virtual auto cut(Rank peer) -> LinkState = 0;
  /// The link goes on over this connection; the peer has that many bytes of it.
  virtual void resumed(Rank peer, Stream stream, std::uint64_t peer_has) = 0;
  /// The link will not come back.
  virtual void given_up(Rank peer, const std::string& reason) = 0;

 protected:
  ~RendezvousOwner() = default;
};

/// Brings the nodes together: calls every node of a lower rank, answers every other, and keeps everybody else out.
///
/// All members but the constructor and `strangers` are called on the I/O thread. It must outlive the last handler it
/// started.
class Rendezvous {
 public:
  /// @param endpoints  where to call the nodes of lower rank
  Rendezvous(asio::io_context& io, RendezvousOwner& owner, const Options& options, const TcpLimits& limits, Hello hello,
             tcp::acceptor acceptor, std::vector<std::vector<tcp::endpoint>> endpoints);

  /// Begins to call and to answer; `failed` when somebody is missing at the deadline.
  void start(std::chrono::steady_clock::time_point deadline);

  /// Everybody is there: from now on nobody's difference is a failure, and whoever comes is turned away.
  void complete();

  /// Looks for another connection for a link whose last one was cut; ends in `resumed` or `given_up`.
  /// @param reason  for which it was cut
  void resume(Rank peer, const std::string& reason);

  /// Who has called and was no peer: how often, by what was wrong. From any thread.
  auto strangers() const -> std::map<std::string, std::uint64_t>;

  /// Closes every socket that has not become a link, and the listening one.
  void stop();

 private:
  struct Attempt {
    explicit Attempt(asio::io_context& io) : socket(io), watchdog(io), timer(io) {}

    Stream socket;
    asio::steady_timer watchdog;
    asio::steady_timer timer;  // for pauses
    std::string from;          // where a stranger calls from
    Rank promised = -1;        // the place it has been promised
    bool stranger = false;
    bool timed_out = false;
  };
  using AttemptPtr = std::shared_ptr<Attempt>;
  enum class Place { free, promised, taken };

  auto answer_all() -> asio::awaitable<void>;
  auto answer(AttemptPtr attempt) -> asio::awaitable<void>;
  auto examine(AttemptPtr attempt) -> asio::awaitable<void>;
  void count_stranger(const std::string& trouble);
  auto turn_away(AttemptPtr attempt, std::vector<std::byte> last_word) -> asio::awaitable<void>;
  void refused(const Attempt& attempt, Rank rank, const Verdict& verdict, bool counts);
  auto call(Rank peer) -> asio::awaitable<void>;
  auto greet(AttemptPtr attempt, Rank peer) -> asio::awaitable<void>;
  auto reach(AttemptPtr attempt, tcp::endpoint endpoint) -> asio::awaitable<void>;
  auto agree(AttemptPtr attempt, Rank peer, Hello mine) -> asio::awaitable<Hello>;

  // Coming back (rendezvous_resume.cpp).
  auto reconnect(Rank peer, std::string reason, std::uint64_t outage) -> asio::awaitable<void>;
  auto call_again(AttemptPtr attempt, Rank peer, tcp::endpoint endpoint) -> asio::awaitable<void>;
  auto answer_again(AttemptPtr attempt, Hello there) -> asio::awaitable<void>;
  void hand_over(Rank peer, Attempt& attempt, std::uint64_t peer_has);
  auto pause(AttemptPtr attempt, std::chrono::milliseconds time) -> asio::awaitable<void>;

  auto begin_attempt(bool stranger) -> AttemptPtr;
  void make_room_for_strangers();
  void watch(const AttemptPtr& attempt, std::chrono::milliseconds time);
  void join(Rank peer, Attempt& attempt, std::uint64_t run);
  void end_attempt(const AttemptPtr& attempt);
  void deadline_passed();
  auto address_of(Rank rank) const -> const std::string& { return options_.nodes[static_cast<std::size_t>(rank)]; }
  auto place(Rank rank) -> Place& { return places_[static_cast<std::size_t>(rank)]; }

  asio::io_context& io_;
  RendezvousOwner& owner_;
  const Options options_;
  const TcpLimits limits_;
  const Hello hello_;
  const std::vector<std::vector<tcp::endpoint>> endpoints_;
  tcp::acceptor acceptor_;
  asio::steady_timer deadline_;

  std::list<AttemptPtr> attempts_;  // all that are under way, oldest first
  std::vector<Place> places_;       // one a rank
  struct Seat {                     // of the peer that has the place
    tcp::endpoint from;
    std::uint64_t run = 0;
    std::uint64_t outages = 0;  // counts them; odd while there is one
  };
  std::vector<Seat> seats_;
  std::vector<std::string> troubles_;  // of calling a rank: the latest
  std::string turned_away_;            // the latest that was refused without failing the rendezvous
  mutable std::mutex strangers_mutex_;
  std::map<std::string, std::uint64_t> strangers_;
  bool complete_ = false;
  bool stopped_ = false;
};

}  // namespace tensair::net::detail
