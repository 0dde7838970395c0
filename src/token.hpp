#pragma once

#include <filesystem>
#include <string>

namespace tensair::detail {

/// The cluster's token as a file has it, without the white space at its end.
/// @throws UsageError  the file cannot be read, or has no token of 16 to 4096 bytes
auto read_token(const std::filesystem::path& file) -> std::string;

/// The token that a variable has.
/// @throws UsageError  it is none; names the variable and not the token
auto checked_token(const std::string& source, std::string text) -> std::string;

/// A new token: 256 bits of the operating system's randomness, as text.
auto random_token() -> std::string;

}  // namespace tensair::detail
