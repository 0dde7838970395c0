#pragma once

#include <cstdint>
#include <tensair/key_value.hpp>
#include <type_traits>

namespace tensair::operators {

/// What a number of records came to.
template <class State>
struct Counted {
  State state;
  std::uint64_t records = 0;

  template <class Archive>
  requires(net::Encodable<State> && !std::is_trivially_copyable_v<State>) void serialize(Archive& archive, unsigned) {
    archive& state& records;
  }
};

/// Part of a key's value in a slice of windows, on its way to where the key is kept. Its time is the slice's start.
template <class K, class State>
using WindowPartial = KeyValue<K, Counted<State>>;

template <class T>
inline constexpr bool is_window_partial = false;
template <class K, class State>
inline constexpr bool is_window_partial<WindowPartial<K, State>> = true;

}  // namespace tensair::operators
