#include <functional>
#include <string>
#include <tensair/error.hpp>
#include <tensair/net/tcp_transport.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "net/loopback.hpp"

// Who may join a cluster.

using namespace tensair;
using namespace tensair::net;
using namespace tensair::net::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

const std::string token = "correct horse battery staple";
const std::string remedy = ". Give every node the same --token-file FILE (or TENSAIR_TOKEN).";

auto line_of(Node& node) -> std::string {
  try {
    node.connect();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("nodes with one token come together", "[net][tcp][token]") {
  for (const int count : {2, 3, 5}) {
    Mailbox<std::string> inbox;
    Cluster nodes{count, {}, token};
    nodes[0].transport.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
    nodes.connect();
    nodes.link(count - 1, 0).send(Lane::data, message(1, "here"));
    CHECK(inbox.take() == "here");
    nodes.disconnect();
  }
}

TEST_CASE("a node with another token is refused, and both sides say so", "[net][tcp][token][bad-input]") {
  struct Case {
    std::string here, there;  // of the node that is called, of the caller
    std::string why_here, why_there;
  };
  const std::string one_has = "only one of them has the cluster's token: here ";
  for (const auto& [here, there, why_here, why_there] : std::vector<Case>{
           {token, "incorrect horse battery staple", "the tokens differ", "the tokens differ"},
           {token, "", one_has + "one, there none", one_has + "none, there one"},
           {"", token, one_has + "none, there one", one_has + "one, there none"},
       }) {
    INFO("«" << here << "» and «" << there << "»");
    auto options = cluster_options(2);
    options[0].token = here;
    options[1].token = there;
    options[0].connect_deadline = 1s;
    Node first{options[0], TcpLimits{.farewell = 20ms}};
    Node second{options[1]};
    std::vector<std::string> lines(2);
    at_the_same_time({[&] { lines[0] = line_of(first); }, [&] { lines[1] = line_of(second); }});
    const auto refused = "node 1 (" + options[0].nodes[1] + ") was refused by node 0: ";
    CHECK(lines[1] == refused + why_there + remedy);
    if (here.empty()) {  // on loopback alone, so that who differs is no stranger
      CHECK(lines[0] == refused + why_here + remedy);
    } else {  // anybody could have called
      CHECK_THAT(lines[0], StartsWith("node 1 (" + options[0].nodes[1] + ") did not come within 1 s (a node at "));
      CHECK_THAT(lines[0], ContainsSubstring(" was turned away: " + why_here));
    }
  }
}

TEST_CASE("who does not prove the token neither joins nor disturbs those who do", "[net][tcp][token][bad-input]") {
  const auto hello = encode(Hello{.rank = 1, .nodes = 2, .plan = "another plan"});
  struct Stranger {
    std::string what;
    std::function<void(HandMadePeer&)> says;
    std::string trouble;  // as the node tells it
  };
  const std::vector<Stranger> strangers = {
      {"has no token", [&](HandMadePeer& peer) { peer.send(encode(Opening{.rank = 1})), peer.send(hello); },
       "only one of them has the cluster's token: here one, there none"},
      {"has another version",
       [&](HandMadePeer& peer) { peer.send(encode(Opening{.version = 1, .kind = ProofKind::hmac_sha256, .rank = 1})); },
       "the protocol versions differ: "},
      {"has another token",
       [&](HandMadePeer& peer) {
         const Opening mine{.kind = ProofKind::hmac_sha256, .rank = 1};
         peer.send(encode(mine));
         peer.send(prove("another token", Role::caller, mine, peer.read<OpeningReader>()));
         peer.send(hello);  // which is not read
       },
       "the tokens differ"},
      {"sends the zeros of a refusal",
       [&](HandMadePeer& peer) {
         peer.send(encode(Opening{.kind = ProofKind::hmac_sha256, .rank = 1}));
         peer.send(refused_proof);
       },
       "the tokens differ"},
      {"says the rank that it calls, and sends back what it hears",
       [&](HandMadePeer& peer) {
         const Opening mine{.kind = ProofKind::hmac_sha256, .rank = 0};
         peer.send(encode(mine));
         const auto theirs = peer.read<OpeningReader>();
         peer.send(encode(theirs));
       },
       "the tokens differ"},
      {"sends half a proof",
       [&](HandMadePeer& peer) {
         peer.send(encode(Opening{.kind = ProofKind::hmac_sha256, .rank = 1}));
         peer.send(std::string(16, 'x'));
       },
       "it has not said in time who it is"},
      {"is no node", [&](HandMadePeer& peer) { peer.send(std::string(100, 'x')); }, "this is not a tensair node"}};
  for (const bool running : {false, true}) {
    for (const auto& [what, says, trouble] : strangers) {
      INFO("a stranger that " << what << (running ? ", during the run" : ", before the nodes come"));
      Mailbox<std::string> inbox;
      Cluster nodes{2, TcpLimits{.stranger = 100ms}, token};
      nodes[0].transport.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
      if (running) nodes.connect();
      HandMadePeer stranger{port_of(nodes[0].options, 0)};
      std::thread connecting;
      if (!running) connecting = std::thread{[&] { nodes.connect(); }};
      try {
        says(stranger);
        stranger.read_to_the_end();
      } catch (const std::runtime_error&) {
        // Sent away before it had said all.
      }
      if (!running) connecting.join();
      nodes.link(1, 0).send(Lane::data, message(1, what));
      CHECK(inbox.take() == what);
      const auto troubles = nodes[0].transport.turned_away();
      CHECK(troubles.size() == 1);
      for (const auto& [told, times] : troubles) {
        CHECK_THAT(told, StartsWith(trouble));
        CHECK(times == 1);
      }
      CHECK(nodes[1].transport.turned_away().empty());
      nodes.disconnect();
      CHECK(nodes[0].losses.size() + nodes[1].losses.size() == 0);
    }
  }
}

TEST_CASE("a recorded handshake that is sent again is refused", "[net][tcp][token][bad-input]") {
  Cluster nodes{2, TcpLimits{.farewell = 20ms}, token};
  nodes.connect();
  const Opening mine{.kind = ProofKind::hmac_sha256, .rank = 1};
  Proof recorded;
  {
    HandMadePeer honest{port_of(nodes[0].options, 0)};
    honest.send(encode(mine));
    const auto theirs = honest.read<OpeningReader>();
    recorded = prove(token, Role::caller, mine, theirs);
    honest.send(recorded);
    CHECK(honest.read<ProofReader>() == prove(token, Role::listener, mine, theirs));
  }
  HandMadePeer replayed{port_of(nodes[0].options, 0)};
  replayed.send(encode(mine));
  replayed.read<OpeningReader>();
  replayed.send(recorded);
  CHECK(replayed.read_to_the_end() == std::vector<std::byte>(sizeof(Proof)));  // zeros
  nodes.disconnect();
}

TEST_CASE("a stranger that speaks slowly lives no longer than one that is silent", "[net][tcp][token][bad-input]") {
  Cluster nodes{2, TcpLimits{.stranger = 100ms}, token};
  nodes.connect();
  HandMadePeer slow{port_of(nodes[0].options, 0)};
  const auto opening = encode(Opening{.kind = ProofKind::hmac_sha256, .rank = 1});
  std::size_t said = 0;
  for (; said < opening.size() && slow.stays_silent(10ms); ++said) slow.send(std::span{opening}.subspan(said, 1));
  CHECK_NOTHROW(slow.read_to_the_end());
  nodes.disconnect();
  CHECK(nodes[0].losses.size() + nodes[1].losses.size() == 0);
}

TEST_CASE("whoever answers in a node's place and does not know the token is not told anything",
          "[net][tcp][token][bad-input]") {
  const auto impostor = listen_on_loopback();
  auto options = options_of(1, 2, token);
  options.nodes[0] = impostor.address();
  options.connect_deadline = 500ms;
  Node node{options};
  std::string line;
  std::thread connecting{[&] { line = line_of(node); }};
  {
    auto caller = HandMadePeer::accept(impostor);
    caller.read<OpeningReader>();
    caller.send(encode(Opening{.kind = ProofKind::hmac_sha256}));
    caller.read<ProofReader>();
    caller.send(std::string(sizeof(Proof), 'x'));
    CHECK(caller.read_to_the_end().empty());  // no hello: the plan is not for strangers
  }
  ::close(impostor.socket);
  connecting.join();
  CHECK_THAT(line, StartsWith("node 0 (" + options.nodes[0] + ": "));
  CHECK_THAT(line, ContainsSubstring(") did not come within 0.5 s"));
}

TEST_CASE("without a token only loopback addresses are taken", "[net][tcp][token][bad-input]") {
  const std::string why =
      " can be reached from other machines, and the cluster has no token: anybody could take a node's place. Give "
      "every node the same --token-file FILE (or TENSAIR_TOKEN), or use 127.0.0.1.";
  for (const std::string address :
       {"192.0.2.1:7000", "0.0.0.0:7000", "[2001:db8::1]:7000", "[::ffff:192.0.2.1]:7000"}) {
    for (const Rank where : {0, 1}) {
      Options options;
      options.nodes = {"127.0.0.1:7000", "[::1]:7001"};
      options.nodes[static_cast<std::size_t>(where)] = address;
      Node node{options};
      const auto who = "node " + std::to_string(where) + " (" + address + ")";
      CHECK(line_of(node) == who + why);
    }
  }
  auto options = options_of(0, 2);
  ::close(options.listen_socket);
  options.listen_socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::listen(options.listen_socket, 1) == 0);  // at a free port of all addresses
  Node node{options};
  CHECK_THAT(line_of(node), StartsWith("the inherited socket at 0.0.0.0:"));
}
