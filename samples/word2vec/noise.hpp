#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace word2vec {

/// Random numbers: Marsaglia's xorshift64*.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e37'79b9'7f4a'7c15U | 1U) {}
  auto operator()() -> std::uint64_t {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545'f491'4f6c'dd1dU;
  }
  /// In [0, 1).
  auto real() -> float { return static_cast<float>((*this)() >> 40) * 0x1p-24F; }
  /// In [0, n), for n up to 2^32.
  auto below(std::uint64_t n) -> std::uint64_t { return ((*this)() >> 32) * n >> 32; }

 private:
  std::uint64_t state_;
};

/// Draws rows as often as their weights say, each in the same time: Walker's alias method (Vose, "A linear algorithm
/// for generating random numbers with a given distribution", 1991). Twelve bytes a row, so that it stays in the cache.
class AliasTable {
 public:
  AliasTable() = default;
  /// Rows without weight are never drawn.
  explicit AliasTable(std::span<const double> weights);

  auto empty() const -> bool { return cells_.empty(); }
  auto draw(Random& random) const -> std::int32_t {
    const auto number = random();
    const auto& cell = cells_[(number >> 32) * cells_.size() >> 32];
    return static_cast<float>(number & 0xff'ffff) * 0x1p-24F < cell.share ? cell.row : cell.other;
  }

 private:
  struct Cell {
    float share;
    std::int32_t row, other;
  };
  std::vector<Cell> cells_;
};

}  // namespace word2vec
