// Frames from another node: whatever the bytes, and however the network cuts them, they make the same messages, or the
// connection is refused.
#include <algorithm>
#include <cstring>
#include <tensair/net/frame.hpp>

#include "fuzz.hpp"

using namespace tensair::net;

namespace {

struct Outcome {
  std::vector<std::pair<ChannelId, std::size_t>> messages;  // channel and bytes
  bool refused = false;

  friend auto operator==(const Outcome&, const Outcome&) -> bool = default;
};

auto assemble(std::span<const std::byte> stream, std::size_t block) -> Outcome {
  Outcome outcome;
  Assembler assembler{1 << 20};
  try {
    while (!stream.empty()) {
      auto part = stream.first(std::min(block, stream.size()));
      stream = stream.subspan(part.size());
      while (!part.empty()) {
        if (auto message = assembler.take(part))
          outcome.messages.emplace_back(message->channel, message->payload.size());
      }
    }
  } catch (const Malformed&) {
    outcome.refused = true;
  }
  return outcome;
}

auto frame(FrameHeader header, std::string_view body) -> std::string {
  header.piece = static_cast<std::uint32_t>(body.size());
  header = seal(header, std::as_bytes(std::span{body}));
  std::string bytes(sizeof header, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes.append(body);
}

}  // namespace

auto fuzz::examples() -> std::vector<std::string> {
  const FrameHeader whole{.flags = FrameHeader::first | FrameHeader::last, .lane = 1, .channel = 7, .message = 5};
  const FrameHeader begin{.flags = FrameHeader::first, .lane = 2, .channel = 3, .message = 6};
  const FrameHeader end{.flags = FrameHeader::last, .lane = 2, .channel = 3, .message = 6};
  const FrameHeader goodbye{.flags = FrameHeader::first | FrameHeader::last, .lane = link_lane};
  return {frame(whole, "hello"), frame(begin, "abc") + frame(whole, "hello") + frame(end, "def") + frame(goodbye, "")};
}

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  const auto stream = std::as_bytes(std::span{data, size});
  const auto whole = assemble(stream, size == 0 ? 1 : size);
  fuzz::require(assemble(stream, 1) == whole, "bytes that come one by one make the same messages");
  fuzz::require(assemble(stream, 13) == whole, "bytes that come 13 at a time make the same messages");

  // A change rarely hits the right checksum: the same bytes again as headers and pieces that have it.
  std::vector<std::byte> sealed{stream.begin(), stream.end()};
  for (std::size_t at = 0; sealed.size() - at >= sizeof(FrameHeader);) {
    FrameHeader header;
    std::memcpy(&header, sealed.data() + at, sizeof header);
    const auto left = sealed.size() - at - sizeof header;
    const auto piece = std::min<std::size_t>(header.piece, left);
    header = seal(header, std::span{sealed}.subspan(at + sizeof header, piece));
    std::memcpy(sealed.data() + at, &header, sizeof header);
    at += sizeof header + piece;
  }
  const auto outcome = assemble(sealed, size == 0 ? 1 : size);
  fuzz::require(assemble(sealed, 1) == outcome, "sealed bytes that come one by one make the same messages");
  return 0;
}
