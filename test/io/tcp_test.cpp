#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <string>
#include <tensair/io/file_descriptor.hpp>
#include <tensair/io/tcp.hpp>
#include <tensair/pipeline.hpp>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

auto loopback(std::uint16_t port) -> sockaddr_in {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

/// A socket bound to a loopback port, which others may be bound to as well; 0: a free one. Who connects is refused.
auto bound(std::uint16_t port = 0) -> FileDescriptor {
  FileDescriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const int shared = 1;
  ::setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &shared, sizeof shared);
  const auto address = loopback(port);
  if (::bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("no loopback port to be had");
  return socket;
}
auto port_of(const FileDescriptor& socket) -> std::uint16_t {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(socket.number(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}
auto connects(const FileDescriptor& client, std::uint16_t port) -> bool {
  const auto address = loopback(port);
  return ::connect(client.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

/// A server on a loopback port that does one thing after the other, with a connection each.
class Server {
 public:
  using Script = std::function<void(int connection)>;

  explicit Server(std::vector<Script> scripts, std::uint16_t port = 0)
      : listener_(bound(port)), port_(port_of(listener_)) {
    if (::listen(listener_.number(), 8) != 0) throw std::runtime_error("no loopback port to be had");
    thread_ = std::thread([this, scripts = std::move(scripts)] {
      for (const auto& script : scripts) {
        const FileDescriptor connection{::accept4(listener_.number(), nullptr, nullptr, SOCK_CLOEXEC)};
        if (connection.is_open()) script(connection.number());
      }
      listener_.close();
    });
  }
  Server(const Server&) = delete;
  auto operator=(const Server&) -> Server& = delete;
  ~Server() { thread_.join(); }

  auto port() const -> std::uint16_t { return port_; }
  /// Waits until all has been done.
  void join() {
    thread_.join();
    thread_ = std::thread([] {});
  }

 private:
  FileDescriptor listener_;
  std::uint16_t port_;
  std::thread thread_;
};

void send_all(int connection, std::string_view text) {
  while (!text.empty()) {
    const auto sent = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

auto sends(std::string text) -> Server::Script {
  return [text = std::move(text)](int connection) { send_all(connection, text); };
}

auto receives(std::string& text) -> Server::Script {
  return [&text](int connection) {
    char block[4096];
    for (ssize_t n = 0; (n = ::recv(connection, block, sizeof block, 0)) > 0;)
      text.append(block, static_cast<std::size_t>(n));
  };
}

/// Sends lines, the last of them "end", and waits until the client has gone.
auto sends_the_end(std::string text) -> Server::Script {
  return [text = std::move(text)](int connection) {
    send_all(connection, text + "end\n");
    char wait = 0;
    static_cast<void>(::recv(connection, &wait, 1, 0));
  };
}

/// Ends a connection with a reset in place of an orderly end.
void reset(int connection) {
  const linger at_once{1, 0};
  ::setsockopt(connection, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

auto over_tcp() -> std::vector<test::Topology> {
  return {{1, 1, true}, {2, 1, true}, {5, 1, true}};
}

auto lines_of(std::uint16_t port, TcpLinesOptions options = {}, int nodes = 1) -> std::vector<std::string> {
  std::vector<std::string> all;
  test::run({nodes, 1, true}, [&](Pipeline& pipeline) {
    pipeline.source(tcp_lines("127.0.0.1", port, options)).sink([&](std::string_view line) { all.emplace_back(line); });
  });
  return all;
}

/// The lines that come, one connection after the other, up to "end"; `look` sees each when it comes.
auto lines_to_the_end(
    std::uint16_t port, const std::function<void(std::string_view)>& look = [](auto) {}) -> std::vector<std::string> {
  std::vector<std::string> all;
  const TcpLinesOptions options{.reconnect = true, .first_delay = 1ms, .longest_delay = 1ms};
  CHECK_THROWS_WITH(test::run({1, 1, true},
                              [&](Pipeline& pipeline) {
                                pipeline.source(tcp_lines("127.0.0.1", port, options)).sink([&](std::string_view line) {
                                  all.emplace_back(line);
                                  look(line);
                                  if (line == "end") throw std::runtime_error("enough");
                                });
                              }),
                    ContainsSubstring("threw: enough"));
  return all;
}

/// A port on which nobody listens.
auto closed_port() -> std::uint16_t {
  Server server{{}};
  return server.port();
}

}  // namespace

TEST_CASE("lines come from a TCP server until it closes", "[tcp]") {
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 20'000; ++i)
    text += expected.emplace_back("line " + std::to_string(i)) + (i % 2 == 0 ? "\n" : "\r\n");
  text += expected.emplace_back("no end");
  for (const auto& topology : over_tcp()) {
    INFO(topology.name());
    Server server{{sends(text)}};
    CHECK(lines_of(server.port(), {}, topology.nodes) == expected);
  }
}

TEST_CASE("a TCP source connects again when told so and leaves out a line that was cut", "[tcp]") {
  Server server{{sends("a\nb\ncut"), sends("c\n"), sends_the_end("d\n")}};
  CHECK(lines_to_the_end(server.port()) == std::vector<std::string>{"a", "b", "c", "d", "end"});
}

TEST_CASE("a TCP source that is told so connects again when its connection is reset", "[tcp]") {
  std::promise<void> seen;
  Server server{{[&](int connection) {
                   send_all(connection, "a\n");
                   seen.get_future().wait();
                   send_all(connection, "cut");
                   reset(connection);
                 },
                 sends_the_end("b\n")}};
  CHECK(lines_to_the_end(server.port(), [&](std::string_view line) {
          if (line == "a") seen.set_value();
        }) == std::vector<std::string>{"a", "b", "end"});
}

TEST_CASE("a TCP source waits for a server that is not there yet, and for one that is gone for a while", "[tcp]") {
  const auto reserved = bound();
  const auto port = port_of(reserved);
  int refused = 0;
  std::thread servers{[&] {
    // Others are refused a thousand times, and so is the source, which tries each millisecond.
    const auto refuse = [&] {
      for (int i = 0; i < 1'000; ++i) {
        const FileDescriptor client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        if (!connects(client, port)) ++refused;
      }
    };
    refuse();
    Server{{sends("a\n")}, port}.join();
    refuse();
    Server{{sends_the_end("b\n")}, port}.join();
  }};
  CHECK(lines_to_the_end(port) == std::vector<std::string>{"a", "b", "end"});
  servers.join();
  CHECK(refused == 2'000);
}

TEST_CASE("a TCP peer that is lost or not there is an error that names it", "[tcp][error]") {
  // Reset only when the connection has been used: before, the system may say that connecting failed.
  std::promise<void> seen;
  Server server{{[&](int connection) {
    send_all(connection, "a\n");
    seen.get_future().wait();
    reset(connection);
  }}};
  CHECK_THROWS_WITH(test::run({1, 1, true},
                              [&](Pipeline& pipeline) {
                                pipeline.source(tcp_lines("127.0.0.1", server.port())).sink([&](std::string_view) {
                                  seen.set_value();
                                });
                              }),
                    ContainsSubstring("a TCP connection was lost") &&
                        ContainsSubstring("127.0.0.1:" + std::to_string(server.port())));
  CHECK_THROWS_WITH(
      lines_of(closed_port(), {.connect_within = 0s}),
      ContainsSubstring("no TCP connection: Connection refused") && ContainsSubstring("Check that the server runs"));
  const auto write = [&](std::uint16_t port) {
    test::run({1, 1, true}, [&](Pipeline& pipeline) {
      pipeline.source(std::vector(1'000, std::string(10'000, 'x'))).sink(to_tcp("127.0.0.1", port, 0s));
    });
  };
  CHECK_THROWS_WITH(write(closed_port()), ContainsSubstring("no TCP connection: Connection refused"));
  Server rude{{[](int connection) {
    char one = 0;
    static_cast<void>(::recv(connection, &one, 1, 0));
    reset(connection);
  }}};
  CHECK_THROWS_WITH(write(rude.port()), ContainsSubstring("a TCP connection was lost"));
}

TEST_CASE("a line over the cap from a TCP server is a bad record, and those behind it come", "[tcp][error]") {
  CHECK(TcpLinesOptions{}.max_line == 16 << 20);
  for (const TcpLinesOptions& options : {TcpLinesOptions{}, TcpLinesOptions{.max_line = 1'000}}) {
    const std::string longest(options.max_line, 'x');
    Server server{{sends("ok\n" + longest + "y\n" + longest + "\n" + longest + longest + "\nafter\n")}};
    std::vector<std::string> all;
    test::run({1, 1, true}, [&](Pipeline& pipeline) {
      pipeline.source(tcp_lines("127.0.0.1", server.port(), options)).on_error(skip).sink([&](std::string_view line) {
        all.emplace_back(line);
      });
    });
    CHECK((all == std::vector<std::string>{"ok", longest, "after"}));
  }
}

TEST_CASE("lines are sent to a TCP server and all have gone when the stream has ended", "[tcp]") {
  for (const auto& topology : over_tcp()) {
    INFO(topology.name());
    std::string received, expected;
    Server server{{receives(received)}};
    for (int i = 0; i < 100'000; ++i) expected += std::to_string(i) + "\n";
    test::run(topology, [&](Pipeline& pipeline) {
      pipeline.source([i = 0]() mutable { return i < 100'000 ? std::optional(i++) : std::nullopt; })
          .sink(to_tcp("127.0.0.1", server.port(), [](int n) { return std::to_string(n); }));
    });
    server.join();
    CHECK(received == expected);
  }
}

TEST_CASE("a TCP server that does not read slows the stream", "[tcp][backpressure]") {
  std::atomic<long> taken = 0;
  std::atomic<bool> go_on = false;
  long taken_while_stopped = -1;
  std::string received;
  Server server{{[&](int connection) {
    // When nothing more is taken for a while the stream stands still.
    for (long before = -1; before != taken || before == 0;) {
      before = taken;
      std::this_thread::sleep_for(50ms);  // real sockets: there is no virtual time
    }
    taken_while_stopped = taken;
    go_on = true;
    receives(received)(connection);
  }}};
  test::run({1, 1, true}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector(4'000, std::string(10'000, 'x')))
        .map([&](std::string text) {
          ++taken;
          return text;
        })
        .sink(to_tcp("127.0.0.1", server.port()));
  });
  server.join();
  CHECK(taken_while_stopped < 4'000);  // 40 MB: more than buffers and the system hold
  CHECK(received.size() == 4'000 * 10'001);
}

TEST_CASE("a failed run does not wait for a TCP server", "[tcp][error]") {
  Server server{{[](int connection) {
    char wait = 0;
    static_cast<void>(::recv(connection, &wait, 1, 0));
  }}};
  CHECK_THROWS_WITH(test::run({1, 1, true},
                              [&](Pipeline& pipeline) {
                                pipeline.source(tcp_lines("127.0.0.1", server.port())).sink([](std::string_view) {});
                                pipeline.source(std::vector{1}).sink([](int) { throw std::runtime_error("broken"); });
                              }),
                    ContainsSubstring("threw: broken"));
  // The server may not have accepted yet: it gets what it waits for.
  const FileDescriptor late{::socket(AF_INET, SOCK_STREAM, 0)};
  static_cast<void>(connects(late, server.port()));
}

TEST_CASE("a simulated cluster has no TCP", "[tcp][error]") {
  CHECK_THROWS_AS(
      test::run({}, [](Pipeline& pipeline) { pipeline.source(tcp_lines("x", 1)).sink([](std::string_view) {}); }),
      UsageError);
  CHECK_THROWS_AS(
      test::run({}, [](Pipeline& pipeline) { pipeline.source(std::vector<std::string>{}).sink(to_tcp("x", 1)); }),
      UsageError);
}
