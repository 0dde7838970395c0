// Coming together, in the presence of strangers.
//
// Whoever connects to the listening port is a stranger until its hello has been read, compared and answered. Strangers
// cost little and not for long: a bounded number at a time (the oldest goes first), each with a watchdog that closes
// its socket. What a stranger does wrong ends its own attempt and nothing else. Only a node that proves to be one (by
// the cluster's token, or by the magic when there is none) and differs fails the rendezvous, on both sides, for then
// the user has started different programs; and that only until all links are up. A caller that is refused fails its own
// rendezvous always: it has called the address that its user gave it.
//
// A rank's place is `promised` to the caller that has been accepted, and `taken` once it has accepted, too. A second
// caller of that rank waits for the first one's outcome: the first may be a dead connection of a node that was started
// again.
//
// Everything runs on one thread, so `stopped_` is asked after every co_await and nothing needs a lock. g++ 12 destroys
// some temporaries of a co_await's expression twice: what is passed there is named first.

#include "rendezvous.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "introduction.hpp"
#include "tcp_address.hpp"

namespace tensair::net::detail {
namespace {

using namespace std::chrono_literals;
using asio::use_awaitable;

constexpr auto first_pause = 10ms;     // between two calls of a node that does not answer; doubled each time …
constexpr auto longest_pause = 250ms;  // … up to this: what a late node may cost the others
constexpr auto accept_pause = 100ms;   // when the process has no more file descriptors
constexpr auto promise_pause = 10ms;
constexpr std::size_t most_troubles = 16;  // of strangers, who can think of any number

auto trouble_of(const boost::system::error_code& error) -> std::string {
  return error == asio::error::eof ? "it closes the connection" : error.message();
}

}  // namespace

Rendezvous::Rendezvous(asio::io_context& io, RendezvousOwner& owner, const Options& options, const TcpLimits& limits,
                       Hello hello, tcp::acceptor acceptor, std::vector<std::vector<tcp::endpoint>> endpoints)
    : io_(io),
      owner_(owner),
      options_(options),
      limits_(limits),
      hello_(std::move(hello)),
      endpoints_(std::move(endpoints)),
      acceptor_(std::move(acceptor)),
      deadline_(io),
      places_(options.nodes.size(), Place::free),
      seats_(options.nodes.size()),
      troubles_(options.nodes.size()) {
  place(hello_.rank) = Place::taken;
}

void Rendezvous::start(std::chrono::steady_clock::time_point deadline) {
  if (stopped_) return;
  deadline_.expires_at(deadline);
  deadline_.async_wait([this](const boost::system::error_code& error) {
    if (!error) deadline_passed();
  });
  asio::co_spawn(io_, answer_all(), asio::detached);
  for (Rank peer = 0; peer < hello_.rank; ++peer) {
    asio::co_spawn(io_, call(peer), [this](const std::exception_ptr& error) {
      if (error && !stopped_) owner_.failed(error);
    });
  }
}

void Rendezvous::complete() {
  complete_ = true;
  deadline_.cancel();
}

void Rendezvous::stop() {
  if (std::exchange(stopped_, true)) return;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  deadline_.cancel();
  for (const auto& attempt : attempts_) {
    attempt->socket.close(ignored);
    attempt->watchdog.cancel();
    attempt->timer.cancel();
  }
}

// --- answering -------------------------------------------------------------------------------------------

auto Rendezvous::answer_all() -> asio::awaitable<void> {
  while (!stopped_) {
    const auto attempt = begin_attempt(true);
    boost::system::error_code error;
    auto token = asio::redirect_error(use_awaitable, error);
    co_await acceptor_.async_accept(attempt->socket, token);
    if (stopped_) {
      end_attempt(attempt);
      co_return;
    }
    if (error) {
      // No file descriptors left, or the caller was gone at once: both pass, but not by trying harder.
      co_await pause(attempt, accept_pause);
      end_attempt(attempt);
      continue;
    }
    close_on_exec(attempt->socket.native_handle());
    const auto from = attempt->socket.remote_endpoint(error);
    attempt->from = error ? "nowhere" : show(from);
    watch(attempt, limits_.stranger);
    asio::co_spawn(io_, answer(attempt), asio::detached);
    make_room_for_strangers();
  }
}

auto Rendezvous::answer(AttemptPtr attempt) -> asio::awaitable<void> {
  // A stranger's trouble, whether its connection broke or it spoke nonsense, is its own, and told in the report.
  try {
    co_await examine(attempt);
  } catch (const Malformed& error) {
    count_stranger(error.failed());
  } catch (const boost::system::system_error&) {
    count_stranger(attempt->timed_out ? "it has not said in time who it is"
                                      : "it is gone before it has said who it is");
  } catch (const std::exception& error) {
    count_stranger(error.what());
  }
  if (attempt->promised >= 0 && place(attempt->promised) == Place::promised) place(attempt->promised) = Place::free;
  end_attempt(attempt);
}

auto Rendezvous::examine(AttemptPtr attempt) -> asio::awaitable<void> {
  auto introduction = co_await introduce_caller(attempt->socket, options_.token, hello_.rank);
  if (!introduction.verdict.accepted) {
    const bool same_version = introduction.there.version == protocol_version;
    refused(*attempt, same_version ? introduction.there.rank : -1, introduction.verdict, options_.token.empty());
    co_await turn_away(attempt, std::move(introduction.last_word));
    co_return;
  }
  const Hello there = co_await read_exactly<HelloReader>(attempt->socket);
  if (there.rank != introduction.there.rank) throw Malformed("a hello of another rank than its opening");
  auto verdict = compare(hello_, there);
  auto reply = joined(encode(hello_), encode(verdict));
  if (!verdict.accepted) {
    refused(*attempt, there.rank, verdict, true);
    co_await turn_away(attempt, std::move(reply));
    co_return;
  }
  if (there.resumes != 0) {
    co_await answer_again(attempt, there);
    co_return;
  }

  while (!stopped_ && place(there.rank) == Place::promised) co_await pause(attempt, promise_pause);
  if (stopped_) co_return;
  const auto& seat = seats_[static_cast<std::size_t>(there.rank)];
  if (there.rank < hello_.rank) {
    verdict = {false, fmt::format("rank {} is called by this node, it does not call", there.rank),
               "Give every node the same --nodes."};
  } else if (place(there.rank) == Place::taken) {
    verdict = {false, fmt::format("rank {} is already taken, by a node at {}", there.rank, show(seat.from)),
               "Give every node its own --rank."};
  }
  if (!verdict.accepted) {
    refused(*attempt, there.rank, verdict, false);
    reply = joined(encode(hello_), encode(verdict));
    co_await turn_away(attempt, std::move(reply));
    co_return;
  }

  place(there.rank) = Place::promised;
  attempt->promised = there.rank;
  co_await write_all(attempt->socket, std::move(reply));
  const Verdict theirs = co_await read_exactly<VerdictReader>(attempt->socket);
  if (theirs.accepted && !stopped_) join(there.rank, *attempt, there.run);
}

// Keeps in mind whom this node has not taken. If it `counts`, the user has started nodes that don't belong together,
// and they cannot all come.
void Rendezvous::refused(const Attempt& attempt, Rank rank, const Verdict& verdict, bool counts) {
  count_stranger(verdict.reason);
  if (complete_ || stopped_) return;
  turned_away_ = fmt::format("a node at {} was turned away: {}", attempt.from, verdict.reason);
  if (!counts) return;
  const bool listed = rank >= 0 && rank < hello_.nodes;
  owner_.failed(std::make_exception_ptr(
      refusal(listed ? rank : -1, listed ? address_of(rank) : attempt.from, hello_.rank, verdict)));
}

void Rendezvous::count_stranger(const std::string& trouble) {
  if (stopped_) return;
  const std::lock_guard lock{strangers_mutex_};
  const bool may_tell = strangers_.size() < most_troubles || strangers_.contains(trouble);
  ++strangers_[may_tell ? trouble : "something else"];
}

auto Rendezvous::strangers() const -> std::map<std::string, std::uint64_t> {
  const std::lock_guard lock{strangers_mutex_};
  return strangers_;
}

// Says why, and waits until the caller has read it: a socket that is closed with bytes unread takes back what it has
// sent.
auto Rendezvous::turn_away(AttemptPtr attempt, std::vector<std::byte> last_word) -> asio::awaitable<void> {
  const auto left = attempt->watchdog.expiry() - std::chrono::steady_clock::now();
  watch(attempt, std::min(limits_.farewell, std::chrono::duration_cast<std::chrono::milliseconds>(left)));
  try {
    co_await write_all(attempt->socket, std::move(last_word));
    attempt->socket.shutdown(tcp::socket::shutdown_send);
    std::array<std::byte, 1024> unread;
    const auto buffer = asio::buffer(unread);
    for (;;) co_await attempt->socket.async_read_some(buffer, use_awaitable);
  } catch (const boost::system::system_error&) {
    // The end that was waited for, or the watchdog's.
  }
}

// --- calling ---------------------------------------------------------------------------------------------

auto Rendezvous::call(Rank peer) -> asio::awaitable<void> {
  const auto attempt = begin_attempt(false);
  auto time = std::chrono::milliseconds{first_pause};
  bool speaks_nonsense = false;
  while (!stopped_) {
    auto& trouble = troubles_[static_cast<std::size_t>(peer)];
    for (const auto& endpoint : endpoints_[static_cast<std::size_t>(peer)]) {
      if (stopped_) break;
      try {
        co_await reach(attempt, endpoint);
        if (!speaks_nonsense) trouble = "it does not answer";
        co_await greet(attempt, peer);
        end_attempt(attempt);
        co_return;
      } catch (const boost::system::system_error& error) {
        // Who is no node hangs up on the next call, or does not answer it: that tells less.
        speaks_nonsense = speaks_nonsense && error.code() != asio::error::connection_refused;
        if (!speaks_nonsense) trouble = trouble_of(error.code());
      } catch (const Malformed& error) {
        speaks_nonsense = true;
        trouble = error.failed();
      }
      boost::system::error_code ignored;
      attempt->socket.close(ignored);
    }
    co_await pause(attempt, time);
    time = std::min<std::chrono::milliseconds>(2 * time, longest_pause);
  }
  end_attempt(attempt);
}

auto Rendezvous::greet(AttemptPtr attempt, Rank peer) -> asio::awaitable<void> {
  const Hello there = co_await agree(attempt, peer, hello_);
  if (!stopped_) join(peer, *attempt, there.run);
}

auto Rendezvous::reach(AttemptPtr attempt, tcp::endpoint endpoint) -> asio::awaitable<void> {
  auto& socket = attempt->socket;
  socket = Stream{io_};
  socket.open(endpoint.protocol());
  close_on_exec(socket.native_handle());
  co_await socket.async_connect(endpoint, use_awaitable);
  // Calling a free port of this machine again and again in the end gets through to itself.
  if (socket.local_endpoint() == socket.remote_endpoint()) {
    throw boost::system::system_error{asio::error::connection_refused};
  }
}

// The caller's side of the handshake, up to both verdicts.
auto Rendezvous::agree(AttemptPtr attempt, Rank peer, Hello mine) -> asio::awaitable<Hello> {
  auto& socket = attempt->socket;
  const auto introduction = co_await introduce_listener(socket, options_.token, mine);
  if (!introduction.verdict.accepted) {
    throw refusal(hello_.rank, address_of(hello_.rank), peer, introduction.verdict);
  }
  const Hello there = co_await read_exactly<HelloReader>(socket);
  if (there.rank != introduction.there.rank) throw Malformed("a hello of another rank than its opening");
  auto verdict = compare(hello_, there);
  if (verdict.accepted && there.rank != peer) {
    throw NodeError(peer, fmt::format("node {} ({}) answers as node {}", peer, address_of(peer), there.rank), {},
                    "Give every node the same --nodes, in the same order.");
  }
  if (verdict.accepted) verdict = co_await read_exactly<VerdictReader>(socket);
  if (!verdict.accepted) throw refusal(hello_.rank, address_of(hello_.rank), peer, verdict);
  auto consent = encode(verdict);
  co_await write_all(socket, std::move(consent));
  co_return there;
}

// --- both ------------------------------------------------------------------------------------------------

void Rendezvous::join(Rank peer, Attempt& attempt, std::uint64_t run) {
  attempt.watchdog.cancel();
  place(peer) = Place::taken;
  auto& seat = seats_[static_cast<std::size_t>(peer)];
  boost::system::error_code error;
  seat.from = attempt.socket.remote_endpoint(error);
  seat.run = run;
  owner_.joined(peer, std::move(attempt.socket));
}

auto Rendezvous::begin_attempt(bool stranger) -> AttemptPtr {
  auto attempt = std::make_shared<Attempt>(io_);
  attempt->stranger = stranger;
  attempts_.push_back(attempt);
  return attempt;
}

void Rendezvous::end_attempt(const AttemptPtr& attempt) {
  boost::system::error_code ignored;
  attempt->socket.close(ignored);
  attempt->watchdog.cancel();
  attempts_.remove(attempt);
}

void Rendezvous::make_room_for_strangers() {
  // All the nodes of a large cluster may call at the same time, and are strangers, too.
  const auto most = std::max<std::ptrdiff_t>(64, 2 * std::ssize(options_.nodes));
  const auto is_stranger = [](const AttemptPtr& attempt) { return attempt->stranger; };
  if (std::count_if(attempts_.begin(), attempts_.end(), is_stranger) <= most) return;
  const auto& oldest = *std::find_if(attempts_.begin(), attempts_.end(), is_stranger);
  oldest->timed_out = true;
  boost::system::error_code ignored;
  oldest->socket.close(ignored);
}

void Rendezvous::watch(const AttemptPtr& attempt, std::chrono::milliseconds time) {
  attempt->watchdog.expires_after(time);
  attempt->watchdog.async_wait([attempt](const boost::system::error_code& error) {
    if (error) return;
    attempt->timed_out = true;
    boost::system::error_code ignored;
    attempt->socket.close(ignored);
  });
}

auto Rendezvous::pause(AttemptPtr attempt, std::chrono::milliseconds time) -> asio::awaitable<void> {
  if (stopped_) co_return;
  attempt->timer.expires_after(time);
  boost::system::error_code ended_early;
  auto token = asio::redirect_error(use_awaitable, ended_early);
  co_await attempt->timer.async_wait(token);
}

void Rendezvous::deadline_passed() {
  std::vector<std::string> missing;
  Rank first = -1;
  for (Rank rank = 0; rank < hello_.nodes; ++rank) {
    if (place(rank) == Place::taken) continue;
    if (first < 0) first = rank;
    const auto& trouble = troubles_[static_cast<std::size_t>(rank)];
    missing.push_back(fmt::format("{} ({}{}{})", rank, address_of(rank), trouble.empty() ? "" : ": ", trouble));
  }
  const bool one = missing.size() == 1;
  const auto seconds = std::chrono::duration<double>{options_.connect_deadline}.count();
  const auto error = NodeError(
      first, fmt::format("{} {} did not come within {:g} s", one ? "node" : "nodes", fmt::join(missing, ", "), seconds),
      turned_away_,
      fmt::format("Start {}, check --nodes, or wait longer with --connect-deadline.", one ? "it" : "them"));
  owner_.failed(std::make_exception_ptr(error));
}

}  // namespace tensair::net::detail
