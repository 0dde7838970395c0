#include <boost/crc.hpp>
#include <random>
#include <string>
#include <tensair/net/crc32c.hpp>
#include <vector>

#include "catch.hpp"

using namespace tensair::net;
using Bytes = std::vector<std::byte>;

namespace {

auto reference(std::span<const std::byte> bytes) -> std::uint32_t {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

auto counted(int from, int to) -> Bytes {
  Bytes bytes;
  for (int i = from; i != to; i += from < to ? 1 : -1) bytes.push_back(static_cast<std::byte>(i));
  return bytes;
}

}  // namespace

TEST_CASE("a CRC-32C is what RFC 3720 says it is", "[net][crc]") {
  for (const auto crc : {&crc32c, &detail::crc32c_by_tables}) {
    CHECK(crc({}, 0) == 0);
    CHECK(crc(Bytes(32, std::byte{0}), 0) == 0x8a9136aa);
    CHECK(crc(Bytes(32, std::byte{0xff}), 0) == 0x62a8ab43);
    CHECK(crc(counted(0, 32), 0) == 0x46dd794e);
    CHECK(crc(counted(31, -1), 0) == 0x113fdb5c);
  }
}

TEST_CASE("a CRC-32C is Boost's, of any length, alignment and cut", "[net][crc]") {
  std::mt19937 random{1};
  Bytes bytes(20'000);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  for (int i = 0; i < 500; ++i) {
    const auto from = random() % 64, size = random() % (i % 2 == 0 ? 64 : 19'000);
    const auto part = std::span<const std::byte>{bytes}.subspan(from, size);
    const auto cut = size == 0 ? 0 : random() % size;
    const auto expected = reference(part);
    CHECK(crc32c(part) == expected);
    CHECK(detail::crc32c_by_tables(part) == expected);
    CHECK(crc32c(part.subspan(cut), crc32c(part.first(cut))) == expected);
  }
}
