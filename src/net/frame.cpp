// Pieces and messages.
//
// An announced length is a claim, not a fact. The assembler therefore touches memory for a piece when the piece's
// header has come, never for the message the header speaks of. So whatever a peer announces, it can make this node hold
// only what it has itself sent, and one piece. Address space is another matter: it costs nothing, and to have enough of
// it saves copying a long message as it grows, which would keep the link's thread from everything else for tens of
// milliseconds.
//
// Everything about a piece is known from its header and the message under way on its lane, so all is checked before one
// byte of it is read, the header's own checksum first: what it says is not to be trusted before. The piece's checksum
// is computed as the bytes come, while they are in the cache.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tensair/net/crc32c.hpp>
#include <tensair/net/frame.hpp>
#include <utility>

namespace tensair::net {
namespace {

// Address space for each byte that has arrived: after a first piece of 128 KiB no message is ever moved again.
constexpr std::size_t growth = 8192;

}  // namespace

auto check_of(FrameHeader header) -> std::uint16_t {
  header.check = 0;
  return static_cast<std::uint16_t>(crc32c(std::as_bytes(std::span{&header, 1})));
}

auto seal(FrameHeader header, std::span<const std::byte> piece) -> FrameHeader {
  header.flags |= FrameHeader::checked;
  header.piece_crc = crc32c(piece);
  header.check = check_of(header);
  return header;
}

auto Assembler::room() -> std::span<std::byte> {
  if (header_have_ < header_bytes_.size()) return std::span{header_bytes_}.subspan(header_have_);
  return std::span{growing_[header_.lane].payload}.last(piece_left_);
}

auto Assembler::advance(std::size_t bytes) -> std::optional<Arrived> {
  if (header_have_ < header_bytes_.size()) {
    header_have_ += bytes;
    return header_have_ < header_bytes_.size() ? std::nullopt : begin_piece();
  }
  if ((header_.flags & FrameHeader::checked) != 0) piece_crc_ = crc32c(room().first(bytes), piece_crc_);
  piece_left_ -= bytes;
  return piece_left_ > 0 ? std::nullopt : end_piece();
}

auto Assembler::take(std::span<const std::byte>& stream) -> std::optional<Arrived> {
  while (!stream.empty()) {
    const auto to = room();
    const auto bytes = std::min(to.size(), stream.size());
    std::memcpy(to.data(), stream.data(), bytes);
    stream = stream.subspan(bytes);
    if (auto arrived = advance(bytes)) return arrived;
  }
  return std::nullopt;
}

auto Assembler::idle() const -> bool {
  return header_have_ == 0 &&
         std::none_of(growing_.begin(), growing_.end(), [](const Growing& g) { return g.under_way; });
}

void Assembler::check(const FrameHeader& header) const {
  const auto reject = [&](std::string what) {
    throw Malformed("malformed frame: " + what, fmt::format("lane {}, channel {}", header.lane, header.channel));
  };
  if (header.check != check_of(header)) reject("the checksum of its header is wrong");
  if (header.lane > link_lane) reject(fmt::format("there is no lane {}", header.lane));
  if ((header.flags & ~(FrameHeader::first | FrameHeader::last | FrameHeader::checked)) != 0) {
    reject(fmt::format("unknown flags 0x{:02x}", header.flags));
  }
  if (header.piece > max_piece_bytes) {
    reject(fmt::format("a piece of {} bytes is over the limit of {}", header.piece, max_piece_bytes));
  }
  const auto cap = header.lane == link_lane ? std::min<std::uint64_t>(cap_, max_link_message_bytes) : cap_;
  if (header.message > cap) reject(fmt::format("a message of {} bytes is over the limit of {}", header.message, cap));

  const auto& growing = growing_[header.lane];
  const bool is_first = (header.flags & FrameHeader::first) != 0;
  const bool is_last = (header.flags & FrameHeader::last) != 0;
  if (is_first && growing.under_way) reject("a message begins before the one before it has ended");
  if (!is_first && !growing.under_way) reject("a piece continues a message that has not begun");
  if (!is_first && header.channel != growing.channel) {
    reject(fmt::format("a piece continues the message of channel {}", growing.channel));
  }
  if (!is_first && header.message != growing.length) {
    reject(fmt::format("a piece says {} bytes of a message that began with {}", header.message, growing.length));
  }
  const std::uint64_t have = (is_first ? 0 : growing.payload.size()) + std::uint64_t{header.piece};
  if (have > header.message) reject(fmt::format("{} bytes of a message of {}", have, header.message));
  if (is_last && have < header.message)
    reject(fmt::format("a message of {} bytes ends after {}", header.message, have));
  if (!is_last && have == header.message) reject("a message goes on after its last byte");
  // Else a peer could keep this node busy with headers for ever.
  if (!is_last && header.piece == 0) reject("an empty piece within a message");
}

auto Assembler::begin_piece() -> std::optional<Arrived> {
  std::memcpy(&header_, header_bytes_.data(), sizeof header_);
  check(header_);
  auto& growing = growing_[header_.lane];
  if ((header_.flags & FrameHeader::first) != 0) {
    growing.under_way = true;
    growing.channel = header_.channel;
    growing.length = header_.message;
    growing.payload = {};
  }
  auto& payload = growing.payload;
  const std::size_t size = payload.size() + header_.piece;
  if (payload.capacity() < size) {
    payload.reserve(std::min(static_cast<std::size_t>(growing.length), std::max(size, growth * payload.size())));
  }
  payload.resize(size);
  piece_left_ = header_.piece;
  piece_crc_ = 0;
  return piece_left_ > 0 ? std::nullopt : end_piece();
}

auto Assembler::end_piece() -> std::optional<Arrived> {
  header_have_ = 0;
  if (piece_crc_ != header_.piece_crc) {
    throw Malformed(fmt::format("malformed frame: the checksum of a piece of {} bytes is wrong", header_.piece),
                    fmt::format("lane {}, channel {}", header_.lane, header_.channel));
  }
  if ((header_.flags & FrameHeader::last) == 0) return std::nullopt;
  auto& growing = growing_[header_.lane];
  growing.under_way = false;
  return Arrived{header_.lane, growing.channel, std::exchange(growing.payload, {})};
}

Cutter::Cutter(std::uint8_t lane, std::unique_ptr<Message> message, bool checked)
    : lane_(lane), message_(std::move(message)), size_(message_->size()), left_(size_), checked_(checked) {}

auto Cutter::next(std::size_t limit, std::vector<std::span<const std::byte>>& parts) -> FrameHeader {
  FrameHeader header;
  header.piece = static_cast<std::uint32_t>(std::min({left_, limit, max_piece_bytes}));
  header.lane = lane_;
  header.channel = message_->channel;
  header.message = size_;
  if (checked_) header.flags |= FrameHeader::checked;
  if (!started_) header.flags |= FrameHeader::first;
  started_ = true;
  left_ -= header.piece;
  if (left_ == 0) header.flags |= FrameHeader::last;

  for (std::size_t wanted = header.piece; wanted > 0;) {
    const auto part = part_ == 0 ? std::span<const std::byte>{message_->head} : message_->bulk[part_ - 1];
    const auto bytes = std::min(wanted, part.size() - offset_);
    if (bytes > 0) {
      parts.push_back(part.subspan(offset_, bytes));
      if (checked_) header.piece_crc = crc32c(parts.back(), header.piece_crc);
    }
    wanted -= bytes;
    offset_ += bytes;
    if (offset_ == part.size()) {
      ++part_;
      offset_ = 0;
    }
  }
  header.check = check_of(header);
  return header;
}

}  // namespace tensair::net
