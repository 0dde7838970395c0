#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

// A key's hash says where it lives: on which node, in which instance, and in which place of that instance's state. All
// 64 bits must be well mixed, for different bits decide these; it must be the same on every node, so it uses no seed
// and no address.

namespace tensair {

namespace operators {

/// Whether a key's hash is the library's own, which does not throw.
template <class K>
inline constexpr bool hash_is_safe =
    std::integral<K> || std::is_enum_v<K> || std::is_same_v<K, std::string> || std::is_same_v<K, std::string_view>;

}  // namespace operators

/// The hash of a key: the library's own for numbers, enumerations, texts, pairs and tuples; `std::hash` for other
/// types. A text has the same hash as `std::string`, `std::string_view` or `const char*`.
template <class K>
auto hash_key(const K& key) noexcept(operators::hash_is_safe<K>) -> std::uint64_t;

namespace operators {

template <class K>
inline constexpr bool is_tuple = false;
template <class A, class B>
inline constexpr bool is_tuple<std::pair<A, B>> = true;
template <class... T>
inline constexpr bool is_tuple<std::tuple<T...>> = true;

/// Multiplies to 128 bits and folds them: every bit of the result depends on every bit of both.
inline auto fold_multiply(std::uint64_t a, std::uint64_t b) -> std::uint64_t {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// The constants of wyhash (Wang Yi, public domain), whose way of reading short texts this is.
inline constexpr std::uint64_t hash_a = 0xa076'1d64'78bd'642f, hash_b = 0xe703'7ed1'a0b4'28db,
                               hash_c = 0x8ebc'6af0'9c88'c6e3;

inline auto mix(std::uint64_t value) -> std::uint64_t {
  return fold_multiply(fold_multiply(value ^ hash_a, hash_b) ^ value, hash_c);
}

inline auto read_word(const char* from) -> std::uint64_t {
  std::uint64_t word = 0;
  std::memcpy(&word, from, sizeof word);
  return word;
}
inline auto read_half(const char* from) -> std::uint64_t {
  std::uint32_t half = 0;
  std::memcpy(&half, from, sizeof half);
  return half;
}

/// The hash of a text of more than 16 bytes.
auto hash_long_text(std::string_view text) -> std::uint64_t;

inline auto hash_text(std::string_view text) -> std::uint64_t {
  const char* at = text.data();
  const std::size_t size = text.size();
  if (size > 16) return hash_long_text(text);
  std::uint64_t a = 0, b = 0;
  if (size >= 8) {
    a = read_word(at);
    b = read_word(at + size - 8);
  } else if (size >= 4) {
    a = read_half(at);
    b = read_half(at + size - 4);
  } else if (size > 0) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint64_t>(static_cast<unsigned char>(at[i])); };
    a = byte(0) << 16 | byte(size / 2) << 8 | byte(size - 1);
  }
  return fold_multiply(hash_b ^ size, fold_multiply(a ^ hash_a, b ^ hash_c));
}

template <class K>
concept StdHashable = requires(const K& key) {
  { std::hash<K>{}(key) } -> std::convertible_to<std::size_t>;
};

template <class K>
constexpr auto is_hashable() -> bool {
  if constexpr (is_tuple<K>) {
    return []<class... Part>(std::type_identity<std::tuple<Part...>>) {
      return (is_hashable<std::remove_cvref_t<Part>>() && ...);
    }(std::type_identity<decltype(std::tuple_cat(std::declval<K>()))>{});
  } else {
    return std::integral<K> || std::is_enum_v<K> || std::convertible_to<const K&, std::string_view> || StdHashable<K>;
  }
}

}  // namespace operators

/// What can be a key: comparable for equality, and with a hash.
template <class K>
concept Key = std::equality_comparable<K> && operators::is_hashable<K>();

template <class K>
auto hash_key(const K& key) noexcept(operators::hash_is_safe<K>) -> std::uint64_t {
  if constexpr (operators::is_tuple<K>) {
    return std::apply(
        [](const auto&... part) {
          std::uint64_t hash = operators::hash_c;
          ((hash = operators::fold_multiply(hash ^ hash_key(part), operators::hash_b)), ...);
          return operators::mix(hash);
        },
        key);
  } else if constexpr (std::convertible_to<const K&, std::string_view>) {
    return operators::hash_text(key);
  } else if constexpr (std::is_enum_v<K>) {
    return operators::mix(static_cast<std::uint64_t>(static_cast<std::underlying_type_t<K>>(key)));
  } else if constexpr (std::integral<K>) {
    return operators::mix(static_cast<std::uint64_t>(key));
  } else {
    return operators::mix(std::hash<K>{}(key));
  }
}

}  // namespace tensair
