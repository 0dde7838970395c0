#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <tensair/net/malformed.hpp>
#include <tensair/net/message.hpp>
#include <type_traits>
#include <vector>

namespace tensair::net {

/// What stands before every piece of a message on the wire. A message is cut into pieces so that a more urgent lane
/// never waits for more than one of them; the pieces of one message stay in order, and a lane has one message under way
/// at a time.
struct FrameHeader {
  static constexpr std::uint8_t first = 1;    ///< this piece begins a message
  static constexpr std::uint8_t last = 2;     ///< this piece ends it
  static constexpr std::uint8_t checked = 4;  ///< there is a checksum of this piece

  std::uint32_t piece = 0;      ///< bytes that follow this header
  std::uint8_t flags = 0;       ///< `first`, `last`, `checked`, or a sum of them
  std::uint8_t lane = 0;        ///< a `Lane`, or `link_lane`
  std::uint16_t check = 0;      ///< the lower half of the CRC-32C of this header with a zero here
  ChannelId channel = 0;        ///< the same in all pieces of a message
  std::uint32_t piece_crc = 0;  ///< the CRC-32C of the bytes that follow if they are `checked`, else zero
  std::uint64_t message = 0;    ///< bytes of the whole message, the same in all its pieces
};

/// What belongs into the header's `check`.
auto check_of(FrameHeader header) -> std::uint16_t;

/// The header, `checked`, with both checksums, of itself and of the piece.
auto seal(FrameHeader header, std::span<const std::byte> piece = {}) -> FrameHeader;

// The struct is the wire format, byte by byte.
static_assert(std::endian::native == std::endian::little, "the wire is little-endian; this machine needs byte swaps");
static_assert(std::is_trivially_copyable_v<FrameHeader> && sizeof(FrameHeader) == 24);
static_assert(offsetof(FrameHeader, piece) == 0 && offsetof(FrameHeader, flags) == 4);
static_assert(offsetof(FrameHeader, lane) == 5 && offsetof(FrameHeader, check) == 6);
static_assert(offsetof(FrameHeader, channel) == 8 && offsetof(FrameHeader, piece_crc) == 12);
static_assert(offsetof(FrameHeader, message) == 16);

/// The lane of the link's own messages, beside the three of `Lane`. Its channel is a `LinkMessage`; no receiver ever
/// sees it.
inline constexpr std::uint8_t link_lane = 3;

/// What two links say to each other.
enum class LinkMessage : ChannelId {
  goodbye = 0,  ///< empty; no message of a lane follows
  abort = 1,    ///< the reason why the node gives up, as text
  alive = 2,    ///< an `AliveBytes`
};

/// How far a node has read, said from time to time.
struct AliveBytes {
  std::uint64_t received = 0;  ///< bytes of the link's stream, over all its connections
  std::uint64_t reading = 0;   ///< 1; 0 while the node waits for others before it takes messages
};
static_assert(sizeof(AliveBytes) == 16);

/// No piece is longer, whoever sends it.
inline constexpr std::size_t max_piece_bytes = 256 * 1024;
/// No message of the link's own lane is longer.
inline constexpr std::size_t max_link_message_bytes = 4 * 1024;
/// The default cap on a message's length.
inline constexpr std::uint64_t max_message_bytes = std::uint64_t{1} << 30;

/// A message that has arrived whole.
struct Arrived {
  std::uint8_t lane = 0;
  ChannelId channel = 0;
  Payload payload;
};

/// Makes messages of a stream of bytes, however the network has cut it. Sans I/O: the caller reads into `room()`.
///
/// Memory: what has arrived, and one piece, a lane (and address space in proportion); a header that announces a
/// gigabyte costs nothing.
///
/// @code
/// auto room = assembler.room();
/// auto n = socket.read_some(asio::buffer(room.data(), room.size()));
/// if (auto message = assembler.advance(n)) deliver(std::move(*message));
/// @endcode
class Assembler {
 public:
  /// @param cap  bytes of the longest message that is taken
  explicit Assembler(std::uint64_t cap = max_message_bytes) : cap_(cap) {}

  /// Where the next bytes of the stream belong; never empty. Valid until the next call of any other member.
  auto room() -> std::span<std::byte>;

  /// Tells that the first `bytes` bytes of `room()` have been filled; gives the message they complete, if they do.
  /// @throws Malformed  says what is wrong with the header, or that a checksum is, and on which lane and channel; the
  /// assembler is of no use afterwards
  auto advance(std::size_t bytes) -> std::optional<Arrived>;

  /// Copies from the front of `stream`, and moves the front on, until a message is complete or the stream is used up.
  /// @throws Malformed  as `advance`
  auto take(std::span<const std::byte>& stream) -> std::optional<Arrived>;

  /// Whether the stream may end here: no header and no message is half there.
  auto idle() const -> bool;

 private:
  struct Growing {
    bool under_way = false;
    ChannelId channel = 0;
    std::uint64_t length = 0;
    Payload payload;
  };

  void check(const FrameHeader& header) const;
  auto begin_piece() -> std::optional<Arrived>;
  auto end_piece() -> std::optional<Arrived>;

  std::uint64_t cap_;
  std::array<std::byte, sizeof(FrameHeader)> header_bytes_{};
  std::size_t header_have_ = 0;
  FrameHeader header_;
  std::size_t piece_left_ = 0;   ///< of the current piece, still to come; only while the header is complete
  std::uint32_t piece_crc_ = 0;  ///< of what has come of it
  std::array<Growing, lanes + 1> growing_;
};

/// Cuts one message into pieces. The parts it names point into the message, which it keeps until it is destroyed or
/// `release`d.
class Cutter {
 public:
  /// @param checked  its pieces have checksums
  Cutter(std::uint8_t lane, std::unique_ptr<Message> message, bool checked = true);

  /// Bytes not yet cut.
  auto left() const -> std::size_t { return left_; }
  /// A piece has been cut.
  auto begun() const -> bool { return started_; }
  /// Every piece has been cut (an empty message still has one).
  auto done() const -> bool { return started_ && left_ == 0; }

  /// The next piece, sealed.
  /// @param limit  bytes it may have at most, > 0
  /// @param parts  where its bytes lie is appended here, in order
  auto next(std::size_t limit, std::vector<std::span<const std::byte>>& parts) -> FrameHeader;

  /// Gives the message up: its bytes must live until the last piece is written.
  auto release() -> std::unique_ptr<Message> { return std::move(message_); }

 private:
  std::uint8_t lane_;
  std::unique_ptr<Message> message_;
  std::size_t size_;
  std::size_t left_;
  std::size_t part_ = 0;    ///< 0: the head; n: bulk[n - 1]
  std::size_t offset_ = 0;  ///< within that part
  bool checked_;
  bool started_ = false;
};

}  // namespace tensair::net
