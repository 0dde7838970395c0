#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <string>
#include <tensair/error.hpp>

namespace bench {

struct Listener {
  int socket;
  std::string address;
};

/// A listening socket on a free loopback port, and its address.
inline auto listen_anywhere() -> Listener {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (socket < 0 || ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(socket, 64) != 0 ||
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw tensair::Error{"no loopback port to be had", "bench"};
  }
  return {socket, fmt::format("127.0.0.1:{}", ntohs(address.sin_port))};
}

}  // namespace bench
