#pragma once

#include <filesystem>
#include <string>
#include <tensair/plan/profile.hpp>
#include <vector>

namespace tensair::detail {

/// A profile as text, of what the nodes of a run have reported (`node_figures`).
auto profile_of(const std::vector<std::string>& reports, double seconds) -> std::string;

/// @throws UsageError  the file cannot be read, or is no profile
auto read_profile(const std::filesystem::path& file) -> plan::Profile;

}  // namespace tensair::detail
