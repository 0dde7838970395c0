#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <tensair/error.hpp>
#include <tensair/net/compressed.hpp>

#include "catch.hpp"

using namespace tensair;

namespace {

auto flatten(const net::Message& message) -> net::Payload {
  net::Payload payload = message.head;
  for (const auto part : message.bulk) payload.insert(payload.end(), part.begin(), part.end());
  return payload;
}

// A message that refers to the text.
auto message_of(std::string_view text) -> net::Message {
  net::Message message;
  message.head.resize(16, std::byte{7});
  message.bulk.push_back(std::as_bytes(std::span{text}));
  return message;
}

auto compressed(const net::Message& message, enum compression method) -> std::optional<net::Payload> {
  net::Writer writer{1};
  if (!net::write_compressed(writer, message, method)) return std::nullopt;
  return flatten(*writer.finish());
}

auto plain(const net::Payload& payload) -> net::Payload {
  net::Reader reader{payload};
  return net::read_compressed(reader);
}

// What a peer may send: the parts of a compressed message, whether they fit together or not.
auto said(std::uint8_t method, std::uint64_t size, std::uint64_t bytes, const std::string& packed) -> net::Payload {
  net::Writer writer{1};
  writer.write(method);
  writer.write(size);
  writer.write(bytes);
  writer.refer_copy(std::as_bytes(std::span{packed}));
  return flatten(*writer.finish());
}

auto english() -> std::string {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "It was the best of times, it was the worst of times (" + std::to_string(i) + "). ";
  return text;
}

auto noise(std::size_t size) -> std::string {
  std::mt19937 random{1};
  std::string bytes(size, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

auto methods() -> std::vector<enum compression> {
  std::vector<enum compression> all;
  for (const auto method : {compression::lz4, compression::zstd}) {
    if (is_available(method)) all.push_back(method);
  }
  return all;
}

}  // namespace

TEST_CASE("a compressed message is smaller, and becomes what it was", "[net][compression]") {
  const auto text = english();
  const auto message = message_of(text);
  for (const auto method : methods()) {
    INFO(to_string(method));
    const auto packed = compressed(message, method);
    REQUIRE(packed);
    CHECK(packed->size() < message.size() / 4);
    CHECK(plain(*packed) == flatten(message));
  }
}

TEST_CASE("what does not become smaller, and what is short, is not compressed", "[net][compression]") {
  for (const auto method : methods()) {
    INFO(to_string(method));
    CHECK_FALSE(compressed(message_of(noise(10'000)), method));
    CHECK_FALSE(compressed(message_of(std::string(net::least_compressed - 17, 'a')), method));
    CHECK(compressed(message_of(std::string(net::least_compressed, 'a')), method));
  }
}

TEST_CASE("a message is compressed only if it becomes smaller with all that is around it", "[net][compression]") {
  // Noise that repeats itself a little: somewhere on the way compressing begins to pay.
  for (const auto method : methods()) {
    int smaller = 0;
    for (std::size_t repeated = 0; repeated < 200; ++repeated) {
      const auto text = noise(500) + noise(repeated);
      const auto message = message_of(text);
      const auto packed = compressed(message, method);
      if (!packed) continue;
      ++smaller;
      CHECK(packed->size() < message.size());
    }
    INFO(to_string(method));
    CHECK(smaller > 0);
    CHECK(smaller < 200);
  }
}

TEST_CASE("what becomes almost nothing is sent with so much behind it that a receiver may believe it",
          "[net][compression]") {
  const std::string zeros(10'000'000, '\0');
  const auto message = message_of(zeros);
  for (const auto method : methods()) {
    INFO(to_string(method));
    const auto packed = compressed(message, method);
    REQUIRE(packed);
    CHECK(packed->size() >= message.size() / net::most_expansion);
    CHECK(packed->size() < message.size() / net::most_expansion * 3 / 2);
    CHECK(plain(*packed) == flatten(message));
  }
}

TEST_CASE("a block of LZ4 as its specification has it is read", "[net][compression]") {
  if (!is_available(compression::lz4)) return;
  // Literals only: a token with 15 in its upper half, the rest of the length, the bytes. (LZ4 block format, "Literals")
  std::string literals;
  for (int i = 0; i < 128; ++i) literals += static_cast<char>(i);
  const auto block = std::string{"\xf0", 1} + static_cast<char>(128 - 15) + literals;
  const auto got = plain(said(1, 128, block.size(), block));
  REQUIRE(got.size() == 128);
  CHECK(std::memcmp(got.data(), literals.data(), 128) == 0);
}

TEST_CASE("a compressed message that lies about itself is malformed", "[net][compression][bad-input]") {
  const auto text = english();
  const auto message = message_of(text);
  const std::uint64_t size = message.size();
  for (const auto method : methods()) {
    INFO(to_string(method));
    const auto number = static_cast<std::uint8_t>(method);
    const auto whole = compressed(message, method).value();
    net::Reader reader{whole};
    reader.read<std::uint8_t>();
    reader.read<std::uint64_t>();
    const auto bytes = reader.read<std::uint64_t>();
    const auto bulk = reader.bulk(bytes);
    const std::string packed{reinterpret_cast<const char*>(bulk.data()), bulk.size()};
    REQUIRE(plain(said(number, size, bytes, packed)) == flatten(message));

    // Larger than it can become: refused before anything is allocated.
    for (const std::uint64_t claimed : {(bytes + 1) * net::most_expansion, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
      CHECK_THROWS_AS(plain(said(number, claimed, bytes, packed)), net::Malformed);
      CHECK_THROWS_WITH(plain(said(number, claimed, bytes, packed)),
                        Catch::Matchers::ContainsSubstring("cannot become"));
    }
    // Other than it becomes.
    for (const std::uint64_t claimed : {size - 1, size + 1, std::uint64_t{net::least_compressed}}) {
      CHECK_THROWS_WITH(plain(said(number, claimed, bytes, packed)),
                        Catch::Matchers::ContainsSubstring("does not become"));
    }
    CHECK_THROWS_AS(plain(said(number, 0, bytes, packed)), net::Malformed);
    CHECK_THROWS_AS(plain(said(number, size, bytes + 1, packed)), net::Malformed);
    CHECK_THROWS_AS(plain(said(number, size, bytes - 1, packed)), net::Malformed);
    CHECK_THROWS_AS(plain(said(number, size, ~std::uint64_t{0}, packed)), net::Malformed);
    CHECK_THROWS_AS(plain(said(3, size, bytes, packed)), net::Malformed);
    CHECK_THROWS_AS(plain(said(0, size, bytes, packed)), net::Malformed);
    for (std::size_t cut = 0; cut < whole.size(); cut += 7) {
      const net::Payload part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut));
      CHECK_THROWS_AS(plain(part), net::Malformed);
    }
  }
}

TEST_CASE("the bytes behind a short compressed message are zeros", "[net][compression][bad-input]") {
  if (!is_available(compression::zstd)) return;  // LZ4 never makes less than a 255th of anything
  const std::string zeros(100'000, '\0');
  auto packed = compressed(message_of(zeros), compression::zstd).value();
  packed.back() = std::byte{1};
  CHECK_THROWS_WITH(plain(packed), Catch::Matchers::ContainsSubstring("something stands behind its end"));
}

TEST_CASE("a method that the library was built without is a mistake that says so", "[compression]") {
  CHECK_NOTHROW(require_available(compression::none, "here"));
  for (const auto method : {compression::lz4, compression::zstd}) {
    if (is_available(method)) {
      CHECK_NOTHROW(require_available(method, "here"));
    } else {
      CHECK_THROWS_AS(require_available(method, "here"), UsageError);
      CHECK_THROWS_WITH(require_available(method, "here"),
                        Catch::Matchers::ContainsSubstring("has no " + to_string(method)));
    }
  }
}
