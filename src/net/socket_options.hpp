#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <limits>
#include <string>
#include <tensair/net/tcp_transport.hpp>

#include "asio.hpp"
#include "batch.hpp"

namespace tensair::net::detail {

// The kernel would take megabytes in advance on either side (here up to 4 and 32). An urgent message would have to wait
// for them, and deltas would grow old there instead of being summed. So the sender's kernel holds little that has not
// left the machine, and the receiver's announces a bounded window.
inline void configure(tcp::socket& socket, const TcpLimits& limits) {
  boost::system::error_code ignored;  // a link works without; it is only slower
  // Nagle would hold a delta back for the peer's delayed ACK (40 ms).
  socket.set_option(tcp::no_delay{true}, ignored);
#ifdef TCP_NOTSENT_LOWAT
  const int unsent = Batch::capacity;
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
#endif
  if (limits.in_flight > 0) {
    const auto window = std::min<std::size_t>(limits.in_flight, std::numeric_limits<int>::max());
    socket.set_option(tcp::socket::receive_buffer_size{static_cast<int>(window)}, ignored);
  }
}

inline auto reason_of(const boost::system::error_code& error) -> std::string {
  if (error == asio::error::eof) return "the connection was closed";
  if (error == asio::error::connection_reset || error == asio::error::broken_pipe) return "the connection was reset";
  return "the connection failed: " + error.message();
}

}  // namespace tensair::net::detail
