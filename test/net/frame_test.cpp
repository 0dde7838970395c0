#include <algorithm>
#include <array>
#include <boost/crc.hpp>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <tensair/net/frame.hpp>
#include <vector>

#include "catch.hpp"

using namespace tensair::net;
using Bytes = Payload;

namespace {

void append(Bytes& to, const void* from, std::size_t size) {
  const auto* bytes = static_cast<const std::byte*>(from);
  to.insert(to.end(), bytes, bytes + size);
}

auto crc_of(std::span<const std::byte> bytes) -> std::uint32_t {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

// A header and as many bytes as it says, written down field by field: what the format is, not what the code does.
struct Frame {
  std::uint32_t piece = 0;
  std::uint8_t flags = 3;
  std::uint8_t lane = 2;
  std::uint32_t channel = 7;
  std::uint64_t message = 0;
  std::uint16_t damage_check = 0;
  std::uint32_t damage_crc = 0;
  std::byte fill{0x5a};

  auto bytes() const -> Bytes {
    const Bytes body(std::min<std::size_t>(piece, 1 << 20), fill);
    const std::uint32_t crc = ((flags & 4U) != 0 ? crc_of(body) : 0) ^ damage_crc;
    std::uint16_t check = 0;
    Bytes result;
    append(result, &piece, 4);
    append(result, &flags, 1);
    append(result, &lane, 1);
    append(result, &check, 2);
    append(result, &channel, 4);
    append(result, &crc, 4);
    append(result, &message, 8);
    check = static_cast<std::uint16_t>(crc_of(result) & 0xffffU) ^ damage_check;
    std::memcpy(result.data() + 6, &check, 2);
    result.insert(result.end(), body.begin(), body.end());
    return result;
  }
};

auto feed(Assembler& assembler, std::span<const std::byte> stream) -> std::vector<Arrived> {
  std::vector<Arrived> messages;
  while (!stream.empty()) {
    if (auto arrived = assembler.take(stream)) messages.push_back(*std::move(arrived));
  }
  return messages;
}

auto feed(std::initializer_list<Frame> frames, std::uint64_t cap = max_message_bytes) -> std::vector<Arrived> {
  Assembler assembler{cap};
  Bytes stream;
  for (const auto& frame : frames) {
    const auto bytes = frame.bytes();
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  }
  return feed(assembler, stream);
}

auto random_bytes(std::size_t size, std::uint32_t seed) -> Bytes {
  std::mt19937 random{seed};
  Bytes result(size);
  for (auto& byte : result) byte = static_cast<std::byte>(random());
  return result;
}

// All pieces of a message, one after the other, as they go over the wire.
auto cut(std::uint8_t lane, std::unique_ptr<Message> message, std::size_t limit, bool checked = true) -> Bytes {
  Cutter cutter{lane, std::move(message), checked};
  Bytes stream;
  while (!cutter.done()) {
    std::vector<std::span<const std::byte>> parts;
    const FrameHeader header = cutter.next(limit, parts);
    append(stream, &header, sizeof header);
    for (const auto part : parts) append(stream, part.data(), part.size());
  }
  return stream;
}

auto make_message(ChannelId channel, const Bytes& content, std::size_t head, std::size_t part)
    -> std::unique_ptr<Message> {
  auto message = std::make_unique<Message>();
  message->channel = channel;
  auto owner = std::make_shared<const Bytes>(content);
  const auto split = std::min(head, content.size());
  message->head.assign(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(split));
  for (auto rest = std::span{*owner}.subspan(split); !rest.empty();) {
    const auto bytes = std::min(part, rest.size());
    message->bulk.push_back(rest.first(bytes));
    rest = rest.subspan(bytes);
  }
  message->owner = owner;
  return message;
}

}  // namespace

TEST_CASE("a message of one piece arrives with its lane, channel and bytes", "[net][frame]") {
  const auto messages = feed({Frame{.piece = 5, .lane = 1, .channel = 42, .message = 5}});
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].lane == 1);
  CHECK(messages[0].channel == 42);
  CHECK(messages[0].payload == Bytes(5, std::byte{0x5a}));
}

TEST_CASE("an empty message arrives as soon as its header has", "[net][frame]") {
  const auto messages = feed({Frame{}, Frame{.channel = 8}});
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].payload.empty());
  CHECK(messages[1].channel == 8);
}

TEST_CASE("pieces of several lanes may be mixed", "[net][frame]") {
  const auto messages = feed({
      Frame{.piece = 4, .flags = 1, .lane = 2, .channel = 2, .message = 10, .fill = std::byte{1}},
      Frame{.piece = 3, .flags = 1, .lane = 1, .channel = 1, .message = 4, .fill = std::byte{2}},
      Frame{.piece = 2, .flags = 3, .lane = 0, .channel = 0, .message = 2, .fill = std::byte{3}},
      Frame{.piece = 5, .flags = 0, .lane = 2, .channel = 2, .message = 10, .fill = std::byte{4}},
      Frame{.piece = 1, .flags = 2, .lane = 1, .channel = 1, .message = 4, .fill = std::byte{5}},
      Frame{.piece = 1, .flags = 2, .lane = 2, .channel = 2, .message = 10, .fill = std::byte{6}},
  });
  const auto expect = [](std::initializer_list<int> values) {
    Bytes bytes;
    for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
  };
  REQUIRE(messages.size() == 3);
  CHECK(messages[0].payload == expect({3, 3}));
  CHECK(messages[1].payload == expect({2, 2, 2, 5}));
  CHECK(messages[2].payload == expect({1, 1, 1, 1, 4, 4, 4, 4, 4, 6}));
}

TEST_CASE("a message is the same whatever its parts, its pieces and the network's cuts", "[net][frame]") {
  for (const std::size_t size : {0U, 1U, 23U, 24U, 25U, 1000U, 70'000U, 300'000U}) {
    for (const std::size_t limit : {1U, 7U, 4096U, 65'536U}) {
      if (size / limit > 10'000) continue;
      for (const std::size_t network : {1U, 13U, 100'000U}) {
        INFO(size << " bytes, pieces of " << limit << ", network reads of " << network);
        const auto content = random_bytes(size, 1);
        const auto stream = cut(1, make_message(3, content, 10, 999), limit, network != 13);
        Assembler assembler;
        std::vector<Arrived> messages;
        for (auto rest = std::span<const std::byte>{stream}; !rest.empty();) {
          auto read = rest.first(std::min(network, rest.size()));
          rest = rest.subspan(read.size());
          while (!read.empty()) {
            if (auto arrived = assembler.take(read)) messages.push_back(*std::move(arrived));
          }
        }
        REQUIRE(messages.size() == 1);
        CHECK(messages[0].lane == 1);
        CHECK(messages[0].channel == 3);
        CHECK((messages[0].payload == content));
        CHECK(assembler.idle());
      }
    }
  }
}

TEST_CASE("what has arrived is aligned for any record", "[net][frame]") {
  const auto messages = feed({Frame{.piece = 1000, .message = 1000}});
  REQUIRE(messages.size() == 1);
  CHECK(reinterpret_cast<std::uintptr_t>(messages[0].payload.data()) % 16 == 0);
}

TEST_CASE("no piece is longer than the limit or the format allows", "[net][frame]") {
  Cutter cutter{2, make_message(1, random_bytes(1'000'000, 1), 0, 1'000'000)};
  std::vector<std::span<const std::byte>> parts;
  CHECK(cutter.next(1000, parts).piece == 1000);
  CHECK(cutter.next(10'000'000, parts).piece == max_piece_bytes);
  CHECK(cutter.left() == 1'000'000 - 1000 - max_piece_bytes);
}

TEST_CASE("pieces name the bytes where they lie, and copy none", "[net][frame]") {
  const auto content = std::make_shared<const Bytes>(random_bytes(100'000, 1));
  auto message = std::make_unique<Message>();
  message->bulk = {std::span{*content}.first(40'000), {}, std::span{*content}.last(60'000)};
  Cutter cutter{2, std::move(message)};
  std::vector<std::span<const std::byte>> parts;
  cutter.next(50'000, parts);
  REQUIRE(parts.size() == 2);
  CHECK(parts[0].data() == content->data());
  CHECK(parts[0].size() == 40'000);
  CHECK(parts[1].data() == content->data() + 40'000);
  CHECK(parts[1].size() == 10'000);
}

TEST_CASE("a stream that ends within a header or a message is noticed", "[net][frame]") {
  const auto bytes = Frame{.piece = 10, .message = 10}.bytes();
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    INFO(length << " bytes of " << bytes.size());
    Assembler assembler;
    feed(assembler, std::span{bytes}.first(length));
    CHECK(assembler.idle() == (length == 0 || length == bytes.size()));
  }
}

TEST_CASE("a malformed frame is rejected with a line that says why and where", "[net][frame][bad-input]") {
  struct Case {
    std::vector<Frame> frames;
    std::string says;
  };
  const std::vector<Case> cases = {
      {{Frame{.lane = 4}}, "there is no lane 4"},
      {{Frame{.lane = 255}}, "there is no lane 255"},
      {{Frame{.flags = 8}}, "unknown flags 0x08"},
      {{Frame{.flags = 0xff}}, "unknown flags 0xff"},
      {{Frame{.damage_check = 1}}, "the checksum of its header is wrong"},
      {{Frame{.damage_crc = 1}}, "the checksum of a piece of 0 bytes is wrong"},
      {{Frame{.flags = 7, .damage_crc = 1}}, "the checksum of a piece of 0 bytes is wrong"},
      {{Frame{.piece = 10, .flags = 7, .message = 10, .damage_crc = 0x8000'0000}},
       "the checksum of a piece of 10 bytes is wrong"},
      {{Frame{.piece = 262'145, .message = 262'145}}, "a piece of 262145 bytes is over the limit of 262144"},
      {{Frame{.piece = 0xffff'ffff, .message = 0xffff'ffff}},
       "a piece of 4294967295 bytes is over the limit of 262144"},
      {{Frame{.piece = 1, .flags = 1, .message = 1001}}, "a message of 1001 bytes is over the limit of 1000"},
      {{Frame{.piece = 1, .flags = 1, .message = ~std::uint64_t{0}}},
       "a message of 18446744073709551615 bytes is over the limit of 1000"},
      {{Frame{.piece = 1, .flags = 1, .lane = 3, .message = 4097}},
       "a message of 4097 bytes is over the limit of 1000"},
      {{Frame{.piece = 1, .flags = 0, .message = 10}}, "a piece continues a message that has not begun"},
      {{Frame{.piece = 1, .flags = 2, .message = 1}}, "a piece continues a message that has not begun"},
      {{Frame{.piece = 1, .flags = 1, .message = 10}, Frame{.piece = 1, .flags = 1, .message = 10}},
       "a message begins before the one before it has ended"},
      {{Frame{.piece = 1, .flags = 1, .message = 10}, Frame{.piece = 1, .flags = 0, .channel = 8, .message = 10}},
       "a piece continues the message of channel 7"},
      {{Frame{.piece = 1, .flags = 1, .message = 10}, Frame{.piece = 1, .flags = 0, .message = 11}},
       "a piece says 11 bytes of a message that began with 10"},
      {{Frame{.piece = 6, .flags = 1, .message = 10}, Frame{.piece = 5, .flags = 2, .message = 10}},
       "11 bytes of a message of 10"},
      {{Frame{.piece = 11, .flags = 3, .message = 10}}, "11 bytes of a message of 10"},
      {{Frame{.piece = 9, .flags = 3, .message = 10}}, "a message of 10 bytes ends after 9"},
      {{Frame{.piece = 10, .flags = 1, .message = 10}}, "a message goes on after its last byte"},
      {{Frame{.piece = 0, .flags = 1, .message = 10}}, "an empty piece within a message"},
  };
  for (const auto& [frames, says] : cases) {
    INFO(says);
    Assembler assembler{1000};
    Bytes stream;
    for (const auto& frame : frames) {
      const auto bytes = frame.bytes();
      stream.insert(stream.end(), bytes.begin(), bytes.end());
    }
    std::string line;
    try {
      feed(assembler, stream);
    } catch (const Malformed& error) {
      line = error.what();
    }
    CHECK_THAT(line, Catch::Matchers::StartsWith("malformed frame: " + says));
    CHECK_THAT(line, Catch::Matchers::ContainsSubstring("(lane "));
    CHECK_THAT(line, !Catch::Matchers::ContainsSubstring("\n"));
  }
}

TEST_CASE("no bit of a checked frame changes unnoticed", "[net][frame][bad-input]") {
  const auto frame = Frame{.piece = 100, .flags = 7, .message = 100}.bytes();
  for (std::size_t bit = 0; bit < 8 * frame.size(); ++bit) {
    auto damaged = frame;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    Assembler assembler;
    std::string says;
    try {
      feed(assembler, damaged);
    } catch (const Malformed& error) {
      says = error.what();
    }
    INFO("bit " << bit);
    const bool in_header = bit < 8 * sizeof(FrameHeader);
    CHECK_THAT(says, Catch::Matchers::StartsWith(in_header ? "malformed frame: the checksum of its header is wrong"
                                                           : "malformed frame: the checksum of a piece of 100 bytes"));
  }
}

TEST_CASE("a message as long as the cap passes", "[net][frame]") {
  CHECK(feed({Frame{.piece = 1000, .message = 1000}}, 1000).size() == 1);
}

TEST_CASE("a header that announces much makes room for its own piece only", "[net][frame]") {
  Assembler assembler;
  auto bytes = Frame{.piece = 100, .flags = 1, .message = max_message_bytes}.bytes();
  bytes.resize(sizeof(FrameHeader));
  feed(assembler, bytes);
  CHECK(assembler.room().size() == 100);
}

#ifdef TENSAIR_HAS_RAPIDCHECK

TEST_CASE("messages of all lanes survive any cutting and any network", "[net][frame][property]") {
  tensair::test::check_property("reassembling undoes cutting", [] {
    struct Sent {
      std::uint8_t lane;
      ChannelId channel;
      Bytes content;
    };
    const auto count = *rc::gen::inRange(0, 12);
    const auto piece = *rc::gen::inRange<std::size_t>(1, 400);
    std::array<std::vector<Sent>, lanes> sent;
    std::array<std::vector<Cutter>, lanes> waiting;
    for (int i = 0; i < count; ++i) {
      const auto lane = *rc::gen::inRange<std::uint8_t>(0, lanes);
      const auto size = *rc::gen::inRange<std::size_t>(0, 2000);
      Sent one{lane, static_cast<ChannelId>(i), random_bytes(size, static_cast<std::uint32_t>(i))};
      const auto head = *rc::gen::inRange<std::size_t>(0, 50);
      const auto part = *rc::gen::inRange<std::size_t>(1, 700);
      waiting[lane].emplace_back(lane, make_message(one.channel, one.content, head, part));
      sent[lane].push_back(std::move(one));
    }

    // The lanes' pieces in any order.
    Bytes stream;
    std::array<std::size_t, lanes> at{};
    const auto left = [&](std::size_t lane) { return at[lane] < waiting[lane].size(); };
    while (left(0) || left(1) || left(2)) {
      const auto lane = *rc::gen::suchThat(rc::gen::inRange<std::size_t>(0, lanes), left);
      auto& cutter = waiting[lane][at[lane]];
      std::vector<std::span<const std::byte>> parts;
      const auto header = cutter.next(piece, parts);
      append(stream, &header, sizeof header);
      for (const auto part : parts) append(stream, part.data(), part.size());
      if (cutter.done()) ++at[lane];
    }

    Assembler assembler;
    std::array<std::vector<Arrived>, lanes> arrived;
    const auto read = *rc::gen::inRange<std::size_t>(1, 500);
    for (auto rest = std::span<const std::byte>{stream}; !rest.empty();) {
      auto some = rest.first(std::min(read, rest.size()));
      rest = rest.subspan(some.size());
      while (!some.empty()) {
        if (auto message = assembler.take(some)) arrived[message->lane].push_back(*std::move(message));
      }
    }
    RC_ASSERT(assembler.idle());
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      RC_ASSERT(arrived[lane].size() == sent[lane].size());
      for (std::size_t i = 0; i < sent[lane].size(); ++i) {
        RC_ASSERT(arrived[lane][i].channel == sent[lane][i].channel);
        RC_ASSERT(arrived[lane][i].payload == sent[lane][i].content);
      }
    }
  });

  tensair::test::check_property("any bytes are messages or Malformed, nothing else",
                                [](const std::vector<std::uint8_t>& noise) {
                                  Assembler assembler{1 << 16};
                                  try {
                                    feed(assembler, std::as_bytes(std::span{noise}));
                                  } catch (const Malformed&) {
                                  }
                                });
}

#endif
