#pragma once

#include <cstdint>

namespace tensair::operators {

/// The aggregate of `count()`: how many records there were.
struct Count {
  static auto init() -> std::uint64_t { return 0; }
  template <class T>
  static void add(std::uint64_t& count, const T&) noexcept {
    ++count;
  }
  static void merge(std::uint64_t& count, std::uint64_t other) { count += other; }
  static auto result(std::uint64_t count) -> std::uint64_t { return count; }
};

}  // namespace tensair::operators
