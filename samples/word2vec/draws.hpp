#pragma once

#include <cstddef>
#include <cstdint>

namespace word2vec {

// What chance has a say in within a batch follows from the batch's seed and a word's place alone, so that whoever
// learns from the batch learns the same, in whatever pieces.

// Steele, Lea and Flood's splitmix64.
inline auto mixed(std::uint64_t x) -> std::uint64_t {
  x += 0x9e37'79b9'7f4a'7c15U;
  x = (x ^ x >> 30) * 0xbf58'476d'1ce4'e5b9U;
  x = (x ^ x >> 27) * 0x94d0'49bb'1331'11ebU;
  return x ^ x >> 31;
}

/// How many neighbours on each side a word has at most: 1 to `window`.
inline auto reach_of(std::uint64_t seed, std::size_t place, std::size_t window) -> std::size_t {
  return 1 + mixed(seed + place) % window;
}

/// Which of the batch's noise is the first that a piece which begins at that place takes.
inline auto first_noise(std::uint64_t seed, std::size_t first, std::size_t noise) -> std::uint64_t {
  return noise == 0 ? 0 : mixed(seed ^ first) % noise;
}

}  // namespace word2vec
