#pragma once

#include <filesystem>
#include <string>
#include <tensair/flags.hpp>
#include <vector>

namespace tensair::detail {

/// A cluster, as a file describes it, by rank.
struct ClusterFile {
  std::vector<std::string> addresses;
  std::vector<NodeSpec> specs;
};

/// Reads `{"nodes": [{"address": "10.0.0.1:7700", "workers": 8, "labels": ["gpu"]}, …]}`; only the address must be
/// there.
/// @throws UsageError  the file cannot be read, or says something else; names the node and what is wrong
auto read_cluster_file(const std::filesystem::path& file) -> ClusterFile;

}  // namespace tensair::detail
