// Which library's functions do it, on bytes in one piece. Both want to be told how much there is room for, and neither
// writes more.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <tensair/net/compressed.hpp>
#include <utility>

#ifdef TENSAIR_HAS_LZ4
#include <lz4.h>
#endif
#ifdef TENSAIR_HAS_ZSTD
#include <zstd.h>
#endif

namespace tensair::net {
namespace {

// How much longer than it need be a compressed message may be: who reads it must find zeros there.
auto least_size(std::uint64_t plain) -> std::uint64_t {
  return (plain + most_expansion - 1) / most_expansion;
}

#ifdef TENSAIR_HAS_LZ4
// The bytes written, 0 if they do not fit.
auto by_lz4(std::span<const std::byte> plain, std::span<std::byte> to) -> std::size_t {
  if (plain.size() > LZ4_MAX_INPUT_SIZE) return 0;
  return static_cast<std::size_t>(LZ4_compress_default(reinterpret_cast<const char*>(plain.data()),
                                                       reinterpret_cast<char*>(to.data()),
                                                       static_cast<int>(plain.size()), static_cast<int>(to.size())));
}

auto of_lz4(std::span<const std::byte> packed, std::span<std::byte> to) -> bool {
  if (packed.size() > LZ4_MAX_INPUT_SIZE || to.size() > LZ4_MAX_INPUT_SIZE) return false;
  const int written =
      LZ4_decompress_safe(reinterpret_cast<const char*>(packed.data()), reinterpret_cast<char*>(to.data()),
                          static_cast<int>(packed.size()), static_cast<int>(to.size()));
  return written >= 0 && static_cast<std::size_t>(written) == to.size();
}
#endif

#ifdef TENSAIR_HAS_ZSTD
// Level 1 loses a twentieth of the size to the library's own default, 3, and takes half the time.
constexpr int zstd_level = 1;

// A context is some hundred kilobytes, and is best used again; a thread compresses one message at a time.
auto by_zstd(std::span<const std::byte> plain, std::span<std::byte> to) -> std::size_t {
  using Context = std::unique_ptr<ZSTD_CCtx, decltype([](ZSTD_CCtx* context) { ZSTD_freeCCtx(context); })>;
  static thread_local const Context context{ZSTD_createCCtx()};
  if (!context) throw std::bad_alloc();
  const auto bytes = ZSTD_compressCCtx(context.get(), to.data(), to.size(), plain.data(), plain.size(), zstd_level);
  return ZSTD_isError(bytes) != 0 ? 0 : bytes;
}

auto of_zstd(std::span<const std::byte> packed, std::span<std::byte> to) -> bool {
  using Context = std::unique_ptr<ZSTD_DCtx, decltype([](ZSTD_DCtx* context) { ZSTD_freeDCtx(context); })>;
  static thread_local const Context context{ZSTD_createDCtx()};
  if (!context) throw std::bad_alloc();
  const auto bytes = ZSTD_decompressDCtx(context.get(), to.data(), to.size(), packed.data(), packed.size());
  return ZSTD_isError(bytes) == 0 && bytes == to.size();
}
#endif

auto pack(compression method, [[maybe_unused]] std::span<const std::byte> plain,
          [[maybe_unused]] std::span<std::byte> to) -> std::size_t {
#ifdef TENSAIR_HAS_LZ4
  if (method == compression::lz4) return by_lz4(plain, to);
#endif
#ifdef TENSAIR_HAS_ZSTD
  if (method == compression::zstd) return by_zstd(plain, to);
#endif
  throw Error(fmt::format("nothing can be compressed by {}", to_string(method)));
}

auto unpack(compression method, [[maybe_unused]] std::span<const std::byte> packed,
            [[maybe_unused]] std::span<std::byte> to) -> bool {
#ifdef TENSAIR_HAS_LZ4
  if (method == compression::lz4) return of_lz4(packed, to);
#endif
#ifdef TENSAIR_HAS_ZSTD
  if (method == compression::zstd) return of_zstd(packed, to);
#endif
  throw Malformed(
      fmt::format("a message compressed by {}, which this build of tensair does not have", to_string(method)));
}

auto in_one_piece(const Message& message) -> Payload {
  Payload whole;
  whole.reserve(message.size());
  whole.insert(whole.end(), message.head.begin(), message.head.end());
  for (const auto part : message.bulk) whole.insert(whole.end(), part.begin(), part.end());
  return whole;
}

}  // namespace

auto write_compressed(Writer& out, const Message& message, compression method) -> bool {
  if (message.size() < least_compressed) return false;
  const auto plain = in_one_piece(message);
  // The message around the compressed bytes has a head, which must be gained, too.
  constexpr std::size_t head = 32;
  Payload packed(plain.size() - head - 1);
  auto bytes = pack(method, plain, packed);
  if (bytes == 0) return false;
  const auto padded = std::max<std::uint64_t>(bytes, least_size(plain.size()));
  std::memset(packed.data() + bytes, 0, padded - bytes);
  out.write(static_cast<std::uint8_t>(method));
  out.write(static_cast<std::uint64_t>(plain.size()));
  out.write(static_cast<std::uint64_t>(bytes));
  out.refer_copy(std::span{packed}.first(padded));
  return true;
}

auto read_compressed(Reader& in) -> Payload {
  const auto method = static_cast<compression>(in.read<std::uint8_t>());
  const auto size = in.read<std::uint64_t>();
  const auto bytes = in.read<std::uint64_t>();
  if (method != compression::lz4 && method != compression::zstd) {
    throw Malformed(fmt::format("a message compressed by an unknown method, {}", static_cast<int>(method)));
  }
  const auto refuse = [&](const std::string& why) {
    throw Malformed(fmt::format("a message compressed by {}: {}", to_string(method), why));
  };
  const auto sent = in.bulk_left();
  if (size < least_compressed) refuse(fmt::format("{} bytes are too few", size));
  if (size / most_expansion > sent || least_size(size) > sent) {
    refuse(fmt::format("{} bytes cannot become {}", sent, size));
  }
  const auto padded = std::max(bytes, least_size(size));
  if (padded > sent) refuse("it ends early");
  const auto packed = in.bulk(padded);
  if (std::any_of(packed.begin() + static_cast<std::ptrdiff_t>(bytes), packed.end(),
                  [](std::byte b) { return b != std::byte{0}; })) {
    refuse("something stands behind its end");
  }
  Payload plain(size);
  if (!unpack(method, packed.first(bytes), plain)) refuse(fmt::format("it does not become {} bytes", size));
  return plain;
}

}  // namespace tensair::net
