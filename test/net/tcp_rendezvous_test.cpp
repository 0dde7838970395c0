#include <fcntl.h>

#include <array>
#include <string>
#include <tensair/net/tcp_transport.hpp>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "net/loopback.hpp"

using namespace tensair;
using namespace tensair::net;
using namespace tensair::net::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

// Nobody a node would let in, and what each does.
struct Stranger {
  std::string what;
  std::string says;
};

auto strangers() -> std::vector<Stranger> {
  const auto opening = to_text(encode(Opening{.rank = 1}));
  const auto hello = to_text(encode(Hello{.rank = 1, .nodes = 2, .plan = some_plan}));
  auto oversized = hello;
  for (std::size_t i = 8; i < 12; ++i) oversized[i] = '\xff';
  auto impossible = opening;
  impossible[16] = '\xff';
  impossible[19] = '\xff';
  return {
      {"says nothing", ""},
      {"is a browser", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"},
      {"sends random bytes", std::string(100'000, '\x9d')},
      {"sends a frame", std::string(24, '\0')},
      {"announces a plan of 4 GB", opening + oversized},
      {"has an impossible rank", impossible},
      {"says another rank in its hello", to_text(encode(Opening{.rank = 0})) + hello},
      {"sends half a hello", opening + hello.substr(0, hello.size() / 2)},
      {"sends half an opening", opening.substr(0, 7)},
      {"sends opening and hello and is gone", opening + hello},
  };
}

auto line_of(const std::function<void()>& action) -> std::string {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("strangers before the nodes come change nothing", "[net][tcp][rendezvous][bad-input]") {
  for (const auto& [what, says] : strangers()) {
    INFO("a stranger that " << what);
    Cluster nodes{2, TcpLimits{.stranger = 200ms}};
    const auto port = port_of(nodes[0].options, 0);
    HandMadePeer stays{port};
    stays.send(says);
    HandMadePeer goes{port};
    goes.send(says);
    goes.reset();
    Mailbox<std::string> inbox;
    nodes[0].transport.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
    nodes.connect();
    nodes.link(1, 0).send(Lane::data, message(1, "here"));
    CHECK(inbox.take() == "here");
    nodes.disconnect();
  }
}

TEST_CASE("a stranger during the run is sent away, and the run goes on", "[net][tcp][rendezvous][bad-input]") {
  Mailbox<std::string> inbox;
  Cluster nodes{2, TcpLimits{.stranger = 20ms}};
  nodes[0].transport.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
  nodes.connect();
  for (const Rank rank : {0, 1}) {
    for (const auto& [what, says] : strangers()) {
      INFO("a stranger that " << what << ", at node " << rank);
      HandMadePeer stranger{port_of(nodes[0].options, rank)};
      try {
        stranger.send(says);
      } catch (const std::runtime_error&) {
        // It was sent away before it had said all.
      }
      CHECK_NOTHROW(stranger.read_to_the_end());
      nodes.link(1, 0).send(Lane::data, message(1, what));
      CHECK(inbox.take() == what);
    }
  }
  nodes.disconnect();
  CHECK(nodes[0].losses.size() + nodes[1].losses.size() == 0);
}

TEST_CASE("a flood of strangers does not keep a node out", "[net][tcp][rendezvous][bad-input]") {
  Cluster nodes{2};
  std::vector<std::unique_ptr<HandMadePeer>> flood;
  for (int i = 0; i < 200; ++i) flood.push_back(std::make_unique<HandMadePeer>(port_of(nodes[0].options, 0)));
  nodes.connect();
  nodes.disconnect();
}

TEST_CASE("however many things strangers do wrong, few kinds are told, and each stranger is counted",
          "[net][tcp][rendezvous][bad-input]") {
  constexpr int many = 40;
  Cluster nodes{2};
  nodes.connect();
  for (int i = 0; i < many; ++i) {
    auto opening = to_text(encode(Opening{.rank = i}));
    opening[19] = '\x7f';  // makes the rank one that there cannot be
    HandMadePeer stranger{port_of(nodes[0].options, 0)};
    stranger.send(opening);
    CHECK_NOTHROW(stranger.read_to_the_end());
  }
  const auto troubles = nodes[0].transport.turned_away();
  CHECK(troubles.size() <= 20);
  std::uint64_t all = 0;
  for (const auto& [told, times] : troubles) all += times;
  CHECK(all == many);
  CHECK(troubles.contains("something else"));
  CHECK(troubles.contains("malformed opening: rank 2130706432"));
  nodes.disconnect();
}

TEST_CASE("of a flood of strangers a node serves few at a time, and the oldest goes first",
          "[net][tcp][rendezvous][bad-input]") {
  CHECK(TcpLimits{}.stranger == 5s);
  Cluster nodes{2, TcpLimits{.stranger = safety_net}};  // so that none goes for its age
  nodes.connect();
  const auto before = Holdings::now();
  constexpr std::ptrdiff_t count = 200;
  std::vector<std::unique_ptr<HandMadePeer>> flood;
  while (std::ssize(flood) < count) flood.push_back(std::make_unique<HandMadePeer>(port_of(nodes[0].options, 0)));
  {
    HandMadePeer last{port_of(nodes[0].options, 0)};  // is answered once the others have been let in
    last.send(std::string(100, 'x'));
    last.read_to_the_end();
  }
  const auto held = Holdings::now().sockets - before.sockets - count;
  CHECK(held >= 32);  // a cluster's nodes call at the same time, too
  CHECK(held <= 65);
  CHECK_NOTHROW(flood.front()->read_to_the_end());
  CHECK(flood.back()->stays_silent(0ms));
  nodes.disconnect();
}

TEST_CASE("a node that is called in vain is called again", "[net][tcp][rendezvous]") {
  const auto reserved = reserve_port();
  const auto listening = listen_on_loopback(reserved.port);
  auto early_options = options_of(1, 2);
  early_options.nodes[0] = listening.address();
  Options late_options;
  late_options.nodes = early_options.nodes;

  Node early{early_options};
  Node late{late_options};
  const auto errors = at_the_same_time({[&] { early.connect(), early.transport.disconnect(); },
                                        [&] {
                                          ::close(::accept(listening.socket, nullptr, nullptr));
                                          ::close(listening.socket);
                                          late.connect();
                                          late.transport.disconnect();
                                        }});
  ::close(reserved.socket);
  CHECK(errors == std::vector<std::string>{"", ""});
}

TEST_CASE("host names are resolved", "[net][tcp][rendezvous]") {
  const std::array reserved{reserve_port(), reserve_port()};
  Options options;
  for (const auto& one : reserved) options.nodes.push_back("localhost:" + std::to_string(one.port));
  Node first{options};
  options.rank = 1;
  Node second{options};
  const auto errors = at_the_same_time({[&] { first.connect(), first.transport.disconnect(); },
                                        [&] { second.connect(), second.transport.disconnect(); }});
  for (const auto& one : reserved) ::close(one.socket);
  CHECK(errors == std::vector<std::string>{"", ""});
}

TEST_CASE("a host that cannot be resolved is named", "[net][tcp][rendezvous][bad-input]") {
  auto options = options_of(1, 2);
  options.nodes[0] = "no-such-host.invalid:7000";
  Node node{options};
  CHECK_THAT(line_of([&] { node.connect(); }),
             StartsWith("the host of node 0 (no-such-host.invalid:7000) cannot be resolved: "));
}

TEST_CASE("an address that is none is an error of usage", "[net][tcp][rendezvous][bad-input]") {
  for (const auto& [text, says] : std::vector<std::pair<std::string, std::string>>{
           {"localhost", "it has no port"},
           {":7000", "it has no host"},
           {"::1:7000", "an IPv6 address needs brackets"},
           {"localhost:", "a port is a number from 1 to 65535"},
           {"localhost:0", "a port is a number from 1 to 65535"},
           {"localhost:65536", "a port is a number from 1 to 65535"},
           {"localhost:http", "a port is a number from 1 to 65535"},
       }) {
    Options options;
    options.nodes = {"localhost:7000", text};
    CHECK_THAT(line_of([&] { TcpTransport{options}; }),
               StartsWith("«" + text + "» is not the address of a node: " + says));
  }
  Options options;
  options.nodes = {"localhost:7000", "[::1]:7001"};
  options.rank = 2;
  CHECK_THAT(line_of([&] { TcpTransport{options}; }), StartsWith("rank 2 is outside the list of 2 nodes"));
}

TEST_CASE("a port in use is named, with what to do", "[net][tcp][rendezvous][bad-input]") {
  const auto taken = listen_on_loopback();
  auto options = options_of(1, 2);
  ::close(std::exchange(options.listen_socket, -1));
  options.nodes[1] = taken.address();
  Node node{options};
  CHECK(line_of([&] { node.connect(); }) ==
        "node 1 cannot listen on " + taken.address() +
            ": the port is in use. End the program that holds it, or give this node another port in --nodes.");
  ::close(taken.socket);
}

TEST_CASE("an address of another machine cannot be listened on", "[net][tcp][rendezvous][bad-input]") {
  Options options;
  options.nodes = {"192.0.2.1:7000", "192.0.2.2:7000"};
  options.token = "a token of some length";
  Node node{options};
  CHECK(line_of([&] { node.connect(); }) ==
        "node 0 cannot listen on 192.0.2.1:7000: this machine does not have that address. Check --rank and --nodes.");
}

TEST_CASE("peers that never come are named at the deadline", "[net][tcp][rendezvous][bad-input]") {
  auto options = cluster_options(4);
  options[2].connect_deadline = 200ms;
  // Nobody listens at node 0; something does at node 1, and never answers.
  ::close(std::exchange(options[0].listen_socket, -1));
  const auto nobody = reserve_port(port_of(options[0], 0));
  const auto holdings = Holdings::now();
  auto given = options[2];
  given.listen_socket = ::fcntl(options[2].listen_socket, F_DUPFD_CLOEXEC, 0);
  {
    Node node{given};
    const auto& addresses = given.nodes;
    CHECK(line_of([&] { node.connect(); }) ==
          "nodes 0 (" + addresses[0] + ": Connection refused), 1 (" + addresses[1] + ": it does not answer), 3 (" +
              addresses[3] +
              ") did not come within 0.2 s. Start them, check --nodes, or wait longer with --connect-deadline.");
    CHECK(Holdings::return_to(holdings));
  }
  ::close(nobody.socket);
  for (const auto& each : options) {
    if (each.listen_socket >= 0) ::close(each.listen_socket);
  }
}

TEST_CASE("nodes of different pipelines refuse each other, and both say where they differ",
          "[net][tcp][rendezvous][bad-input]") {
  auto options = cluster_options(2);
  Node first{options[0]};
  Node second{options[1]};
  const auto errors = at_the_same_time({[&] { first.connect("source\nmap «normalise»: Stream<Tensor>"); },
                                        [&] { second.connect("source\nmap «normalise»: Stream<Image>"); }});
  const auto head = "node 1 (" + options[0].nodes[1] + ") was refused by node 0: the pipelines differ. operator 2: ";
  const std::string tail = ". Start every node with the same binary and flags.";
  CHECK(errors[0] == head + "here map «normalise»: Stream<Tensor>, there map «normalise»: Stream<Image>" + tail);
  CHECK(errors[1] == head + "here map «normalise»: Stream<Image>, there map «normalise»: Stream<Tensor>" + tail);
}

TEST_CASE("nodes that count differently refuse each other", "[net][tcp][rendezvous][bad-input]") {
  auto options = cluster_options(2);
  options[1].nodes.push_back("127.0.0.1:1");
  Node first{options[0]};
  Node second{options[1]};
  const auto errors = at_the_same_time({[&] { first.connect(); }, [&] { second.connect(); }});
  const auto head = "node 1 (" + options[0].nodes[1] + ") was refused by node 0: the numbers of nodes differ: ";
  CHECK(errors[0] == head + "here 2, there 3. Give every node the same --nodes.");
  CHECK(errors[1] == head + "here 3, there 2. Give every node the same --nodes.");
}

TEST_CASE("a node of another protocol version is refused, and both sides can say so",
          "[net][tcp][rendezvous][bad-input]") {
  const auto options = options_of(0, 2);
  Node node{options};
  std::string line;
  std::thread connecting{[&] { line = line_of([&] { node.connect(); }); }};
  HandMadePeer other{port_of(options, 0)};
  other.send(encode(Opening{.version = protocol_version + 1, .rank = 1}));
  CHECK(other.read<OpeningReader>().version == protocol_version);
  other.close();
  connecting.join();
  CHECK_THAT(line, StartsWith("a node (127.0.0.1:"));
  CHECK_THAT(line, EndsWith(") was refused by node 0: the protocol versions differ: here 2, there 3. Start every node "
                            "with the same version of "
                            "tensair."));
}

TEST_CASE("a node that is refused by one tells those it had reached already", "[net][tcp][rendezvous][bad-input]") {
  auto options = cluster_options(3);
  Node first{options[0]};
  Node second{options[1]};
  Node third{options[2]};
  const auto errors =
      at_the_same_time({[&] { first.connect(); }, [&] { second.connect(); }, [&] { third.connect("source"); }});
  for (const auto& error : errors) CHECK_THAT(error, ContainsSubstring("the pipelines differ. operator "));
}

TEST_CASE("the second node of one rank is turned away, and the first keeps its place",
          "[net][tcp][rendezvous][bad-input]") {
  Cluster nodes{2};
  nodes.connect();
  HandMadePeer second{port_of(nodes[0].options, 0)};
  const auto verdict = second.shake_hands({.rank = 1, .nodes = 2, .plan = some_plan});
  CHECK(!verdict.accepted);
  CHECK_THAT(verdict.reason, StartsWith("rank 1 is already taken, by a node at 127.0.0.1:"));

  auto twin = nodes[1].options;
  twin.listen_socket = listen_on_loopback().socket;
  Node node{twin};
  const auto line = line_of([&] { node.connect(); });
  CHECK_THAT(line, StartsWith("node 1 (" + twin.nodes[1] +
                              ") was refused by node 0: rank 1 is already taken, by a node at 127.0.0.1:"));
  CHECK_THAT(line, EndsWith(". Give every node its own --rank."));
  nodes.disconnect();
  CHECK(nodes[0].losses.size() + nodes[1].losses.size() == 0);
}

TEST_CASE("who was turned away is told when somebody is missing", "[net][tcp][rendezvous][bad-input]") {
  auto options = options_of(0, 3);
  options.connect_deadline = 500ms;
  Node node{options, TcpLimits{.farewell = 20ms}};
  std::string line;
  std::thread connecting{[&] { line = line_of([&] { node.connect(); }); }};
  HandMadePeer first{port_of(options, 0)};
  CHECK(first.shake_hands({.rank = 1, .nodes = 3, .plan = some_plan}).accepted);
  HandMadePeer second{port_of(options, 0)};
  CHECK(!second.shake_hands({.rank = 1, .nodes = 3, .plan = some_plan}).accepted);
  second.close();
  connecting.join();
  CHECK_THAT(line, StartsWith("node 2 (" + options.nodes[2] + ") did not come within 0.5 s (a node at 127.0.0.1:"));
  CHECK_THAT(line, ContainsSubstring("was turned away: rank 1 is already taken"));
}

TEST_CASE("a node that is lost before all are there fails the rendezvous", "[net][tcp][rendezvous]") {
  const auto options = options_of(0, 3);
  Node node{options};
  std::string line;
  std::thread connecting{[&] { line = line_of([&] { node.connect(); }); }};
  HandMadePeer peer{port_of(options, 0)};
  peer.shake_hands({.rank = 1, .nodes = 3, .plan = some_plan});
  peer.close();
  connecting.join();
  CHECK(line ==
        "node 1 (" + options.nodes[1] +
            ") was lost while the nodes were coming together: the connection was closed. See what that node says.");
  CHECK(node.losses.size() == 0);
}

TEST_CASE("nothing is delivered before all links are up", "[net][tcp][rendezvous]") {
  const auto options = options_of(0, 3);
  Mailbox<std::string> inbox;
  Node node{options};
  node.transport.receive(1, [&](Rank, const Payload& payload) {
    node.transport.link(1);
    node.transport.link(2);
    inbox.put(to_text(payload));
  });
  std::thread connecting{[&] { node.connect(); }};
  HandMadePeer early{port_of(options, 0)};
  early.shake_hands({.rank = 1, .nodes = 3, .plan = some_plan});
  for (const std::string text : {"first", "second", "third"}) {
    const auto size = static_cast<std::uint32_t>(text.size());
    early.send(FrameHeader{.piece = size, .flags = 3, .lane = 2, .channel = 1, .message = size}, text);
  }
  HandMadePeer late{port_of(options, 0)};
  late.shake_hands({.rank = 2, .nodes = 3, .plan = some_plan});
  connecting.join();
  CHECK(inbox.take() == "first");
  CHECK(inbox.take() == "second");
  CHECK(inbox.take() == "third");
  CHECK(node.losses.size() == 0);
}

TEST_CASE("a node that gives up while others are missing is heard, whatever it had sent before",
          "[net][tcp][rendezvous][error]") {
  // The node holds them all, or stops reading. They fit into its socket: what a peer that closes had not got rid of
  // would be lost with the connection.
  const auto messages = GENERATE(1, 4);
  const auto options = options_of(0, 3);
  Node node{options, TcpLimits{.beat = 10ms, .unacknowledged = 16 * 1024}};
  std::string line;
  std::thread connecting{[&] { line = line_of([&] { node.connect(); }); }};
  HandMadePeer peer{port_of(options, 0)};
  peer.shake_hands({.rank = 1, .nodes = 3, .plan = some_plan});
  const std::string text(10'000, 'a');
  const auto size = static_cast<std::uint32_t>(text.size());
  for (int i = 0; i < messages; ++i) {
    peer.send(FrameHeader{.piece = size, .flags = 3, .lane = 2, .channel = 1, .message = size}, text);
  }
  const std::string reason = "out of paper";
  const auto last = static_cast<std::uint32_t>(reason.size());
  peer.send(FrameHeader{.piece = last,
                        .flags = 3,
                        .lane = link_lane,
                        .channel = static_cast<ChannelId>(LinkMessage::abort),
                        .message = last},
            reason);
  if (messages > 1) peer.close();
  connecting.join();
  CHECK(line == "node 1 (" + options.nodes[1] +
                    ") was lost while the nodes were coming together: node 1 gave up: out of paper. See what that "
                    "node says.");
}

TEST_CASE("giving up ends another thread's wait for the nodes", "[net][tcp][rendezvous]") {
  const auto options = options_of(0, 2);
  Node node{options};
  std::string line;
  std::thread connecting{[&] { line = line_of([&] { node.connect(); }); }};
  HandMadePeer stranger{port_of(options, 0)};
  node.transport.abort("interrupted");
  connecting.join();
  CHECK(line == "this node gave up while the nodes were coming together: interrupted");
}

TEST_CASE("what is handed over as a listening socket must be one", "[net][tcp][rendezvous][bad-input]") {
  auto options = options_of(0, 2);
  ::close(options.listen_socket);
  options.listen_socket = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  Node node{options};
  CHECK_THAT(line_of([&] { node.connect(); }), EndsWith("is not a listening TCP socket"));
}

TEST_CASE("an identity that the options do not name is an error of usage", "[net][tcp][rendezvous][bad-input]") {
  Node node{options_of(0, 2)};
  CHECK_THROWS_AS(node.transport.connect({.rank = 1, .nodes = 2, .plan = ""}), UsageError);
}
