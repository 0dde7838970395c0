#pragma once

// Boost.Asio for this folder's sources; no public header includes it.

// g++ 12 takes pointers of Asio's own templates for null, once they are inlined.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnull-dereference"
#endif

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace tensair::net::detail {

namespace asio = boost::asio;
using asio::ip::tcp;

/// What nodes talk over. TLS would be another type here, boost::asio::ssl::stream<tcp::socket>: its handshake comes
/// before either `introduce_…` (rendezvous.cpp), and what is asked of the socket itself, of its `lowest_layer`.
using Stream = tcp::socket;

}  // namespace tensair::net::detail
