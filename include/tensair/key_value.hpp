#pragma once

#include <tensair/net/codec.hpp>
#include <tensair/operators/owned.hpp>
#include <type_traits>
#include <utility>

namespace tensair {

/// What keyed operators emit: a key, and what is known of it.
template <class K, class V>
struct KeyValue {
  using key_type = K;
  using mapped_type = V;

  K key;
  V value;

  // Without it a pair of plain values crosses nodes as its bytes, many at once.
  template <class Archive>
  requires(net::Encodable<K>&& net::Encodable<V> &&
           !(std::is_trivially_copyable_v<K> && std::is_trivially_copyable_v<V>)) void serialize(Archive& archive,
                                                                                                 unsigned) {
    archive& key& value;
  }

  friend auto operator==(const KeyValue&, const KeyValue&) -> bool = default;
  friend auto operator<=>(const KeyValue&, const KeyValue&) = default;
};

template <class K, class V>
requires(is_view<K> || is_view<V>) struct OwnedRecord<KeyValue<K, V>> {
  using type = KeyValue<Owned<K>, Owned<V>>;
  static auto own(KeyValue<K, V> record) -> type {
    return {OwnedRecord<K>::own(std::move(record.key)), OwnedRecord<V>::own(std::move(record.value))};
  }
  static auto view(type& kept) -> KeyValue<K, V> {
    return {OwnedRecord<K>::view(kept.key), OwnedRecord<V>::view(kept.value)};
  }
};

}  // namespace tensair
