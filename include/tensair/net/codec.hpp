#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tensair/net/malformed.hpp>
#include <tensair/net/message.hpp>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

// How values become messages.
//
// A message has two parts: a head, into which small values are copied, and bulk, which refers to memory where it lies
// (the elements of a vector, a tensor's data) and is written to the socket from there. Reading mirrors writing: small
// values come from the head, bulk follows it. A reader never believes a length: whatever it is asked for must lie
// inside the message it was given.

namespace tensair::net {

template <class T>
struct Codec;

/// A value that can cross from one node to another: trivially copyable, a standard container or tuple of such, or a
/// type with the usual `template <class Archive> void serialize(Archive& ar, unsigned version)` whose body says `ar & a
/// & b;`.
template <class T>
concept Encodable = requires {
  sizeof(Codec<std::remove_cvref_t<T>>);
};

/// Collects one message.
class Writer {
 public:
  explicit Writer(ChannelId channel);
  ~Writer();

  /// Copies bytes into the head.
  void copy(const void* data, std::size_t size) {
    const auto at = message_->head.size();
    message_->head.resize(at + size);
    if (size != 0) std::memcpy(message_->head.data() + at, data, size);
  }

  /// Refers to bytes that stay alive and unchanged as long as the message's owner.
  void refer(std::span<const std::byte> bytes);

  /// Copies bytes that do not outlive this call into the bulk.
  void refer_copy(std::span<const std::byte> bytes);

  /// Refers to bytes of the record being written, or copies them where they may be a local variable of its
  /// `serialize`.
  void refer_if_kept(std::span<const std::byte> bytes) {
    if (in_serialize_) {
      refer_copy(bytes);
    } else {
      refer(bytes);
    }
  }

  template <class T>
  void write(const T& value) {
    static_assert(Encodable<T>,
                  "this type cannot be sent to another node: give it a serialize(archive, version) member");
    Codec<T>::write(*this, value);
  }

  /// The finished message; `owner` keeps referred bytes alive.
  auto finish(std::shared_ptr<const void> owner = {}) -> std::unique_ptr<Message>;

  static constexpr std::size_t prefix = sizeof(std::uint64_t);

 private:
  std::unique_ptr<Message> message_;
  template <class>
  friend struct Codec;

  std::vector<std::unique_ptr<std::vector<std::byte>>> copies_;
  bool in_serialize_ = false;
};

/// Takes a message apart, never reaching outside it.
class Reader {
 public:
  /// @throws Malformed  when the head is longer than the message
  explicit Reader(std::span<const std::byte> payload);

  /// The next bytes of the head. @throws Malformed  when there are fewer
  auto take(std::size_t size) -> std::span<const std::byte> { return cut(head_, size); }
  /// The next bytes of the bulk. @throws Malformed  when there are fewer
  auto bulk(std::size_t size) -> std::span<const std::byte> { return cut(bulk_, size); }

  auto head_left() const -> std::size_t { return head_.size(); }
  auto bulk_left() const -> std::size_t { return bulk_.size(); }

  template <class T>
  auto read() -> T {
    static_assert(Encodable<T>,
                  "this type cannot come from another node: give it a serialize(archive, version) member");
    return Codec<T>::read(*this);
  }

 private:
  [[noreturn]] static void throw_ends_early();
  static auto cut(std::span<const std::byte>& from, std::size_t size) -> std::span<const std::byte> {
    if (size > from.size()) throw_ends_early();
    const auto part = from.first(size);
    from = from.subspan(size);
    return part;
  }

  std::span<const std::byte> head_, bulk_;
};

namespace detail {

/// What `serialize(archive, version)` gets on the way out and on the way in.
class WriteArchive {
 public:
  explicit WriteArchive(Writer& writer) : writer_(writer) {}
  template <class T>
  auto operator&(const T& value) -> WriteArchive& {
    writer_.write(value);
    return *this;
  }
  template <class T>
  auto operator<<(const T& value) -> WriteArchive& {
    return *this & value;
  }

 private:
  Writer& writer_;
};

class ReadArchive {
 public:
  explicit ReadArchive(Reader& reader) : reader_(reader) {}
  template <class T>
  auto operator&(T& value) -> ReadArchive& {
    value = reader_.read<T>();
    return *this;
  }
  template <class T>
  auto operator>>(T& value) -> ReadArchive& {
    return *this & value;
  }

 private:
  Reader& reader_;
};

template <class T>
concept HasSerialize = std::default_initializable<T> && requires(T& value, WriteArchive& out, ReadArchive& in) {
  value.serialize(out, 0U);
  value.serialize(in, 0U);
};

/// A type that says that its `serialize` names nothing but its own members, so that vectors among them need not be
/// copied.
template <class T>
inline constexpr bool serializes_members = requires {
  requires T::serializes_members;
};

/// Trivially copyable and without pointers that would mean nothing elsewhere, as far as the compiler can tell.
template <class T>
concept Plain = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::is_member_pointer_v<T> &&
                !std::same_as<T, std::string_view> && !HasSerialize<T>;

}  // namespace detail

template <detail::Plain T>
struct Codec<T> {
  static void write(Writer& out, const T& value) { out.copy(&value, sizeof value); }
  static auto read(Reader& in) -> T {
    std::array<std::byte, sizeof(T)> bytes;
    std::memcpy(bytes.data(), in.take(sizeof(T)).data(), sizeof(T));
    if constexpr (std::same_as<T, bool>) {
      if (bytes[0] > std::byte{1}) throw Malformed("a byte that is neither true nor false");
    }
    return std::bit_cast<T>(bytes);
  }
};

template <detail::HasSerialize T>
struct Codec<T> {
  static void write(Writer& out, const T& value) {
    auto archive = detail::WriteArchive{out};
    const bool before = std::exchange(out.in_serialize_, out.in_serialize_ || !detail::serializes_members<T>);
    // serialize() is one function for both ways, so it takes a mutable reference even when it only reads.
    const_cast<T&>(value).serialize(archive, 0U);
    out.in_serialize_ = before;
  }
  static auto read(Reader& in) -> T {
    auto archive = detail::ReadArchive{in};
    T value{};
    value.serialize(archive, 0U);
    return value;
  }
};

template <>
struct Codec<std::string> {
  static void write(Writer& out, const std::string& text) {
    out.write(static_cast<std::uint64_t>(text.size()));
    out.copy(text.data(), text.size());
  }
  static auto read(Reader& in) -> std::string {
    const auto size = in.read<std::uint64_t>();
    const auto bytes = in.take(size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

template <Encodable T>
struct Codec<std::vector<T>> {
  static constexpr bool raw = detail::Plain<T> && !std::same_as<T, bool>;

  static void write(Writer& out, const std::vector<T>& values) {
    out.write(static_cast<std::uint64_t>(values.size()));
    if constexpr (raw) {
      out.refer_if_kept(std::as_bytes(std::span{values}));
    } else {
      for (const T& value : values) out.write(value);
    }
  }
  static auto read(Reader& in) -> std::vector<T> {
    const auto size = in.read<std::uint64_t>();
    std::vector<T> values;
    if constexpr (raw) {
      if (size > in.bulk_left() / sizeof(T)) throw Malformed("a message announces more elements than it holds");
      const auto bytes = in.bulk(size * sizeof(T));
      if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(T) == 0) {
        // Not resized first: filling with zeros would take as long again as copying.
        const auto* elements = reinterpret_cast<const T*>(bytes.data());
        values.assign(elements, elements + size);
      } else {
        values.resize(size);
        if (size != 0) std::memcpy(static_cast<void*>(values.data()), bytes.data(), bytes.size());
      }
    } else {
      // Reserving what a peer announces would let eight bytes allocate anything; every element is at least a byte
      // somewhere.
      values.reserve(std::min<std::uint64_t>(size, in.head_left() + in.bulk_left()));
      for (std::uint64_t i = 0; i < size; ++i) values.push_back(in.read<T>());
    }
    return values;
  }
};

template <Encodable T>
requires(!detail::Plain<std::optional<T>>) struct Codec<std::optional<T>> {
  static void write(Writer& out, const std::optional<T>& value) {
    out.write(value.has_value());
    if (value) out.write(*value);
  }
  static auto read(Reader& in) -> std::optional<T> {
    if (in.read<std::uint8_t>() == 0) return std::nullopt;
    return in.read<T>();
  }
};

template <Encodable A, Encodable B>
requires(!detail::Plain<std::pair<A, B>>) struct Codec<std::pair<A, B>> {
  static void write(Writer& out, const std::pair<A, B>& value) {
    out.write(value.first);
    out.write(value.second);
  }
  static auto read(Reader& in) -> std::pair<A, B> {
    auto first = in.read<std::remove_cv_t<A>>();
    auto second = in.read<B>();
    return {std::move(first), std::move(second)};
  }
};

template <Encodable... T>
requires(!detail::Plain<std::tuple<T...>>) struct Codec<std::tuple<T...>> {
  static void write(Writer& out, const std::tuple<T...>& value) {
    std::apply([&](const auto&... part) { (out.write(part), ...); }, value);
  }
  // Braces fix the order of evaluation.
  static auto read(Reader& in) -> std::tuple<T...> { return std::tuple<T...>{in.read<T>()...}; }
};

namespace detail {

template <class Map>
struct MapCodec {
  static void write(Writer& out, const Map& map) {
    out.write(static_cast<std::uint64_t>(map.size()));
    for (const auto& [key, value] : map) {
      out.write(key);
      out.write(value);
    }
  }
  static auto read(Reader& in) -> Map {
    Map map;
    const auto size = in.read<std::uint64_t>();
    for (std::uint64_t i = 0; i < size; ++i) {
      auto key = in.read<typename Map::key_type>();
      auto value = in.read<typename Map::mapped_type>();
      map.emplace(std::move(key), std::move(value));
    }
    return map;
  }
};

}  // namespace detail

template <Encodable K, Encodable V>
struct Codec<std::map<K, V>> : detail::MapCodec<std::map<K, V>> {};
template <Encodable K, Encodable V>
struct Codec<std::unordered_map<K, V>> : detail::MapCodec<std::unordered_map<K, V>> {};

}  // namespace tensair::net
