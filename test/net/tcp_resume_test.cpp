#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <tensair/net/tcp_transport.hpp>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "net/loopback.hpp"
#include "net/proxy.hpp"
#include "support/sanitized.hpp"

// Links whose connections are cut: by a proxy between the two nodes, at places that a seed draws.

using namespace tensair;
using namespace tensair::net;
using namespace tensair::net::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

constexpr std::array all_lanes{Lane::control, Lane::delta, Lane::data};

/// Two nodes with a proxy between them.
struct Cuttable {
  explicit Cuttable(TcpLimits limits = {}, const std::string& token = {})
      : Cuttable(cluster_options(2, token), limits) {}

  void connect() {
    CHECK(at_the_same_time({[&] { nodes[0]->connect(); }, [&] { nodes[1]->connect(); }}) ==
          std::vector<std::string>(2));
  }
  void disconnect() {
    at_the_same_time({[&] { nodes[0]->transport.disconnect(); }, [&] { nodes[1]->transport.disconnect(); }});
  }
  auto link(Rank from) -> Link& { return nodes[static_cast<std::size_t>(from)]->transport.link(1 - from); }

  Proxy proxy;
  std::array<std::unique_ptr<Node>, 2> nodes;

 private:
  Cuttable(std::vector<Options> options, TcpLimits limits) : proxy(port_of(options[0], 0)) {
    options[1].nodes[0] = proxy.address();
    for (std::size_t rank : {0U, 1U}) nodes[rank] = std::make_unique<Node>(options[rank], limits);
  }
};

/// Message n of a lane: its number, then bytes that follow from it.
auto numbered(int number, std::size_t size) -> std::string {
  auto text = std::to_string(number) + ":";
  std::minstd_rand random{static_cast<unsigned>(number + 1)};
  while (text.size() < size) text.push_back(static_cast<char>(random()));
  return text;
}

/// What one node has got: in order, and whole?
struct Received {
  std::array<int, lanes> next{};
  int wrong = 0;

  void take(std::size_t lane, const Payload& payload) {
    if (to_text(payload) != numbered(next[lane]++, payload.size())) ++wrong;
  }
};

}  // namespace

TEST_CASE("a link that is cut anywhere goes on, and each message arrives once and in order", "[net][tcp][resume]") {
  constexpr int messages = 40;
  for (unsigned seed = 1; seed <= (tensair::test::sanitized ? 12U : 24U); ++seed) {
    INFO("seed " << seed);
    std::mt19937 random{seed};
    const auto below = [&](std::size_t bound) { return random() % bound; };
    TcpLimits limits;
    if (seed % 2 == 0) limits.piece = 1 + below(20'000);
    if (seed % 5 != 0) limits.checksums = true;
    if (seed % 3 == 0) limits.unacknowledged = 10'000 + below(200'000);
    Cuttable cluster{limits, seed % 4 == 0 ? "correct horse battery staple" : ""};
    std::array<Received, 2> received;
    for (std::size_t rank : {0U, 1U}) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        cluster.nodes[rank]->transport.receive(
            static_cast<ChannelId>(lane),
            [&, rank, lane](Rank, const Payload& payload) { received[rank].take(lane, payload); });
      }
    }
    cluster.connect();
    std::deque<std::size_t> gaps;
    // Some within a handshake or a header, some after megabytes.
    for (int i = 0; i < 12; ++i) gaps.push_back(1 + below(std::size_t{1} << (4 + below(17))));
    const auto cuts = static_cast<int>(gaps.size());
    cluster.proxy.cut_after(std::move(gaps), seed % 2 == 1);
    std::array<std::vector<std::size_t>, 2> sizes;
    for (auto& each : sizes) {
      for (int i = 0; i < messages * static_cast<int>(lanes); ++i) each.push_back(below(std::size_t{1} << below(19)));
    }
    const auto send_from = [&](Rank rank) {
      for (int i = 0; i < messages; ++i) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          const auto size = sizes[static_cast<std::size_t>(rank)][static_cast<std::size_t>(i) * lanes + lane];
          cluster.link(rank).send(all_lanes[lane], message(static_cast<ChannelId>(lane), numbered(i, size)));
        }
      }
    };
    at_the_same_time({[&] { send_from(0); }, [&] { send_from(1); }});
    cluster.disconnect();
    CHECK(cluster.proxy.cuts() > cuts / 3);
    for (std::size_t rank : {0U, 1U}) {
      CHECK(received[rank].next == std::array<int, lanes>{messages, messages, messages});
      CHECK(received[rank].wrong == 0);
      CHECK(cluster.nodes[rank]->lost() == "");
    }
  }
}

TEST_CASE("a connection that has gone deaf is found, and the link goes on over another one", "[net][tcp][resume]") {
  Mailbox<std::string> inbox;
  Cuttable cluster{TcpLimits{.beat = 10ms, .silence = 100ms}};
  for (auto& node : cluster.nodes) {
    node->transport.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
  }
  cluster.connect();
  cluster.proxy.go_deaf();
  cluster.link(0).send(Lane::data, message(1, "down"));
  cluster.link(1).send(Lane::data, message(1, "up"));
  const auto one = inbox.take(), other = inbox.take();
  CHECK(one + other == (one == "up" ? "updown" : "downup"));
  cluster.disconnect();
  CHECK(cluster.nodes[0]->losses.size() + cluster.nodes[1]->losses.size() == 0);
}

TEST_CASE("a cut that lasts longer than an outage may fails the link on both sides", "[net][tcp][resume]") {
  Cuttable cluster{TcpLimits{.outage = 200ms}};
  cluster.connect();
  cluster.proxy.go_away();
  for (std::size_t rank : {0U, 1U}) {
    CHECK(cluster.nodes[rank]->losses.take() ==
          std::to_string(1 - rank) + ": the connection was closed, and it did not come back within 0.2 s");
  }
  cluster.disconnect();
}

TEST_CASE("a node that is hung up on calls less and less often", "[net][tcp][resume]") {
  Cuttable cluster{TcpLimits{.outage = 1'000ms}};
  cluster.connect();
  const int before = cluster.proxy.calls();
  cluster.proxy.hang_up();
  cluster.nodes[1]->losses.take();
  const int again = cluster.proxy.calls() - before;
  CHECK(again >= 2);
  CHECK(again <= 7);  // after 0, 10, 30, 70, 150, 310 and 630 ms, if not later
  cluster.nodes[0]->losses.take();
  cluster.disconnect();
}

TEST_CASE("a link keeps a bounded number of bytes for a peer that does not get them", "[net][tcp][resume]") {
  static constexpr std::int64_t size = 64 * 1024, unacknowledged = 1024 * 1024, batch = 256 * 1024;
  static constexpr int messages = 200;
  struct Counted final : Outbox {
    Counted(ChannelId channel, int count, const std::atomic<std::int64_t>& received)
        : channel_(channel), count_(count), received_(received) {}
    auto next() -> std::unique_ptr<Message> override {
      if (asked_ == count_) return nullptr;
      auto result = std::make_unique<Message>(message(channel_, numbered(asked_++, size)));
      most = std::max(most.load(), asked_ * size - received_);
      return result;
    }
    std::atomic<std::int64_t> most = 0;

   private:
    const ChannelId channel_;
    const int count_;
    const std::atomic<std::int64_t>& received_;
    int asked_ = 0;
  };

  std::atomic<std::int64_t> received = 0;
  Cuttable cluster{TcpLimits{.beat = 0ms, .unacknowledged = unacknowledged}};
  Received in_order;
  cluster.nodes[1]->transport.receive(1, [&](Rank, const Payload& payload) {
    in_order.take(0, payload);
    received += size;
  });
  cluster.nodes[1]->transport.receive(2, [](Rank, const Payload&) {});
  cluster.connect();
  cluster.proxy.go_deaf();  // takes all there is, so that no socket is ever full
  const auto ask = [&](Lane lane, ChannelId channel, int count, std::int64_t least) {
    const auto outbox = std::make_shared<Counted>(channel, count, received);
    cluster.link(0).ready(lane, outbox);
    const auto deadline = std::chrono::steady_clock::now() + safety_net;
    while (outbox->most < least && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    CHECK(outbox->most >= least);
    return outbox;
  };
  const auto data = ask(Lane::data, 1, messages, unacknowledged);
  // Control does not wait for acknowledgements: each of these goes, and no more data does with it.
  for (int i = 0; i < 8; ++i) ask(Lane::control, 2, 1, size);
  cluster.proxy.cut();
  cluster.disconnect();
  CHECK(data->most <= unacknowledged + batch + size);
  CHECK(in_order.next[0] == messages);
  CHECK(in_order.wrong == 0);
}

TEST_CASE("giving up during an outage ends at once", "[net][tcp][resume]") {
  const auto before = Holdings::now();
  {
    Cuttable cluster{};
    cluster.connect();
    cluster.proxy.go_away();
    cluster.link(0).send(Lane::data, message(1, "for nobody"));
    // One after the other, and first the one that knocks at the other's own port: whoever still looks for a node that
    // is gone may find that out, and then says so.
    for (const auto& node : cluster.nodes) {
      node->transport.abort("enough");
      CHECK(node->losses.size() == 0);
    }
  }
  CHECK(Holdings::return_to(before));
}

TEST_CASE("nobody but the peer goes on with a link", "[net][tcp][resume][bad-input]") {
  Cluster nodes{2};
  nodes.connect();
  for (const std::uint64_t run : {1ULL, 2ULL, ~0ULL}) {
    HandMadePeer other{port_of(nodes[0].options, 0)};
    const auto verdict =
        other.shake_hands({.rank = 1, .nodes = 2, .plan = some_plan, .run = run, .resumes = run, .received = 0});
    CHECK(!verdict.accepted);
    CHECK(verdict.reason == "the link it goes on with is no more");
  }
  Mailbox<std::string> inbox;
  nodes[0].transport.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
  nodes.link(1, 0).send(Lane::data, message(1, "unharmed"));
  CHECK(inbox.take() == "unharmed");
  nodes.disconnect();
}

TEST_CASE("a clock that jumps costs no link", "[net][tcp][resume]") {
  struct JumpingClock final : Clock {
    mutable std::atomic<int> asked = 0;
    auto now() const -> Time override {
      const auto n = ++asked;
      return Time{} + 1000h + (n % 2 == 0 ? 24h : 0h) + n * 1ms;
    }
  };
  Mailbox<std::string> inbox;
  auto options = cluster_options(2);
  const TcpLimits limits{.beat = 5ms, .silence = 1'000ms};
  const auto clock = std::make_shared<JumpingClock>();
  TcpTransport first{options[0], limits, clock};
  TcpTransport second{options[1], limits, clock};
  std::atomic<int> losses = 0;
  for (auto* transport : {&first, &second}) transport->on_loss([&](Rank, const std::string&) { ++losses; });
  first.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
  at_the_same_time({[&] { first.connect({.rank = 0, .nodes = 2, .plan = ""}); },
                    [&] { second.connect({.rank = 1, .nodes = 2, .plan = ""}); }});
  while (clock->asked < 100) std::this_thread::yield();
  second.link(0).send(Lane::data, message(1, "here"));
  CHECK(inbox.take() == "here");
  at_the_same_time({[&] { first.disconnect(); }, [&] { second.disconnect(); }});
  CHECK(losses == 0);
}
