// Why small batches are copied: a batch has memory of its own for a quarter of a megabyte, and many batches have little
// in it. Side by side in segments they take what they are long.

#include "resend_buffer.hpp"

#include <algorithm>
#include <utility>

namespace tensair::net::detail {
namespace {

constexpr std::size_t short_batch = 32 * 1024;  // copying it takes a tenth of the time that writing it took
constexpr std::size_t segment_bytes = 64 * 1024;
// As many as the peer acknowledges at a time when the link is full.
constexpr std::size_t most_spares = 2;

}  // namespace

void ResendBuffer::keep(Batch& batch) {
  const auto bytes = batch.bytes();
  if (bytes == 0) return;
  if (bytes <= short_batch) {
    const bool fits = !segments_.empty() && !segments_.back()->copied.empty() &&
                      segments_.back()->copied.size() + bytes <= segment_bytes;
    if (!fits) {
      segments_.push_back(std::make_unique<Segment>());
      segments_.back()->begin = end_;
      segments_.back()->copied.reserve(segment_bytes);  // never moved: it may be being written
    }
    auto& copied = segments_.back()->copied;
    for (const auto& buffer : batch.buffers()) {
      const auto* from = static_cast<const std::byte*>(buffer.data());
      copied.insert(copied.end(), from, from + buffer.size());
    }
    // The end of a long message may be short; its beginning is still referred to.
    for (auto& message : batch.release_continued()) segments_.back()->continued.push_back(std::move(message));
    batch.clear();
  } else {
    segments_.push_back(std::make_unique<Segment>());
    segments_.back()->begin = end_;
    segments_.back()->batch = std::move(batch);
    batch = Batch{};
    if (!spares_.empty()) {
      batch = std::move(spares_.back());
      spares_.pop_back();
    }
  }
  end_ += bytes;
  segments_.back()->end = end_;
}

void ResendBuffer::skip(std::uint64_t bytes) {
  end_ += bytes;
  begin_ = end_;
}

auto ResendBuffer::acknowledge(std::uint64_t place) -> bool {
  if (place < begin_ || place > end_) return false;
  begin_ = place;
  for (; !segments_.empty() && segments_.front()->end <= place; segments_.pop_front()) {
    auto& batch = segments_.front()->batch;
    if (batch.empty() || spares_.size() == most_spares) continue;
    batch.clear();
    spares_.push_back(std::move(batch));
  }
  return true;
}

void ResendBuffer::bytes_at(std::uint64_t place, std::vector<asio::const_buffer>& buffers) const {
  const auto segment = std::find_if(segments_.begin(), segments_.end(), [&](const auto& s) { return s->end > place; });
  auto skipped = static_cast<std::size_t>(place - (*segment)->begin);
  buffers.clear();
  const auto append = [&](asio::const_buffer buffer) {
    const auto here = std::min(skipped, buffer.size());
    skipped -= here;
    if (here < buffer.size()) buffers.push_back(buffer + here);
  };
  if (!(*segment)->copied.empty()) {
    append(asio::buffer((*segment)->copied));
  } else {
    for (const auto& buffer : (*segment)->batch.buffers()) append(buffer);
  }
}

void ResendBuffer::clear() {
  segments_.clear();
  begin_ = end_;
}

}  // namespace tensair::net::detail
