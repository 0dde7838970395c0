#pragma once

#include <cstddef>
#include <cstdint>
#include <tensair/compression.hpp>
#include <tensair/net/codec.hpp>
#include <tensair/net/message.hpp>

// A message inside another one, made smaller.
//
// How large it was is a claim of the sender's, and a few bytes can claim, and even become, any size. So a receiver
// makes of each byte it has been sent `most_expansion` at most; what would shrink to less (a chunk of zeros) is sent
// with zeros behind it.

namespace tensair::net {

/// A compressed message becomes at most this many times its size.
inline constexpr std::uint64_t most_expansion = 256;

/// Messages of fewer bytes are not worth compressing.
inline constexpr std::size_t least_compressed = 128;

/// Writes a message, compressed, as one value.
/// @return  whether it has been: not when that makes it no smaller, or it is short; then nothing is written
/// @pre  the method is available, and not `none`
auto write_compressed(Writer& out, const Message& message, compression method) -> bool;

/// Reads what `write_compressed` has written: the message's head and bulk, one after the other.
/// @throws Malformed  it is not what a sender writes, becomes larger or smaller than it says, says more than
/// `most_expansion` allows, or is compressed by what this build does not have
auto read_compressed(Reader& in) -> Payload;

}  // namespace tensair::net
