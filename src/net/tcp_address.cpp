#include "tcp_address.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <tensair/error.hpp>

namespace tensair::net::detail {
namespace {

auto name_node(const Options& options, int rank) -> std::string {
  return fmt::format("node {} ({})", rank, options.nodes[static_cast<std::size_t>(rank)]);
}

}  // namespace

auto parse_address(const std::string& text) -> Address {
  const auto wrong = [&](const std::string& what) -> UsageError {
    return UsageError(fmt::format("«{}» is not the address of a node: {}", text, what), "--nodes",
                      "Write host:port, or [address]:port for IPv6.");
  };
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) throw wrong("it has no port");
  auto host = text.substr(0, colon);
  auto port = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    throw wrong("an IPv6 address needs brackets");
  }
  if (host.empty()) throw wrong("it has no host");
  int number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc{} || end != port.data() + port.size() || number < 1 || number > 65'535) {
    throw wrong("a port is a number from 1 to 65535");
  }
  return {std::move(host), std::move(port)};
}

auto resolve(asio::io_context& io, const Options& options, int rank) -> std::vector<tcp::endpoint> {
  const auto address = parse_address(options.nodes[static_cast<std::size_t>(rank)]);
  tcp::resolver resolver{io};
  boost::system::error_code error;
  const auto results = resolver.resolve(address.host, address.port, error);
  if (error) {
    throw Error(fmt::format("the host of {} cannot be resolved: {}", name_node(options, rank), error.message()), {},
                "Check --nodes, or give the host's address in numbers.");
  }
  std::vector<tcp::endpoint> endpoints;
  for (const auto& result : results) {
    if (std::find(endpoints.begin(), endpoints.end(), result.endpoint()) == endpoints.end())
      endpoints.push_back(result.endpoint());
  }
  return endpoints;
}

auto is_loopback(const asio::ip::address& address) -> bool {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback();
  }
  return address.is_loopback();
}

void require_loopback(asio::io_context& io, const Options& options, const tcp::acceptor& adopted) {
  const auto refuse = [](const std::string& who) -> UsageError {
    return UsageError(fmt::format("{} can be reached from other machines, and the cluster has no token: anybody could "
                                  "take a node's place",
                                  who),
                      {}, "Give every node the same --token-file FILE (or TENSAIR_TOKEN), or use 127.0.0.1.");
  };
  if (adopted.is_open() && !is_loopback(adopted.local_endpoint().address())) {
    throw refuse(fmt::format("the inherited socket at {}", show(adopted.local_endpoint())));
  }
  for (int rank = 0; rank < options.node_count(); ++rank) {
    for (const auto& endpoint : resolve(io, options, rank)) {
      if (!is_loopback(endpoint.address())) throw refuse(name_node(options, rank));
    }
  }
}

auto listen(asio::io_context& io, const Options& options) -> tcp::acceptor {
  boost::system::error_code error;
  tcp::endpoint tried;
  for (const auto& endpoint : resolve(io, options, options.rank)) {
    tried = endpoint;
    tcp::acceptor acceptor{io};
    acceptor.open(endpoint.protocol(), error);
    if (error) continue;
    close_on_exec(acceptor.native_handle());
    // A run must not wait a minute for the closed connections of the one before it; two listeners are still refused.
    acceptor.set_option(tcp::acceptor::reuse_address{true}, error);
    acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
    if (!error) return acceptor;
    // The host's other addresses would not help: that is where the other nodes look first.
    if (error == asio::error::address_in_use) break;
  }
  const auto cannot = fmt::format("node {} cannot listen on {}", options.rank, show(tried));
  if (error == asio::error::address_in_use) {
    throw Error(cannot + ": the port is in use", {},
                "End the program that holds it, or give this node another port in --nodes.");
  }
  if (error == boost::system::errc::address_not_available) {
    throw Error(cannot + ": this machine does not have that address", {}, "Check --rank and --nodes.");
  }
  throw Error(fmt::format("{}: {}", cannot, error.message()), {}, "Give this node another port in --nodes.");
}

auto adopt_listening(asio::io_context& io, int socket) -> tcp::acceptor {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  int listening = 0;
  socklen_t listening_size = sizeof listening;
  const bool known = ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
                     ::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_size) == 0;
  if (!known || listening == 0 || (address.ss_family != AF_INET && address.ss_family != AF_INET6)) {
    ::close(socket);
    throw Error(fmt::format("the inherited file descriptor {} is not a listening TCP socket", socket));
  }
  close_on_exec(socket);
  tcp::acceptor acceptor{io};
  acceptor.assign(address.ss_family == AF_INET ? tcp::v4() : tcp::v6(), socket);
  return acceptor;
}

void close_on_exec(int socket) {
  const int flags = ::fcntl(socket, F_GETFD);
  if (flags >= 0) ::fcntl(socket, F_SETFD, flags | FD_CLOEXEC);
}

auto show(const tcp::endpoint& endpoint) -> std::string {
  std::ostringstream text;
  text << endpoint;
  return text.str();
}

}  // namespace tensair::net::detail
