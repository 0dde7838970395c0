#pragma once

#include <string>

namespace tensair {

/// How records are made smaller on their way to another node: see `Stream::compress`.
enum class compression {
  none,  ///< as they are
  lz4,   ///< fast: about half of a text, at several hundred MB/s a core
  zstd,  ///< smaller: about a third of a text, at half of that speed
};

/// "none", "lz4", "zstd".
auto to_string(compression method) -> std::string;

/// Whether this build of the library can do it: lz4 and zstd are libraries that it can be built without.
auto is_available(compression method) -> bool;

/// @throws UsageError  it is not available; `place` is what asked for it
void require_available(compression method, const std::string& place);

}  // namespace tensair
