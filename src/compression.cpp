#include <fmt/format.h>

#include <tensair/compression.hpp>
#include <tensair/error.hpp>

namespace tensair {

auto to_string(compression method) -> std::string {
  switch (method) {
    case compression::none:
      return "none";
    case compression::lz4:
      return "lz4";
    case compression::zstd:
      return "zstd";
  }
  return "unknown";
}

auto is_available(compression method) -> bool {
  switch (method) {
    case compression::none:
      return true;
    case compression::lz4:
#ifdef TENSAIR_HAS_LZ4
      return true;
#else
      return false;
#endif
    case compression::zstd:
#ifdef TENSAIR_HAS_ZSTD
      return true;
#else
      return false;
#endif
  }
  return false;
}

void require_available(compression method, const std::string& place) {
  if (is_available(method)) return;
  throw UsageError(fmt::format("this build of tensair has no {}", to_string(method)), place,
                   "Build it where that library's development files are, or compress otherwise.");
}

}  // namespace tensair
