#pragma once

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <tensair/error.hpp>

namespace tensair::detail {

/// What a file that a flag names contains.
/// @throws UsageError  "WHAT cannot be read: why"
inline auto read_file(const std::filesystem::path& file, const std::string& what, const std::string& remedy)
    -> std::string {
  errno = 0;
  std::ifstream in{file, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in.is_open() || in.bad())
    throw UsageError(what + " cannot be read: " + std::strerror(errno), file.string(), remedy);
  return text;
}

}  // namespace tensair::detail
