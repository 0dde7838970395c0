#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tensair/error.hpp>
#include <tensair/flags.hpp>

namespace tensair::detail {

constexpr int most_nodes = 1024;
constexpr int most_threads = 4096;

/// What the command line said about this node's place, before the environment is asked.
struct Given {
  std::optional<int> local, rank, threads;
  std::optional<std::string> nodes, cluster;
};

/// Fills in `local`, `nodes`, `specs`, `rank`, `threads`, `listen_socket` and, unless a file gave it, `token`: flags
/// first, then the environment.
/// @throws UsageError  when they contradict each other, or do not say enough
void place(Options& options, const Given& given, const Flags::Environment& environment);

/// @throws UsageError  unless it is host:port; `source` says who gave it
void check_address(const std::string& source, std::string_view address);

/// "--threads takes a whole number, not 'x'"; `name` is a flag or a variable.
auto bad_value(const std::string& name, const std::string& takes, const std::string& text) -> UsageError;

/// @throws UsageError  unless the text is a whole number from `low` to `high`
auto read_whole(const std::string& name, const std::string& text, int low, int high) -> int;

}  // namespace tensair::detail
