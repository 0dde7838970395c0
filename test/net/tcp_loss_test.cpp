#include <functional>
#include <string>
#include <tensair/net/tcp_transport.hpp>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "net/loopback.hpp"

using namespace tensair;
using namespace tensair::net;
using namespace tensair::net::test;

namespace {

/// Node 0 of two; the other is made by hand. A node that says nothing by itself, unless the limits want it.
struct HalfMade {
  explicit HalfMade(TcpLimits limits = {.beat = 0ms}) : node(options_of(0, 2), limits), peer(port_of(node.options, 0)) {
    std::thread connecting{[&] { node.connect(); }};
    verdict = peer.shake_hands({.rank = 1, .nodes = 2, .plan = some_plan});
    connecting.join();
  }

  Node node;
  HandMadePeer peer;
  Verdict verdict;
};

// The reason of the abort that ends a stream of frames; "" if there is none.
auto abort_reason(std::vector<std::byte> stream) -> std::string {
  Assembler assembler;
  std::string reason;
  for (auto rest = std::span<const std::byte>{stream}; !rest.empty();) {
    const auto arrived = assembler.take(rest);
    if (arrived && arrived->lane == link_lane && arrived->channel == static_cast<ChannelId>(LinkMessage::abort)) {
      reason = to_text(arrived->payload);
    }
  }
  return reason;
}

// Says how far the peer has read.
void say_alive(HandMadePeer& peer, std::uint64_t received) {
  const AliveBytes alive{.received = received, .reading = 1};
  const std::string text{reinterpret_cast<const char*>(&alive), sizeof alive};
  peer.send({.piece = sizeof alive,
             .flags = 3,
             .lane = link_lane,
             .channel = static_cast<ChannelId>(LinkMessage::alive),
             .message = sizeof alive},
            text);
}

}  // namespace

TEST_CASE("a peer that vanishes is reported at once", "[net][tcp][loss]") {
  HalfMade half;
  std::string reason;
  SECTION("its process ends and its socket is closed") {
    half.peer.close();
    reason = "the connection was closed";
  }
  SECTION("its process ends with bytes unread, and its socket is reset") {
    half.peer.reset();
    reason = "the connection was reset";
  }
  SECTION("in the middle of a header") {
    half.peer.send(std::string(10, '\0'));
    half.peer.close();
    reason = "the connection was closed";
  }
  SECTION("in the middle of a message") {
    half.peer.send(FrameHeader{.piece = 100, .flags = 1, .lane = 2, .channel = 1, .message = 1000}, "some of it");
    half.peer.close();
    reason = "the connection was closed";
  }
  CHECK(half.node.losses.take() == "1: " + reason);
  half.node.transport.disconnect();  // returns, although there is no goodbye to wait for
  CHECK(half.node.losses.size() == 0);
}

TEST_CASE("a peer that vanishes while this node takes its leave is reported", "[net][tcp][loss]") {
  HalfMade half;
  std::thread leaving{[&] { half.node.transport.disconnect(); }};
  half.peer.close();
  CHECK_THAT(half.node.losses.take(),
             Catch::Matchers::StartsWith("1: the connection was "));  // closed, or reset if it missed the goodbye
  leaving.join();
}

TEST_CASE("a peer that has said goodbye may go", "[net][tcp][loss]") {
  HalfMade half;
  half.peer.send(FrameHeader{.flags = 3, .lane = link_lane, .channel = static_cast<ChannelId>(LinkMessage::goodbye)});
  half.peer.close();
  half.node.transport.disconnect();
  CHECK(half.node.losses.size() == 0);
}

TEST_CASE("the goodbye is the last that a node says", "[net][tcp][loss]") {
  HalfMade half{TcpLimits{.beat = 0ms, .outage = 0ms}};
  half.node.transport.link(1).send(Lane::data, message(1, "data"));
  std::thread leaving{[&] { half.node.transport.disconnect(); }};
  half.peer.send(FrameHeader{.flags = 3, .lane = link_lane, .channel = static_cast<ChannelId>(LinkMessage::goodbye)});
  const auto stream = half.peer.read_to_the_end();
  leaving.join();
  REQUIRE(stream.size() == 24 + 4 + 24);
  CHECK(stream[28 + 5] == std::byte{link_lane});
}

TEST_CASE("nonsense from a peer ends the link, and both sides know why", "[net][tcp][loss][bad-input]") {
  const std::string too_long =
      "malformed frame: a piece of 4294967295 bytes is over the limit of 262144 (lane 2, channel 1)";
  struct Case {
    FrameHeader header;
    std::string says;
  };
  for (const auto& [header, says] : std::vector<Case>{
           {{.piece = 0xffff'ffff, .flags = 3, .lane = 2, .channel = 1, .message = 0xffff'ffff}, too_long},
           {{.flags = 3, .lane = 9}, "malformed frame: there is no lane 9 (lane 9, channel 0)"},
           {{.flags = 3, .lane = 2, .channel = 5}, "a message for channel 5, which nobody receives"},
           {{.flags = 3, .lane = link_lane, .channel = 77}, "malformed frame: unknown message 77 of the link"},
       }) {
    HalfMade half;
    half.peer.send(header);
    CHECK(half.node.losses.take() == "1: " + says);
    CHECK(abort_reason(half.peer.read_to_the_end()) == says);
  }
}

TEST_CASE("a message over the cap ends the link before it is taken", "[net][tcp][loss][bad-input]") {
  HalfMade half{TcpLimits{.message = 1000, .beat = 0ms}};
  half.peer.send(FrameHeader{.piece = 1, .flags = 1, .lane = 2, .channel = 1, .message = 1001});
  CHECK_THAT(half.node.losses.take(),
             Catch::Matchers::ContainsSubstring("a message of 1001 bytes is over the limit of 1000"));
}

TEST_CASE("a receiver that throws ends the link, and both sides know why", "[net][tcp][loss]") {
  Cluster nodes{2};
  nodes[0].transport.receive(1, [](Rank, const Payload&) { throw std::runtime_error("this batch has no labels"); });
  nodes.connect();
  nodes.link(1, 0).send(Lane::data, message(1));
  CHECK(nodes[0].losses.take() == "1: this batch has no labels");
  CHECK(nodes[1].losses.take() == "0: node 0 gave up: this batch has no labels");
  nodes.disconnect();
}

TEST_CASE("an outbox that throws ends the link, and both sides know why", "[net][tcp][loss]") {
  struct Broken : Outbox {
    auto next() -> std::unique_ptr<Message> override { throw std::runtime_error("out of luck"); }
  };
  Cluster nodes{2};
  nodes.connect();
  nodes.link(0, 1).ready(Lane::data, std::make_shared<Broken>());
  CHECK(nodes[0].losses.take() == "1: out of luck");
  CHECK(nodes[1].losses.take() == "0: node 0 gave up: out of luck");
  nodes.disconnect();
}

TEST_CASE("a node that gives up tells every other why", "[net][tcp][loss]") {
  for (const int count : {2, 5}) {
    Cluster nodes{count};
    nodes.connect();
    nodes[1].transport.abort("step 17: the loss is NaN");
    nodes[1].transport.abort("and again");
    for (int rank = 0; rank < count; ++rank) {
      if (rank == 1) continue;
      CHECK(nodes[rank].losses.take() == "1: node 1 gave up: step 17: the loss is NaN");
    }
    CHECK(nodes[1].losses.size() == 0);
    nodes[1].transport.disconnect();
    // The others are still connected with each other.
    at_the_same_time({[&] { nodes[0].transport.disconnect(); },
                      [&] {
                        for (int rank = 2; rank < count; ++rank) nodes[rank].transport.abort("the test is over");
                      }});
  }
}

TEST_CASE("a node that gives up does not wait for a peer that reads nothing", "[net][tcp][loss]") {
  HalfMade half{TcpLimits{.farewell = 50ms, .beat = 0ms}};
  half.node.transport.link(1).send(Lane::data, message(1, std::string(50'000'000, 'x')));
  half.node.transport.abort("enough");
  CHECK(half.node.losses.size() == 0);
}

TEST_CASE("a node that gives up in the middle of much data still tells why", "[net][tcp][loss]") {
  Cluster nodes{2};
  std::atomic<bool> first = true;
  Mailbox<int> begun;
  nodes[1].transport.receive(1, [&](Rank, const Payload&) {
    if (first.exchange(false)) begun.put(1);
  });
  nodes.connect();
  for (int i = 0; i < 100; ++i) nodes.link(0, 1).send(Lane::data, message(1, std::string(1'000'000, 'x')));
  begun.take();
  nodes[0].transport.abort("enough");
  CHECK(nodes[1].losses.take() == "0: node 0 gave up: enough");
  nodes[1].transport.disconnect();
}

TEST_CASE("a peer that is silent for too long is lost", "[net][tcp][loss][bad-input]") {
  HalfMade half{TcpLimits{.beat = 10ms, .silence = 100ms, .outage = 0ms}};
  CHECK(half.node.losses.take() == "1: nothing was heard from it for 0.1 s");
}

TEST_CASE("a peer that is alive and reads nothing is lost", "[net][tcp][loss][bad-input]") {
  HalfMade half{TcpLimits{.beat = 10ms, .silence = 100ms, .outage = 0ms}};
  half.node.transport.link(1).send(Lane::data, message(1, "for nobody"));
  while (half.node.losses.size() == 0) {
    try {
      say_alive(half.peer, 0);
    } catch (const std::runtime_error&) {
      break;  // it has been sent away
    }
    half.peer.stays_silent(5ms);
  }
  CHECK(half.node.losses.take() == "1: it has read nothing for 0.1 s");
}

TEST_CASE("a peer that acknowledges what was not sent is lost", "[net][tcp][loss][bad-input]") {
  HalfMade half;
  say_alive(half.peer, 1'000'000);
  CHECK(half.node.losses.take() == "1: malformed frame: 1000000 bytes acknowledged of 0");
}

TEST_CASE("two nodes that give up at the same time both end", "[net][tcp][loss]") {
  Cluster nodes{2};
  nodes.connect();
  at_the_same_time({[&] { nodes[0].transport.abort("a"); }, [&] { nodes[1].transport.abort("b"); }});
}

TEST_CASE("a node may give up on the transport's own thread", "[net][tcp][loss]") {
  Mailbox<std::string> losses;
  Cluster nodes{2};
  nodes[0].transport.receive(1, [&](Rank, const Payload&) { nodes[0].transport.abort("in a receiver"); });
  nodes[1].transport.on_loss([&](Rank peer, const std::string& reason) {
    nodes[1].transport.abort("in on_loss");
    losses.put(std::to_string(peer) + ": " + reason);
  });
  nodes.connect();
  nodes.link(1, 0).send(Lane::data, message(1));
  CHECK(losses.take() == "0: node 0 gave up: in a receiver");
  CHECK(nodes[0].losses.size() == 0);
  nodes.disconnect();
}

TEST_CASE("giving up ends another thread's wait for goodbyes", "[net][tcp][loss]") {
  HalfMade half{TcpLimits{.farewell = 20ms, .beat = 0ms}};
  std::thread leaving{[&] { half.node.transport.disconnect(); }};
  half.node.transport.abort("no more patience");
  leaving.join();
}

TEST_CASE("a transport that is destroyed while connected gives up", "[net][tcp][loss]") {
  auto options = cluster_options(2);
  Node other{options[1]};
  {
    Node node{options[0]};
    CHECK(at_the_same_time({[&] { node.connect(); }, [&] { other.connect(); }}) == std::vector<std::string>{"", ""});
  }
  CHECK(other.losses.take() == "0: node 0 gave up: it ended without saying goodbye");
}

TEST_CASE("what a peer says of itself is shown in one line", "[net][tcp][loss][bad-input]") {
  HalfMade half;
  const std::string reason = "a\nb\x1b[2J";
  half.peer.send(FrameHeader{.piece = static_cast<std::uint32_t>(reason.size()),
                             .flags = 3,
                             .lane = link_lane,
                             .channel = static_cast<ChannelId>(LinkMessage::abort),
                             .message = reason.size()},
                 reason);
  CHECK(half.node.losses.take() == "1: node 1 gave up: a b [2J");
}

TEST_CASE("however it ends, no socket and no thread is left", "[net][tcp][loss]") {
  const auto before = Holdings::now();
  const std::vector<std::pair<std::string, std::function<void()>>> endings = {
      {"never connected", [] { Cluster nodes{3}; }},
      {"goodbye",
       [&] {
         Cluster nodes{3};
         nodes.connect();
         nodes.disconnect();
         CHECK(Holdings::return_to(before));  // not only once the transports are destroyed
       }},
      {"abort",
       [] {
         Cluster nodes{3};
         nodes.connect();
         nodes[0].transport.abort("enough");
       }},
      {"destroyed",
       [] {
         Cluster nodes{3};
         nodes.connect();
         nodes.link(0, 1).send(Lane::data, message(1, std::string(10'000'000, 'x')));
       }},
      {"lost",
       [] {
         HalfMade half;
         half.peer.reset();
         half.node.losses.take();
       }},
  };
  for (const auto& [name, ending] : endings) {
    INFO(name);
    ending();
    CHECK(Holdings::return_to(before));
  }
}
