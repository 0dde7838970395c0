#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tensair::net {

/// The CRC-32C (Castagnoli; RFC 3720, appendix B.4) of `bytes`, or of what `crc` is the CRC-32C of and `bytes` behind
/// it.
auto crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0) -> std::uint32_t;

namespace detail {

/// The same by tables alone, as on a processor that has no instruction for it.
auto crc32c_by_tables(std::span<const std::byte> bytes, std::uint32_t crc = 0) -> std::uint32_t;

}  // namespace detail
}  // namespace tensair::net
