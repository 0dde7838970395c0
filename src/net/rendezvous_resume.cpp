// Coming back after a cut.
//
// The node of the higher rank calls again, as it did at first; the other one waits. Both may do so for as long as an
// outage may last. A process that has ended need not be waited for: its port refuses connections. So the one that waits
// knocks at the other's port.
//
// The hello says which run of the peer it goes on with. A node that was started again in another's place has another
// run, and no link of that one's. An end hands its new connection over after both verdicts; whatever a connection that
// is cut before that has made either end believe, the next hello says how far the peer really is.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "introduction.hpp"
#include "rendezvous.hpp"
#include "tcp_address.hpp"

namespace tensair::net::detail {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto first_pause = 10ms;     // doubled each time …
constexpr auto longest_pause = 500ms;  // … up to this
constexpr auto settling_pause = 1ms;   // until a connection that was just cut has come to its end

}  // namespace

void Rendezvous::resume(Rank peer, const std::string& reason) {
  if (stopped_) return;
  auto& outages = seats_[static_cast<std::size_t>(peer)].outages;
  outages += outages % 2 == 0 ? 1 : 2;
  asio::co_spawn(io_, reconnect(peer, reason, outages), asio::detached);
}

auto Rendezvous::reconnect(Rank peer, std::string reason, std::uint64_t outage) -> asio::awaitable<void> {
  auto& seat = seats_[static_cast<std::size_t>(peer)];
  const auto deadline = Clock::now() + limits_.outage;
  const auto attempt = begin_attempt(false);
  const bool calls = peer < hello_.rank;
  std::vector<tcp::endpoint> endpoints;
  if (calls) {
    endpoints = endpoints_[static_cast<std::size_t>(peer)];
  } else {
    const auto port = static_cast<std::uint16_t>(std::stoi(parse_address(address_of(peer)).port));
    endpoints.emplace_back(seat.from.address(), port);
  }
  std::string end;
  auto time = std::chrono::milliseconds{first_pause};
  while (!stopped_ && seat.outages == outage && end.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left <= 0ms) {
      end = fmt::format("{}, and it did not come back within {:g} s", reason,
                        std::chrono::duration<double>{limits_.outage}.count());
      break;
    }
    watch(attempt, std::min(left, limits_.stranger));
    for (const auto& endpoint : endpoints) {
      try {
        if (calls) {
          co_await call_again(attempt, peer, endpoint);
        } else {
          co_await reach(attempt, endpoint);
        }
        break;
      } catch (const boost::system::system_error& error) {
        if (error.code() == asio::error::connection_refused) end = reason;
      } catch (const Malformed&) {
        // Something else answers there now; perhaps not for long.
      } catch (const NodeError& error) {
        end = fmt::format("{}, and it does not come back: {}", reason, error.failed());
      }
    }
    boost::system::error_code ignored;
    attempt->socket.close(ignored);
    if (!end.empty() || seat.outages != outage) break;
    co_await pause(attempt, time);
    time = std::min<std::chrono::milliseconds>(2 * time, longest_pause);
  }
  end_attempt(attempt);
  if (!stopped_ && seat.outages == outage) owner_.given_up(peer, end);
}

auto Rendezvous::call_again(AttemptPtr attempt, Rank peer, tcp::endpoint endpoint) -> asio::awaitable<void> {
  co_await reach(attempt, endpoint);
  Hello mine = hello_;
  mine.resumes = seats_[static_cast<std::size_t>(peer)].run;
  mine.received = owner_.cut(peer).received;
  const Hello there = co_await agree(attempt, peer, mine);
  if (there.resumes != hello_.run) throw Malformed("it goes on with another link");
  hand_over(peer, *attempt, there.received);
}

auto Rendezvous::answer_again(AttemptPtr attempt, Hello there) -> asio::awaitable<void> {
  auto state = RendezvousOwner::LinkState{};
  const bool known = complete_ && there.rank > hello_.rank && there.resumes == hello_.run &&
                     there.run == seats_[static_cast<std::size_t>(there.rank)].run;
  if (known) state = owner_.cut(there.rank);
  while (state.open && !state.quiet && attempt->socket.is_open()) {
    co_await pause(attempt, settling_pause);
    if (stopped_) co_return;
    state = owner_.cut(there.rank);
  }
  if (!state.open) {
    const Verdict verdict{false, "the link it goes on with is no more", "See what the nodes say."};
    auto reply = joined(encode(hello_), encode(verdict));
    co_await turn_away(attempt, std::move(reply));
    co_return;
  }
  Hello mine = hello_;
  mine.resumes = there.run;
  mine.received = state.received;
  auto reply = joined(encode(mine), encode(Verdict{}));
  co_await write_all(attempt->socket, std::move(reply));
  const Verdict theirs = co_await read_exactly<VerdictReader>(attempt->socket);
  if (theirs.accepted && !stopped_) hand_over(there.rank, *attempt, there.received);
}

void Rendezvous::hand_over(Rank peer, Attempt& attempt, std::uint64_t peer_has) {
  const auto state = owner_.cut(peer);
  if (stopped_ || !state.open || !state.quiet) return;  // another connection was faster
  attempt.watchdog.cancel();
  auto& seat = seats_[static_cast<std::size_t>(peer)];
  if (seat.outages % 2 == 1) ++seat.outages;
  owner_.resumed(peer, std::move(attempt.socket), peer_has);
}

}  // namespace tensair::net::detail
