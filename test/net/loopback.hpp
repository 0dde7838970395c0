#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <tensair/net/handshake.hpp>
#include <tensair/net/tcp_transport.hpp>
#include <thread>
#include <utility>
#include <vector>

// Clusters within one process over real loopback sockets, and peers made by hand that need not behave.

namespace tensair::net::test {

using namespace std::chrono_literals;

// A test that works never waits so long; one that doesn't must end.
inline constexpr auto safety_net = 30s;

/// What one thread puts in and another waits for.
template <class T>
class Mailbox {
 public:
  void put(T value) {
    const std::lock_guard lock{mutex_};
    values_.push_back(std::move(value));
    changed_.notify_all();
  }

  auto take() -> T {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, safety_net, [&] { return !values_.empty(); }))
      throw std::runtime_error("nothing came");
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }

  auto size() const -> std::size_t {
    const std::lock_guard lock{mutex_};
    return values_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> values_;
};

struct Listening {
  int socket = -1;
  std::uint16_t port = 0;
  auto address() const -> std::string { return "127.0.0.1:" + std::to_string(port); }
};

inline auto loopback(std::uint16_t port) -> sockaddr_in {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// A socket bound to a port, or to a free one, at which nobody listens: whoever calls it is refused, and no other
/// program gets it. A node may nevertheless listen there. The caller's to close.
inline auto reserve_port(std::uint16_t port = 0) -> Listening {
  Listening result{.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  auto address = loopback(port);
  socklen_t size = sizeof address;
  const auto bytes = [&] { return reinterpret_cast<sockaddr*>(&address); };
  const int reuse = 1;
  ::setsockopt(result.socket, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
  if (::bind(result.socket, bytes(), size) != 0 || ::getsockname(result.socket, bytes(), &size) != 0) {
    throw std::runtime_error("no port to be had");
  }
  result.port = ntohs(address.sin_port);
  return result;
}

/// A socket that listens at a port, or at a free one; the caller's to close.
inline auto listen_on_loopback(std::uint16_t port = 0) -> Listening {
  const auto result = reserve_port(port);
  if (::listen(result.socket, SOMAXCONN) != 0) throw std::runtime_error("no socket to listen on");
  return result;
}

/// The options of every node of a cluster on this machine, each with its listening socket.
inline auto cluster_options(int nodes, const std::string& token = {}) -> std::vector<Options> {
  std::vector<Options> options(static_cast<std::size_t>(nodes));
  std::vector<std::string> addresses;
  for (auto& each : options) {
    const auto listening = listen_on_loopback();
    each.listen_socket = listening.socket;
    each.connect_deadline = safety_net;
    each.token = token;
    addresses.push_back(listening.address());
  }
  for (int rank = 0; rank < nodes; ++rank) {
    options[static_cast<std::size_t>(rank)].rank = rank;
    options[static_cast<std::size_t>(rank)].nodes = addresses;
  }
  return options;
}

inline auto port_of(const Options& options, Rank rank) -> std::uint16_t {
  const auto& address = options.nodes[static_cast<std::size_t>(rank)];
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

/// The options of one node; the others' listening sockets are closed.
inline auto options_of(Rank rank, int nodes, const std::string& token = {}) -> Options {
  auto options = cluster_options(nodes, token);
  for (const auto& each : options) {
    if (each.rank != rank) ::close(each.listen_socket);
  }
  return options[static_cast<std::size_t>(rank)];
}

/// Does all at the same time; gives the text of what each threw, "" if nothing.
inline auto at_the_same_time(const std::vector<std::function<void()>>& actions) -> std::vector<std::string> {
  std::vector<std::string> errors(actions.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    threads.emplace_back([&, i] {
      try {
        actions[i]();
      } catch (const std::exception& error) {
        errors[i] = error.what();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return errors;
}

inline const std::string some_plan = "source «images»: Stream<Image>\nmap «normalise»: Stream<Image>\nsink «progress»";

/// A node and what happens to it.
struct Node {
  explicit Node(Options given, TcpLimits limits = {}) : options(std::move(given)), transport(options, limits) {
    transport.on_loss(
        [this](Rank peer, const std::string& reason) { losses.put(std::to_string(peer) + ": " + reason); });
  }

  void connect(const std::string& plan = some_plan) {
    transport.connect({.rank = options.rank, .nodes = options.node_count(), .plan = plan});
  }

  /// The first loss; "" if there is none.
  auto lost() -> std::string { return losses.size() == 0 ? "" : losses.take(); }

  Options options;
  Mailbox<std::string> losses;  // "1: the connection was closed"
  TcpTransport transport;
};

/// Nodes that are connected with each other.
class Cluster {
 public:
  explicit Cluster(int nodes, TcpLimits limits = {}, const std::string& token = {}) {
    for (auto& options : cluster_options(nodes, token)) nodes_.push_back(std::make_unique<Node>(options, limits));
  }

  auto operator[](int rank) -> Node& { return *nodes_[static_cast<std::size_t>(rank)]; }
  auto link(Rank from, Rank to) -> Link& { return (*this)[from].transport.link(to); }

  /// Throws what the first that failed threw.
  void connect() {
    each([](Node& node) { node.connect(); });
  }
  void disconnect() {
    each([](Node& node) { node.transport.disconnect(); });
  }

 private:
  void each(const std::function<void(Node&)>& action) {
    std::vector<std::function<void()>> actions;
    for (const auto& node : nodes_) actions.emplace_back([&action, &node = *node] { action(node); });
    for (const auto& error : at_the_same_time(actions)) {
      if (!error.empty()) throw std::runtime_error(error);
    }
  }

  std::vector<std::unique_ptr<Node>> nodes_;
};

/// A connection made by hand.
class HandMadePeer {
 public:
  explicit HandMadePeer(std::uint16_t port) : HandMadePeer(Open{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)}) {
    const auto address = loopback(port);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("cannot connect");
    }
  }
  HandMadePeer(const HandMadePeer&) = delete;
  auto operator=(const HandMadePeer&) -> HandMadePeer& = delete;
  ~HandMadePeer() { close(); }

  /// The next that calls.
  static auto accept(const Listening& listening) -> HandMadePeer {
    return HandMadePeer{Open{::accept4(listening.socket, nullptr, nullptr, SOCK_CLOEXEC)}};
  }

  void send(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) throw std::runtime_error("cannot send");
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }
  void send(const std::string& text) { send(std::as_bytes(std::span{text})); }
  /// With the right checksums.
  void send(const FrameHeader& header, const std::string& piece = {}) {
    const auto sealed = seal(header, std::as_bytes(std::span{piece}));
    send(std::as_bytes(std::span{&sealed, 1}));
    send(piece);
  }

  /// Reads with an `OpeningReader`, a `ProofReader`, a `HelloReader` or a `VerdictReader`.
  template <class Reader>
  auto read() {
    Reader reader;
    for (;;) {
      const auto room = reader.room();
      const auto bytes = ::recv(socket_, room.data(), room.size(), 0);
      if (bytes <= 0) throw std::runtime_error("the other side closed the connection");
      if (auto result = reader.advance(static_cast<std::size_t>(bytes))) return *std::move(result);
    }
  }

  /// Opening and, with a token, proofs.
  void introduce(Rank rank, const std::string& token = {}) {
    const Opening mine{.kind = token.empty() ? ProofKind::none : ProofKind::hmac_sha256, .rank = rank};
    send(encode(mine));
    const auto theirs = read<OpeningReader>();
    if (token.empty()) return;
    send(prove(token, Role::caller, mine, theirs));
    if (read<ProofReader>() != prove(token, Role::listener, mine, theirs)) throw std::runtime_error("a wrong proof");
  }

  /// The whole handshake; gives the other side's verdict.
  auto shake_hands(const Hello& hello, const std::string& token = {}) -> Verdict {
    introduce(hello.rank, token);
    send(encode(hello));
    read<HelloReader>();
    const auto verdict = read<VerdictReader>();
    if (verdict.accepted) send(encode(Verdict{}));
    return verdict;
  }

  auto read_to_the_end() -> std::vector<std::byte> {
    std::vector<std::byte> all;
    std::array<std::byte, 4096> some;
    for (;;) {
      const auto bytes = ::recv(socket_, some.data(), some.size(), 0);
      if (bytes < 0 && errno == EAGAIN) throw std::runtime_error("the other side keeps the connection open");
      if (bytes <= 0) return all;
      all.insert(all.end(), some.begin(), some.begin() + bytes);
    }
  }

  /// Whether nothing comes, and the connection stays open, for as long.
  auto stays_silent(std::chrono::milliseconds time) const -> bool {
    pollfd polled{.fd = socket_, .events = POLLIN, .revents = 0};
    return ::poll(&polled, 1, static_cast<int>(time.count())) == 0;
  }

  void finish_sending() { ::shutdown(socket_, SHUT_WR); }

  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

  /// As if the process had crashed with bytes unread.
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }

 private:
  struct Open {
    int socket;
  };
  explicit HandMadePeer(Open open) : socket_(open.socket) {
    const timeval patience{.tv_sec = std::chrono::seconds{safety_net}.count(), .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const int at_once = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  }

  int socket_;
};

inline auto to_bytes(const std::string& text) -> std::vector<std::byte> {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

inline auto to_text(std::span<const std::byte> bytes) -> std::string {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline auto message(ChannelId channel, const std::string& text = {}) -> Message {
  Message result;
  result.channel = channel;
  const auto bytes = std::as_bytes(std::span{text});
  result.head.assign(bytes.begin(), bytes.end());
  return result;
}

/// The sockets and threads of this process.
struct Holdings {
  static auto now() -> Holdings {
    // A sanitizer starts a thread of its own when the first one is made, and keeps it.
    static const bool sanitizer_has_begun = (std::thread{[] {}}.join(), true);
    static_cast<void>(sanitizer_has_begun);
    Holdings result;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
      std::error_code closed_meanwhile;
      if (std::filesystem::read_symlink(entry, closed_meanwhile).string().starts_with("socket:")) ++result.sockets;
    }
    const auto threads = std::filesystem::directory_iterator{"/proc/self/task"};
    result.threads = std::distance(begin(threads), end(threads));
    return result;
  }

  /// Whether they are `before` again: a thread that was joined may be listed for a moment longer.
  static auto return_to(const Holdings& before) -> bool {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{5};
    while (now() != before) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  std::ptrdiff_t sockets = 0;
  std::ptrdiff_t threads = 0;
  auto operator==(const Holdings&) const -> bool = default;
};

}  // namespace tensair::net::test
