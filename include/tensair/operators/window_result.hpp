#pragma once

#include <tensair/net/codec.hpp>
#include <tensair/operators/owned.hpp>
#include <tensair/operators/window.hpp>
#include <type_traits>
#include <utility>

namespace tensair {

/// What a window operator emits: what is known of a key's records in a window. On timed streams its time is
/// `window.last()`.
template <class K, class V>
struct WindowResult {
  using key_type = K;
  using mapped_type = V;

  K key;
  Window window;
  V value;

  // Without it a result of plain values crosses nodes as its bytes, many at once.
  template <class Archive>
  requires(net::Encodable<K>&& net::Encodable<V> &&
           !(std::is_trivially_copyable_v<K> && std::is_trivially_copyable_v<V>)) void serialize(Archive& archive,
                                                                                                 unsigned) {
    archive& key& window& value;
  }

  friend auto operator==(const WindowResult&, const WindowResult&) -> bool = default;
  friend auto operator<=>(const WindowResult&, const WindowResult&) = default;
};

template <class K, class V>
requires(is_view<K> || is_view<V>) struct OwnedRecord<WindowResult<K, V>> {
  using type = WindowResult<Owned<K>, Owned<V>>;
  static auto own(WindowResult<K, V> record) -> type {
    return {OwnedRecord<K>::own(std::move(record.key)), record.window, OwnedRecord<V>::own(std::move(record.value))};
  }
  static auto view(type& kept) -> WindowResult<K, V> {
    return {OwnedRecord<K>::view(kept.key), kept.window, OwnedRecord<V>::view(kept.value)};
  }
};

/// The key of all records, where there is none: in windows of a stream without keys.
enum class AllKeys : unsigned char { all };

namespace operators {

/// The key function of a stream without keys.
struct ToAllKeys {
  template <class T>
  constexpr auto operator()(const T&) const noexcept -> AllKeys {
    return AllKeys::all;
  }
};

}  // namespace operators

}  // namespace tensair
