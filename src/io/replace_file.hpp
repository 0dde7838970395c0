#pragma once

#include <filesystem>
#include <string_view>

namespace tensair {

/// Puts `bytes` into `file`, so that whoever reads it sees the old content or the new, never half: written beside it
/// and renamed. What is there and is no regular file (a device, a pipe) is written to as it is.
/// @throws Error  names the file and says why
void replace_file(const std::filesystem::path& file, std::string_view bytes);

/// Checks now what would fail after hours of work: that the folder exists and `file` is not a folder itself.
/// @throws UsageError
void check_replaceable(const std::filesystem::path& file);

}  // namespace tensair
