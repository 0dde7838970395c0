#pragma once

#include <string>
#include <string_view>
#include <tensair/net/codec.hpp>

namespace tensair::net {

/// A value as the bytes that would travel, to be kept: in a checkpoint, say.
template <Encodable T>
auto to_bytes(const T& value) -> std::string {
  Writer writer{0};
  writer.write(value);
  const auto message = writer.finish();
  const auto text = [](std::span<const std::byte> part) {
    return std::string_view(reinterpret_cast<const char*>(part.data()), part.size());
  };
  auto bytes = std::string{text(message->head)};
  for (const auto part : message->bulk) bytes += text(part);
  return bytes;
}

/// The value of which these are the bytes.
/// @throws Malformed  they are not such a value's; or what the type's own `serialize` throws
template <Encodable T>
auto from_bytes(std::string_view bytes) -> T {
  Reader reader{std::as_bytes(std::span(bytes))};
  return reader.read<T>();
}

}  // namespace tensair::net
