#include "token.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <tensair/error.hpp>
#include <utility>

#include "entropy.hpp"

namespace tensair::detail {
namespace {

// Who records a handshake can try out tokens at leisure: what a person would think up is found.
constexpr std::size_t shortest = 16;
constexpr std::size_t longest = 4096;
constexpr auto how_to_make_one = "Make one with: head -c 32 /dev/urandom | base64";

}  // namespace

auto checked_token(const std::string& source, std::string text) -> std::string {
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  if (text.size() < shortest || text.size() > longest) {
    throw UsageError{fmt::format("a cluster's token has from {} to {} bytes, not {}", shortest, longest, text.size()),
                     source, how_to_make_one};
  }
  return text;
}

auto read_token(const std::filesystem::path& file) -> std::string {
  const auto source = fmt::format("--token-file {}", file.string());
  std::ifstream in{file, std::ios::binary};
  std::string text(longest + 2,
                   '\0');  // one more than the longest with a line's end, so that it is seen to be too long
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.fail() && !in.eof())) {
    throw UsageError{fmt::format("the file of the cluster's token cannot be read: {}", std::strerror(errno)), source,
                     "Check its name and whether this user may read it."};
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  return checked_token(source, std::move(text));
}

auto random_token() -> std::string {
  std::array<std::byte, 32> bytes{};
  fill_with_entropy(bytes);
  std::string text;
  for (const auto byte : bytes) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

}  // namespace tensair::detail
