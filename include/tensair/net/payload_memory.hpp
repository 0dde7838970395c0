#pragma once

#include <cstddef>

namespace tensair::net {

/// From so many bytes on a payload's memory is in huge pages, where the system has them, and is used again: the kernel
/// gives memory by the page, and 30,000 of 4 KiB for one delta of a large model take several times as long as receiving
/// it; a page of 2 MiB is touched at once, and who sits at the link waits for that up to some milliseconds.
inline constexpr std::size_t large_payload = std::size_t{4} << 20U;

/// Memory for a large payload. @throws std::bad_alloc
auto allocate_large_payload(std::size_t bytes) -> void*;

/// Gives it back; `bytes` as it was asked for. The last two that were given back are kept for the next.
void free_large_payload(void* memory, std::size_t bytes) noexcept;

/// Frees what is kept: when nothing is received any more.
void release_spare_payloads() noexcept;

}  // namespace tensair::net
