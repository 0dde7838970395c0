#pragma once

#include <cstddef>
#include <cstring>
#include <utility>

// As many floats as one register of this processor holds, and the two things that are done with them beside arithmetic:
// sums of all lanes, of many registers at once, and the logistic function.

namespace word2vec {

#if defined(__AVX512F__)
inline constexpr std::size_t lanes = 16;
#elif defined(__AVX__)
inline constexpr std::size_t lanes = 8;
#else
inline constexpr std::size_t lanes = 4;
#endif

using Lanes = float __attribute__((vector_size(lanes * sizeof(float))));
using LaneInts = int __attribute__((vector_size(lanes * sizeof(int))));

inline auto all(float value) -> Lanes {
  return value - Lanes{};
}
// Part of who calls them, also where that one is hidden from a sanitizer.
[[gnu::always_inline]] inline auto load(const float* from) -> Lanes {
  Lanes value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
[[gnu::always_inline]] inline void store(float* to, Lanes value) {
  std::memcpy(to, &value, sizeof value);
}

namespace detail {

// Two registers, each with sums in stretches of `Width` lanes, become one with sums in stretches of half that.
template <std::size_t Width, std::size_t... I>
auto fold(Lanes a, Lanes b, std::index_sequence<I...>) -> Lanes {
  constexpr std::size_t half = Width / 2;
  return __builtin_shufflevector(a, b, (I / half * Width + I % half)...) +
         __builtin_shufflevector(a, b, (I / half * Width + I % half + half)...);
}

template <std::size_t Count>
auto sums(const Lanes* from) -> Lanes {
  if constexpr (Count == 1) {
    return *from;
  } else {
    return fold<2 * lanes / Count>(sums<Count / 2>(from), sums<Count / 2>(from + Count / 2),
                                   std::make_index_sequence<lanes>{});
  }
}

}  // namespace detail

/// The sums over the lanes of `lanes` registers: lane i of the result is of register i.
inline auto sums(const Lanes* registers) -> Lanes {
  return detail::sums<lanes>(registers);
}

/// e^x, to a relative error of 2e-7, for x in [-87, 87] (beyond, that of the bound): 2^n e^r with |r| ≤ ln 2 / 2, and
/// for e^r the polynomial of Moshier's Cephes library.
inline auto exp_of(Lanes x) -> Lanes {
  const Lanes bound = all(87.0F);
  x = x > bound ? bound : x;
  x = x < -bound ? -bound : x;
  const Lanes magic = all(12582912.0F);  // 1.5 × 2^23: adding it rounds to whole numbers
  const Lanes n = (x * all(1.44269504F) + magic) - magic;
  const Lanes r = (x - n * all(0.693359375F)) - n * all(-2.12194440e-4F);
  Lanes y = all(1.9875691500e-4F);
  y = y * r + all(1.3981999507e-3F);
  y = y * r + all(8.3334519073e-3F);
  y = y * r + all(4.1665795894e-2F);
  y = y * r + all(1.6666665459e-1F);
  y = y * r + all(5.0000001201e-1F);
  y = y * r * r + r + all(1.0F);
  const LaneInts exponent = (__builtin_convertvector(n, LaneInts) + 127) << 23;
  Lanes power;
  std::memcpy(&power, &exponent, sizeof power);
  return y * power;
}

inline auto logistic(Lanes x) -> Lanes {
  return all(1.0F) / (all(1.0F) + exp_of(-x));
}

}  // namespace word2vec
