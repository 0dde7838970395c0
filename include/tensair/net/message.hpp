#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <tensair/net/payload_memory.hpp>
#include <vector>

namespace tensair::net {

/// The number of a node of the cluster, from 0.
using Rank = int;

/// Addresses one consumer on a node; the same number on every node, because every node builds the same graph.
using ChannelId = std::uint32_t;

/// The three classes of traffic that share a link, most urgent first.
enum class Lane : std::uint8_t { control = 0, delta = 1, data = 2 };
inline constexpr std::size_t lanes = 3;

namespace detail {

/// Memory that a container does not set when it grows: it is for what is read or copied into it next, and setting it to
/// zero before would be one more way through it. Much of it is used again.
template <class T>
struct Unset {
  using value_type = T;

  Unset() = default;
  template <class U>
  Unset(const Unset<U>&) noexcept {}  // NOLINT(google-explicit-constructor)

  auto allocate(std::size_t n) -> T* {
    if (n * sizeof(T) < large_payload) return std::allocator<T>{}.allocate(n);
    return static_cast<T*>(allocate_large_payload(n * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t n) noexcept {
    if (n * sizeof(T) < large_payload) {
      std::allocator<T>{}.deallocate(memory, n);
    } else {
      free_large_payload(memory, n * sizeof(T));
    }
  }
  template <class U>
  void construct(U* at) noexcept {
    ::new (static_cast<void*>(at)) U;
  }
  friend auto operator==(const Unset&, const Unset&) -> bool { return true; }
};

}  // namespace detail

/// A message that has arrived, in one piece: the sender's head and bulk, one after the other. Its data is aligned to 16
/// bytes. Bytes that `resize` adds, and those of one made of a size alone, are not set.
using Payload = std::vector<std::byte, detail::Unset<std::byte>>;

/// One message on its way out: `head`, then every span of `bulk`, written without a copy (scatter-gather).
///
/// `owner` keeps what `bulk` points at alive and unchanged until the peer has the last byte, or the link has ended.
struct Message {
  ChannelId channel = 0;
  Payload head;
  std::vector<std::span<const std::byte>> bulk;
  std::shared_ptr<const void> owner;

  auto size() const -> std::size_t {
    std::size_t bytes = head.size();
    for (auto part : bulk) bytes += part.size();
    return bytes;
  }
};

/// Where a link finds its next message.
///
/// The link asks when it has room to write, not the sender when it has something to say: so a sender whose link is busy
/// can go on adding to one message (decision 8) instead of queueing a second one.
class Outbox {
 public:
  virtual ~Outbox() = default;

  /// The next message, or nothing; after nothing the link does not ask again before the next `Link::ready`. Called on
  /// the link's thread.
  virtual auto next() -> std::unique_ptr<Message> = 0;
};

}  // namespace tensair::net
