#include "batch.hpp"

#include <algorithm>
#include <cstring>

namespace tensair::net::detail {
namespace {

// Below this, copying a part is cheaper than one more entry in the system call's list.
constexpr std::size_t short_bytes = 1024;
// Below this, what is left of a batch is not worth a piece of its own.
constexpr std::size_t least_piece = 4096;

}  // namespace

auto Batch::room() const -> std::size_t {
  const std::size_t left = capacity - bytes_;
  return left < least_piece + sizeof(FrameHeader) ? 0 : left - sizeof(FrameHeader);
}

void Batch::add(Cutter& cutter, std::uint8_t lane, std::size_t piece_limit) {
  parts_.clear();
  const FrameHeader header = cutter.next(std::min(piece_limit, room()), parts_);
  if ((header.flags & FrameHeader::first) != 0) begun_[lane] = true;
  copy(&header, sizeof header);
  for (const auto part : parts_) {
    if (part.size() <= short_bytes) {
      copy(part.data(), part.size());
    } else {
      buffers_.emplace_back(part.data(), part.size());
      ends_in_copy_ = false;
    }
  }
  const std::size_t bytes = sizeof header + header.piece;
  bytes_ += bytes;
  if (lane < lanes) lane_bytes_[lane] += bytes;
}

void Batch::copy(const void* from, std::size_t size) {
  if (!copied_) copied_ = std::make_unique_for_overwrite<std::byte[]>(capacity);
  std::byte* to = copied_.get() + copied_bytes_;
  std::memcpy(to, from, size);
  copied_bytes_ += size;
  if (ends_in_copy_) {
    auto& last = buffers_.back();
    last = boost::asio::const_buffer{last.data(), last.size() + size};
  } else {
    buffers_.emplace_back(to, size);
    ends_in_copy_ = true;
  }
}

void Batch::clear() {
  copied_bytes_ = 0;
  ends_in_copy_ = false;
  bytes_ = 0;
  lane_bytes_ = {};
  buffers_.clear();
  begun_ = {};
  kept_.clear();
  continued_.clear();
}

}  // namespace tensair::net::detail
