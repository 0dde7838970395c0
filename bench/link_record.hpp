#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <tensair/error.hpp>

namespace bench {

/// 64 bytes, trivially copyable.
struct Record {
  std::uint64_t key = 0;
  std::uint64_t rest[7] = {};
};
static_assert(sizeof(Record) == 64);

/// Has to be serialized.
struct Letter {
  std::string text = "longer than a string has room for";
  int key = 0;

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& text& key;
  }
};

/// 64 KiB.
inline constexpr std::size_t records_of_chunk = 1024;

/// The keys of each chunk are 0 to 1023.
inline void check_sum(std::uint64_t sum, std::uint64_t records) {
  if (sum != records / records_of_chunk * (records_of_chunk * (records_of_chunk - 1) / 2)) {
    throw tensair::Error{"not all records have arrived"};
  }
}

}  // namespace bench
