#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <tensair/net/frame.hpp>
#include <tensair/net/message.hpp>
#include <utility>
#include <vector>

#include "asio.hpp"

namespace tensair::net::detail {

/// Pieces that are written to the socket in one go.
///
/// Headers and short parts are copied side by side into memory of the batch, so that many small messages are one
/// contiguous write; longer parts are written from where they lie. It keeps the messages whose last piece it holds.
class Batch {
 public:
  /// Bytes of a batch, headers included: large enough to spread a system call's cost over many small messages, and no
  /// larger than the longest piece, because a more urgent message waits for the whole batch.
  static constexpr std::size_t capacity = max_piece_bytes;

  auto empty() const -> bool { return bytes_ == 0; }
  auto bytes() const -> std::size_t { return bytes_; }
  /// Bytes of the largest piece that still fits; 0 when it is better to begin another batch.
  auto room() const -> std::size_t;

  /// @pre  the message has a piece left, and room() > 0
  void add(Cutter& cutter, std::uint8_t lane, std::size_t piece_limit);
  /// Keeps a message whose last piece was the last that was added.
  void keep(std::unique_ptr<Message> message, std::uint8_t lane) {
    (begun_[lane] ? kept_ : continued_).push_back(std::move(message));
  }
  /// The messages that this batch ends and did not begin: batches before it refer to them.
  auto release_continued() -> std::vector<std::unique_ptr<Message>> { return std::exchange(continued_, {}); }

  auto buffers() const -> std::span<const asio::const_buffer> { return buffers_; }
  /// Bytes of a lane's pieces, headers included. What the link itself says is of no lane.
  auto bytes_of(std::size_t lane) const -> std::size_t { return lane_bytes_[lane]; }

  /// Forgets everything once it has been written.
  void clear();

 private:
  void copy(const void* from, std::size_t size);

  std::unique_ptr<std::byte[]> copied_;
  std::size_t copied_bytes_ = 0;
  bool ends_in_copy_ = false;  // the last buffer is the end of copied_, and can grow
  std::size_t bytes_ = 0;
  std::array<std::size_t, lanes> lane_bytes_{};
  std::vector<asio::const_buffer> buffers_;
  std::vector<std::span<const std::byte>> parts_;
  std::array<bool, lanes + 1> begun_{};  // the lane's last message with a piece here also has its first piece here
  std::vector<std::unique_ptr<Message>> kept_;
  std::vector<std::unique_ptr<Message>> continued_;
};

}  // namespace tensair::net::detail
