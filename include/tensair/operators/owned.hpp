#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tensair {

/// How a record is kept when it must outlive the call it was passed in: in a channel, a batch, a collection, or as a
/// key. A record that only refers to a text (`std::string_view`) is fine inside a chain, where nothing waits; where
/// records wait, the text is copied into a `std::string`.
///
/// Specialise it for a record of your own that has views in it: `type` is what is kept, `own` makes one, `view` shows
/// it as the record again.
template <class T>
struct OwnedRecord {
  using type = T;
  static auto own(T record) -> T { return record; }
  static auto view(T& kept) -> T&& { return std::move(kept); }
};

template <>
struct OwnedRecord<std::string_view> {
  using type = std::string;
  static auto own(std::string_view text) -> std::string { return std::string(text); }
  static auto view(const std::string& kept) -> std::string_view { return kept; }
};

/// What keeps a record of type T: T itself, unless it is a view.
template <class T>
using Owned = typename OwnedRecord<T>::type;

/// Whether a record of type T refers to memory that somebody else owns.
template <class T>
inline constexpr bool is_view = !std::is_same_v<Owned<T>, T>;

/// The i-th of some records that are kept, as the record it was; it may be moved from. (Of a `std::vector<bool>`, whose
/// elements have no address, a copy.)
template <class T>
auto view_of(std::vector<Owned<T>>& kept, std::size_t i) -> decltype(auto) {
  if constexpr (std::is_same_v<Owned<T>, bool>) {
    return static_cast<bool>(kept[i]);
  } else {
    return OwnedRecord<T>::view(kept[i]);
  }
}

template <class A, class B>
requires(is_view<A> || is_view<B>) struct OwnedRecord<std::pair<A, B>> {
  using type = std::pair<Owned<A>, Owned<B>>;
  static auto own(std::pair<A, B> record) -> type {
    return {OwnedRecord<A>::own(std::move(record.first)), OwnedRecord<B>::own(std::move(record.second))};
  }
  static auto view(type& kept) -> std::pair<A, B> {
    return {OwnedRecord<A>::view(kept.first), OwnedRecord<B>::view(kept.second)};
  }
};

}  // namespace tensair
