// CRC-32C with the processor's instruction where it has one.
//
// The instruction takes eight bytes a cycle, but its result comes three cycles later, so one chain of them does 8 GB/s
// and three side by side do 22 (here, from the cache). A long run is therefore cut into blocks of three lanes, each
// with a checksum of its own, and these are put together: the CRC of a text with n zeros behind it is a linear function
// of the text's CRC, which tables have for the length of a lane (Mark Adler's crc32c.c does it so).

#include <array>
#include <cstring>
#include <tensair/net/crc32c.hpp>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace tensair::net {
namespace {

constexpr std::uint32_t polynomial = 0x82f6'3b78;  // 0x1edc6f41, its bits in reverse
constexpr std::size_t lane = 1024;                 // bytes

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

// tables[k][b]: what byte b does to the CRC when k more bytes have passed behind it.
constexpr auto make_tables() -> Tables {
  Tables tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? (crc >> 1U) ^ polynomial : crc >> 1U;
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b) {
      const auto before = tables[k - 1][b];
      tables[k][b] = (before >> 8U) ^ tables[0][before & 0xffU];
    }
  }
  return tables;
}

constexpr Tables tables = make_tables();

auto load(const std::byte* from) -> std::uint64_t {
  std::uint64_t word = 0;
  std::memcpy(&word, from, sizeof word);
  return word;
}

auto byte_of(std::uint64_t word, unsigned n) -> std::size_t {
  return (word >> (8 * n)) & 0xffU;
}

#if defined(__x86_64__)

using Shift = std::array<std::array<std::uint32_t, 256>, 4>;

// shift[k][b]: what byte k of a CRC, being b, becomes behind a lane of zeros.
constexpr auto make_shift() -> Shift {
  Shift shift{};
  for (std::size_t k = 0; k < 4; ++k) {
    // Linear: eight bits suffice, and all else are sums of them.
    for (std::size_t bit = 0; bit < 8; ++bit) {
      std::uint32_t crc = 1U << (8 * k + bit);
      for (std::size_t zeros = 0; zeros < lane; ++zeros) crc = (crc >> 8U) ^ tables[0][crc & 0xffU];
      shift[k][std::size_t{1} << bit] = crc;
    }
    for (std::size_t b = 1; b < 256; ++b) shift[k][b] = shift[k][b & (b - 1)] ^ shift[k][b & (~b + 1)];
  }
  return shift;
}

constexpr Shift shift = make_shift();

auto behind_a_lane(std::uint64_t crc) -> std::uint64_t {
  return shift[0][byte_of(crc, 0)] ^ shift[1][byte_of(crc, 1)] ^ shift[2][byte_of(crc, 2)] ^ shift[3][byte_of(crc, 3)];
}

[[gnu::target("sse4.2")]] auto by_instruction(std::span<const std::byte> bytes, std::uint32_t before) -> std::uint32_t {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t crc = ~before;
  for (; left >= 3 * lane; left -= 3 * lane, at += 3 * lane) {
    std::uint64_t second = 0, third = 0;
    for (std::size_t i = 0; i < lane; i += 8) {
      crc = _mm_crc32_u64(crc, load(at + i));
      second = _mm_crc32_u64(second, load(at + lane + i));
      third = _mm_crc32_u64(third, load(at + 2 * lane + i));
    }
    crc = behind_a_lane(behind_a_lane(crc) ^ second) ^ third;
  }
  for (; left >= 8; left -= 8, at += 8) crc = _mm_crc32_u64(crc, load(at));
  auto rest = static_cast<std::uint32_t>(crc);
  for (; left > 0; --left) rest = _mm_crc32_u8(rest, std::to_integer<std::uint8_t>(*at++));
  return ~rest;
}

#endif

}  // namespace

auto crc32c(std::span<const std::byte> bytes, std::uint32_t crc) -> std::uint32_t {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return by_instruction(bytes, crc);
#endif
  return detail::crc32c_by_tables(bytes, crc);
}

auto detail::crc32c_by_tables(std::span<const std::byte> bytes, std::uint32_t before) -> std::uint32_t {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint32_t crc = ~before;
  for (; left >= 8; left -= 8, at += 8) {
    const auto word = load(at) ^ crc;
    crc = 0;
    for (unsigned n = 0; n < 8; ++n) crc ^= tables[7 - n][byte_of(word, n)];
  }
  for (; left > 0; --left) crc = (crc >> 8U) ^ tables[0][(crc ^ std::to_integer<std::uint32_t>(*at++)) & 0xffU];
  return ~crc;
}

}  // namespace tensair::net
