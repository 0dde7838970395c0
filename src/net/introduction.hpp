#pragma once

#include <cstddef>
#include <string>
#include <tensair/net/handshake.hpp>
#include <vector>

#include "asio.hpp"

namespace tensair::net::detail {

/// A message of the handshake, read with exactly the bytes it has: what follows belongs to what comes next.
template <class Reader>
auto read_exactly(Stream& stream) -> asio::awaitable<typename decltype(Reader{}.advance(0))::value_type> {
  Reader reader;
  for (;;) {
    const auto room = reader.room();
    const auto buffer = asio::buffer(room.data(), room.size());
    const std::size_t bytes = co_await stream.async_read_some(buffer, asio::use_awaitable);
    auto result = reader.advance(bytes);
    if (result) co_return *std::move(result);
  }
}

/// Two messages, to be sent as one.
auto joined(std::vector<std::byte> front, const std::vector<std::byte>& back) -> std::vector<std::byte>;

auto write_all(Stream& stream, std::vector<std::byte> bytes) -> asio::awaitable<void>;

/// What came of openings and proofs.
struct Introduction {
  Opening there;
  Verdict verdict;
  std::vector<std::byte> last_word;  ///< of a listener that refuses: still to be sent
};

/// As the listener: who calls, and whether it has proved the cluster's token (if there is one).
/// @throws Malformed, boost::system::system_error
auto introduce_caller(Stream& stream, const std::string& token, Rank rank) -> asio::awaitable<Introduction>;

/// As the caller: who answers, and whether both have proved the token. The hello is sent as soon as the other side may
/// have it: at once if there is no token, so that it is read even if this node gives up in the next moment.
/// @throws Malformed  also when the listener takes this node's proof, and its own is wrong
auto introduce_listener(Stream& stream, const std::string& token, const Hello& hello) -> asio::awaitable<Introduction>;

}  // namespace tensair::net::detail
