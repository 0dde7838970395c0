#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "catch.hpp"

namespace tensair::net::test {

using Bytes = std::vector<std::byte>;

/// Gives a reader the bytes, at most `step` at a time, and counts those it took.
template <class Reader>
auto read_in_steps(const Bytes& bytes, std::size_t step = 1'000'000, std::size_t* taken = nullptr) {
  Reader reader;
  decltype(reader.advance(0)) result;
  std::size_t at = 0;
  while (!result && at < bytes.size()) {
    const auto room = reader.room();
    REQUIRE(!room.empty());
    const auto count = std::min({room.size(), bytes.size() - at, step});
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, room.begin());
    at += count;
    result = reader.advance(count);
  }
  if (taken != nullptr) *taken = at;
  return result;
}

}  // namespace tensair::net::test
