#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <tensair/error.hpp>
#include <tensair/io/back_off.hpp>
#include <tensair/runtime/node.hpp>

#include "net/asio.hpp"

namespace tensair::io {

/// Where to connect to, and for how long to try.
struct TcpTarget {
  std::string host;
  std::uint16_t port;
  Duration within, first_delay, longest_delay;

  auto place() const -> std::string { return fmt::format("{}:{}", host, port); }
};

/// One connection's socket and what it may be waiting for, so that all can be cancelled.
struct TcpWaits {
  explicit TcpWaits(net::detail::asio::io_context& context) : resolver(context), socket(context), timer(context) {}

  void cancel() {
    cancelled = true;
    resolver.cancel();
    timer.cancel();
    boost::system::error_code ignored;  // it is closed because nobody wants it any more
    socket.close(ignored);
  }

  net::detail::tcp::resolver resolver;
  net::detail::tcp::socket socket;
  net::detail::asio::steady_timer timer;
  bool cancelled = false;
};

/// Connects, trying again after delays that double. @return nothing, or why the last try failed
inline auto connect(TcpWaits& waits, TcpTarget target) -> net::detail::asio::awaitable<std::string> {
  namespace asio = net::detail::asio;
  const auto start = std::chrono::steady_clock::now();
  BackOff back_off{target.first_delay, target.longest_delay, target.within};
  while (true) {
    boost::system::error_code failed;
    auto use = asio::redirect_error(asio::use_awaitable, failed);
    const auto addresses = co_await waits.resolver.async_resolve(target.host, std::to_string(target.port), use);
    if (!failed) {
      for (const auto& address : addresses) {
        boost::system::error_code ignored;
        waits.socket.close(ignored);
        co_await waits.socket.async_connect(address.endpoint(), use);
        if (!failed || waits.cancelled) break;
      }
    }
    if (waits.cancelled) co_return "cancelled";
    if (!failed) co_return std::string{};
    const auto delay = back_off.next(std::chrono::steady_clock::now() - start);
    if (!delay) co_return failed.message();
    waits.timer.expires_after(*delay);
    boost::system::error_code woken;
    co_await waits.timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    if (waits.cancelled) co_return "cancelled";
  }
}

/// @throws UsageError  there is no network
inline void refuse_simulation(runtime::Node& node, const TcpTarget& target) {
  if (node.scheduler().simulated())
    throw UsageError("a simulated cluster has no network", target.place(),
                     "Give the test a source or sink of its own.");
}

}  // namespace tensair::io
