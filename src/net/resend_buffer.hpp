#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "asio.hpp"
#include "batch.hpp"

namespace tensair::net::detail {

/// What a link has written and its peer has not acknowledged: the end of the link's stream of bytes, which goes on over
/// as many connections as it takes. Places in it are counted from the stream's beginning.
class ResendBuffer {
 public:
  /// Bytes kept from here on …
  auto begin() const -> std::uint64_t { return begin_; }
  /// … to here, the end of the stream.
  auto end() const -> std::uint64_t { return end_; }
  auto bytes() const -> std::uint64_t { return end_ - begin_; }

  /// Appends what a batch has written, or tried to, and empties the batch. Short bytes are copied, and what they came
  /// from is let go; long ones stay where they are.
  void keep(Batch& batch);

  /// Appends bytes that will not be asked for again.
  /// @pre  nothing is kept
  void skip(std::uint64_t bytes);

  /// Everything in front of `place` has arrived.
  /// @return false  the place is not within what is kept
  auto acknowledge(std::uint64_t place) -> bool;

  /// What stands at a place, in one go as far as it lies together.
  /// @pre  begin() <= place < end()
  void bytes_at(std::uint64_t place, std::vector<asio::const_buffer>& buffers) const;

  void clear();

 private:
  struct Segment {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::vector<std::byte> copied;                    // if not empty: all of it
    Batch batch;                                      // else
    std::vector<std::unique_ptr<Message>> continued;  // segments in front refer to them
  };

  std::deque<std::unique_ptr<Segment>> segments_;
  std::vector<Batch> spares_;  // with memory to be used again
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace tensair::net::detail
