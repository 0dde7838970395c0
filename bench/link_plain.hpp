#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tensair/error.hpp>
#include <vector>

#include "link_record.hpp"
#include "seconds.hpp"

// What links are measured against: sockets and Asio, with nothing in between.

namespace bench {

/// The connection of two processes: node 0 listens.
inline auto plain_connection(int rank, int listening, const std::string& address) -> int {
  int socket = -1;
  if (rank == 0) {
    socket = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  } else {
    socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) socket = -1;
  }
  if (socket < 0) throw tensair::Error{"no connection to be had", address};
  const int at_once = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  return socket;
}

/// Node 1 writes records, 64 KiB a call; node 0 reads them into 64 KiB and looks at each.
/// @return  on node 0, seconds
inline auto plain_throughput(int rank, int socket, std::uint64_t records) -> double {
  std::vector<Record> buffer(records_of_chunk);
  auto* bytes = reinterpret_cast<char*>(buffer.data());
  const std::size_t size = buffer.size() * sizeof(Record);
  if (rank == 1) {
    for (std::size_t i = 0; i < buffer.size(); ++i) buffer[i].key = i;
    for (std::uint64_t sent = 0; sent < records; sent += buffer.size()) {
      for (std::size_t at = 0; at < size;) {
        const auto more = ::send(socket, bytes + at, size - at, MSG_NOSIGNAL);
        if (more <= 0) throw tensair::Error{"cannot send"};
        at += static_cast<std::size_t>(more);
      }
    }
    ::recv(socket, bytes, 1, 0);  // until the other has read all
    return 0;
  }
  double begin = 0;
  std::uint64_t sum = 0;
  for (std::uint64_t received = 0; received < records; received += buffer.size()) {
    for (std::size_t at = 0; at < size;) {
      const auto more = ::recv(socket, bytes + at, size - at, 0);
      if (more <= 0) throw tensair::Error{"cannot receive"};
      if (begin == 0) begin = wall_seconds();
      at += static_cast<std::size_t>(more);
    }
    for (const auto& record : buffer) sum += record.key;
  }
  const double seconds = wall_seconds() - begin;
  check_sum(sum, records);
  return seconds;
}

/// Node 0 sends as many bytes as a small message has on a link, node 1 sends them back; with callbacks of Asio's.
class PlainPingPong {
 public:
  PlainPingPong(int rank, int socket, int rounds) : rank_(rank), rounds_(rounds), socket_(io_) {
    socket_.assign(boost::asio::ip::tcp::v4(), socket);
  }

  /// @return  on node 0, seconds a round
  auto run() -> double {
    const double begin = wall_seconds();
    if (rank_ == 0) {
      send();
    } else {
      receive();
    }
    io_.run();
    return (wall_seconds() - begin) / rounds_;
  }

 private:
  void send() {
    boost::asio::async_write(socket_, boost::asio::buffer(bytes_), [this](const auto& error, std::size_t) {
      if (!error && (rank_ == 0 || done_ < rounds_)) receive();
    });
  }
  void receive() {
    boost::asio::async_read(socket_, boost::asio::buffer(bytes_), [this](const auto& error, std::size_t) {
      if (error) return;
      ++done_;
      if (rank_ == 1 || done_ < rounds_) send();
    });
  }

  const int rank_, rounds_;
  int done_ = 0;
  std::array<std::byte, 40> bytes_{};
  boost::asio::io_context io_{1};
  boost::asio::ip::tcp::socket socket_;
};

}  // namespace bench
