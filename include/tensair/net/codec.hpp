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
#include <variant>
#include <vector>

// How values become messages.
//
// A message has two parts: a head, into which small values are copied, and bulk, which refers to memory where it lies
// (the elements of a vector, a tensor's data) and is written to the socket from there. Reading mirrors writing: small
// values come from the head, bulk follows it. A reader never believes a length: whatever it is asked for must lie
// inside the message it was given.

// A type's own `serialize` runs on an archive of ours, not of Boost's, but as it would there (decision 007): hence the
// names that Boost.Serialization looks for in an archive, and its class versions, which cost nothing where its headers
// are not included.

namespace boost::serialization {
template <class T>
struct version;
}  // namespace boost::serialization

namespace tensair::net {

template <class T>
struct Codec;

/// A value that can cross from one node to another: trivially copyable, a standard container, tuple, optional or
/// variant of such, or a type with the usual `template <class Archive> void serialize(Archive& ar, unsigned version)`
/// whose body says `ar & a & b;`. What Boost.Serialization has for such a body may stand in it:
/// `BOOST_SERIALIZATION_NVP`, `boost::serialization::base_object`, `BOOST_SERIALIZATION_SPLIT_MEMBER`;
/// `BOOST_CLASS_VERSION` is what it gets. Not pointers, nor `serialize` functions beside a type.
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
  auto bytes() const -> std::size_t { return message_->head.size() + bulk_bytes_; }

  std::unique_ptr<Message> message_;
  std::size_t bulk_bytes_ = 0;
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
  auto left() const -> std::size_t { return head_.size() + bulk_.size(); }

  /// How many elements follow, each of which takes a byte at least. @throws Malformed  there are fewer bytes
  auto read_count() -> std::uint64_t {
    const auto count = read<std::uint64_t>();
    if (count > left()) throw_too_few_elements();
    return count;
  }

  template <class T>
  auto read() -> T {
    static_assert(Encodable<T>,
                  "this type cannot come from another node: give it a serialize(archive, version) member");
    return Codec<T>::read(*this);
  }
  /// The same into a value that there is, whose memory is used again where the type can do that.
  template <class T>
  void read_into(T& value) {
    if constexpr (requires { Codec<T>::read_into(*this, value); }) {
      Codec<T>::read_into(*this, value);
    } else {
      value = read<T>();
    }
  }

  [[noreturn]] static void throw_too_few_elements();

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

/// A value with a name, as `BOOST_SERIALIZATION_NVP` makes it; only the value is written.
template <class T>
concept Named = requires(const T& named) {
  { named.name() } -> std::convertible_to<const char*>;
  named.value();
  named.const_value();
};

/// What `serialize(archive, version)` gets on the way out and on the way in.
class WriteArchive {
 public:
  using is_saving = std::true_type;
  using is_loading = std::false_type;

  explicit WriteArchive(Writer& writer) : writer_(writer) {}
  template <class T>
  auto operator&(const T& value) -> WriteArchive& {
    if constexpr (Named<T>) {
      writer_.write(value.const_value());
    } else {
      writer_.write(value);
    }
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
  using is_saving = std::false_type;
  using is_loading = std::true_type;

  explicit ReadArchive(Reader& reader) : reader_(reader) {}
  template <class T>
  auto operator&(T& value) -> ReadArchive& {
    reader_.read_into(value);
    return *this;
  }
  template <Named T>
  auto operator&(const T& named) -> ReadArchive& {
    return *this & named.value();
  }
  template <class T>
  auto operator>>(T&& value) -> ReadArchive& {
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

/// What a type's `serialize` gets as its version: both ends are one program, so it is always the present one.
template <class T>
inline constexpr unsigned version_of = 0;
template <class T>
requires requires {
  boost::serialization::version<T>::value;
}
inline constexpr unsigned version_of<T> = static_cast<unsigned>(boost::serialization::version<T>::value);

/// A type that says that its `serialize` names nothing but its own members, and each once, so that vectors among them
/// need not be copied, and what there is of it can be read into.
template <class T>
inline constexpr bool serializes_members = requires {
  requires T::serializes_members;
};

// Which alternative one holds is a number that must not be believed, so its bytes are not taken as they are.
template <class T>
inline constexpr bool is_variant = false;
template <class... T>
inline constexpr bool is_variant<std::variant<T...>> = true;

/// Trivially copyable and without pointers that would mean nothing elsewhere, as far as the compiler can tell.
template <class T>
concept Plain = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::is_member_pointer_v<T> &&
                !std::same_as<T, std::string_view> && !is_variant<T> && !HasSerialize<T>;

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

// One whose `serialize` writes nothing takes a byte: so no number of elements in a message is greater than that of its
// bytes.
template <detail::HasSerialize T>
struct Codec<T> {
  static void write(Writer& out, const T& value) {
    const auto bytes = out.bytes();
    auto archive = detail::WriteArchive{out};
    const bool before = std::exchange(out.in_serialize_, out.in_serialize_ || !detail::serializes_members<T>);
    // serialize() is one function for both ways, so it takes a mutable reference even when it only reads.
    const_cast<T&>(value).serialize(archive, detail::version_of<T>);
    out.in_serialize_ = before;
    if (out.bytes() == bytes) out.write(std::byte{0});
  }
  static auto read(Reader& in) -> T {
    T value{};
    serialize(in, value);
    return value;
  }
  static void read_into(Reader& in, T& value) requires(detail::serializes_members<T>) { serialize(in, value); }

 private:
  static void serialize(Reader& in, T& value) {
    const auto left = in.left();
    auto archive = detail::ReadArchive{in};
    value.serialize(archive, detail::version_of<T>);
    if (in.left() == left) in.take(1);
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
    std::vector<T> values;
    read_into(in, values);
    return values;
  }
  static void read_into(Reader& in, std::vector<T>& values) {
    values.clear();
    if constexpr (raw) {
      // Not resized first: filling with zeros would take as long again as copying.
      if (const auto elements = view(in, values); values.empty()) values.assign(elements.begin(), elements.end());
    } else {
      const auto size = in.read_count();
      // What a peer announces is a claim: room is made at once for no more than the message's own bytes would fill.
      values.reserve(std::min<std::uint64_t>(size, in.left() / sizeof(T)));
      for (std::uint64_t i = 0; i < size; ++i) values.push_back(in.read<T>());
    }
  }

  /// See `net::view`.
  static auto view(Reader& in, std::vector<T>& otherwise) -> std::span<const T>
  requires raw {
    const auto size = in.read<std::uint64_t>();
    if (size > in.bulk_left() / sizeof(T)) Reader::throw_too_few_elements();
    const auto bytes = in.bulk(size * sizeof(T));
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(T) == 0)
      return {reinterpret_cast<const T*>(bytes.data()), size};
    otherwise.resize(size);
    if (size != 0) std::memcpy(static_cast<void*>(otherwise.data()), bytes.data(), bytes.size());
    return otherwise;
  }
};

/// The elements of a `std::vector<T>` that was written, where they lie in the message: no copy, and valid as long as
/// the message is. Only where they do not lie at a multiple of T's alignment (behind another vector, of smaller
/// elements) are they copied into `otherwise`.
/// @throws Malformed  the message holds fewer than it announces
template <class T>
requires(Codec<std::vector<T>>::raw) auto view(Reader& in, std::vector<T>& otherwise) -> std::span<const T> {
  return Codec<std::vector<T>>::view(in, otherwise);
}

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
    const auto size = in.read_count();
    for (std::uint64_t i = 0; i < size; ++i) {
      auto key = in.read<typename Map::key_type>();
      auto value = in.read<typename Map::mapped_type>();
      map.emplace(std::move(key), std::move(value));
    }
    return map;
  }
};

/// A set, list, deque or the like.
template <class C>
concept Collection = !Plain<C> && !HasSerialize<C> && std::default_initializable<C> &&
                     (!std::same_as<typename C::value_type, C>)&&requires(C & all, typename C::value_type one) {
  all.insert(all.end(), std::move(one));
  { all.size() } -> std::convertible_to<std::uint64_t>;
  all.begin();
};

}  // namespace detail

template <detail::Collection C>
requires Encodable<typename C::value_type>
struct Codec<C> {
  static void write(Writer& out, const C& values) {
    out.write(static_cast<std::uint64_t>(values.size()));
    for (const auto& value : values) out.write(value);
  }
  static auto read(Reader& in) -> C {
    C values;
    const auto size = in.read_count();
    for (std::uint64_t i = 0; i < size; ++i) values.insert(values.end(), in.read<typename C::value_type>());
    return values;
  }
};

template <Encodable T, std::size_t N>
requires(!detail::Plain<std::array<T, N>>) struct Codec<std::array<T, N>> {
  static void write(Writer& out, const std::array<T, N>& values) {
    for (const T& value : values) out.write(value);
  }
  static auto read(Reader& in) -> std::array<T, N> {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      // Braces fix the order of evaluation.
      return std::array<T, N>{(static_cast<void>(I), in.read<T>())...};
    }
    (std::make_index_sequence<N>{});
  }
};

template <Encodable... T>
struct Codec<std::variant<T...>> {
  static void write(Writer& out, const std::variant<T...>& value) {
    if (value.valueless_by_exception()) throw Error("a variant without a value cannot be sent to another node");
    out.write(static_cast<std::uint8_t>(value.index()));
    std::visit([&](const auto& held) { out.write(held); }, value);
  }
  static auto read(Reader& in) -> std::variant<T...> {
    static_assert(sizeof...(T) < 256);
    using Read = std::variant<T...> (*)(Reader&);
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      static constexpr Read read_one[] = {
          [](Reader& from) { return std::variant<T...>(std::in_place_index<I>, from.read<T>()); }...};
      const auto index = in.read<std::uint8_t>();
      if (index >= sizeof...(T)) throw Malformed("a variant of an alternative that there is not");
      return read_one[index](in);
    }
    (std::index_sequence_for<T...>{});
  }
};

template <Encodable K, Encodable V>
struct Codec<std::map<K, V>> : detail::MapCodec<std::map<K, V>> {};
template <Encodable K, Encodable V>
struct Codec<std::unordered_map<K, V>> : detail::MapCodec<std::unordered_map<K, V>> {};

}  // namespace tensair::net
