#pragma once

#include <string>
#include <tensair/flags.hpp>
#include <vector>

#include "asio.hpp"

namespace tensair::net::detail {

/// `host:port`, `[IPv6]:port`.
struct Address {
  std::string host;
  std::string port;
};

/// @throws UsageError  names what is wrong
auto parse_address(const std::string& text) -> Address;

/// Every address the host has; blocks while a name server is asked.
/// @throws Error  names the node and its host
auto resolve(asio::io_context& io, const Options& options, int rank) -> std::vector<tcp::endpoint>;

/// Also of IPv4 addresses that are written as IPv6.
auto is_loopback(const asio::ip::address& address) -> bool;

/// Without a token whoever reaches a node's port can take a node's place, so that all must be on this machine.
/// @param adopted  a socket that listens already, or a closed one
/// @throws UsageError  an address of the list, or the socket's, is no loopback address; names it
void require_loopback(asio::io_context& io, const Options& options, const tcp::acceptor& adopted);

/// Listens on the node's own address.
/// @throws Error  the port is in use, or the address is not this machine's; says what to do
auto listen(asio::io_context& io, const Options& options) -> tcp::acceptor;

/// Takes over an inherited socket that listens already.
/// @throws Error  it is none
auto adopt_listening(asio::io_context& io, int socket) -> tcp::acceptor;

/// What a child process of this one must not inherit: as long as it held the socket, the peer would not see this node
/// die.
void close_on_exec(int socket);

/// For messages.
auto show(const tcp::endpoint& endpoint) -> std::string;

}  // namespace tensair::net::detail
