#pragma once

#include <string>

namespace tensair {

/// How records are made smaller on their way to another node: see `Stream::compress`.
enum class compression {
  none,  ///< as they are
  lz4,   ///< fast: text becomes 0.6 to 0.75 of what it was, at 250 MB/s a core and more
  zstd,  ///< smaller: text becomes 0.4 to 0.5 of what it was, at 150 MB/s a core and more
};

/// "none", "lz4", "zstd".
auto to_string(compression method) -> std::string;

/// Whether this build of the library can do it: lz4 and zstd are libraries that it can be built without.
auto is_available(compression method) -> bool;

/// @throws UsageError  it is not available; `place` is what asked for it
void require_available(compression method, const std::string& place);

}  // namespace tensair
