#pragma once

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <tensair/error.hpp>

namespace tensair::detail {

/// What a file that a flag names contains.
/// @throws UsageError  "WHAT cannot be read: why"
inline auto read_file(const std::filesystem::path& file, const std::string& what, const std::string& remedy)
    -> std::string {
  errno = 0;
  std::ifstream in{file, std::ios::binary};
  std::string text;
  // Not by iterators, which pass on what a file's buffer throws.
  for (std::array<char, 4'096> some; in.read(some.data(), some.size()) || in.gcount() > 0;) {
    text.append(some.data(), static_cast<std::size_t>(in.gcount()));
  }
  if (!in.is_open() || in.bad())
    throw UsageError(what + " cannot be read: " + std::strerror(errno), file.string(), remedy);
  return text;
}

}  // namespace tensair::detail
