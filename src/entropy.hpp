#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <tensair/error.hpp>

namespace tensair::detail {

/// Fills up to 256 bytes with randomness of the operating system, fit for secrets.
/// @throws Error  it gives none
inline void fill_with_entropy(std::span<std::byte> bytes) {
  if (::getentropy(bytes.data(), bytes.size()) != 0) {
    throw Error{"the operating system gives no random numbers", std::strerror(errno)};
  }
}

}  // namespace tensair::detail
