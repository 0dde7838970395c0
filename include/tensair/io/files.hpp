#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <istream>
#include <optional>
#include <string>
#include <tensair/error.hpp>
#include <tensair/runtime/node.hpp>
#include <utility>
#include <vector>

namespace tensair {

/// The files of a folder whose names match `pattern` (`*` stands for any text), in order of name.
/// @throws Error  the folder does not exist, cannot be read, or holds no such file
auto find_files(const std::filesystem::path& folder, const std::string& pattern = "*")
    -> std::vector<std::filesystem::path>;

/// A source that reads a set of files, shared out among the nodes: node r of n reads every n-th file, from the r-th on.
///
/// @code
/// auto lines = pipeline.source(tensair::files(tensair::find_files("logs", "*.txt"), tensair::read_line));
/// @endcode
/// @param read  `std::optional<T> read(std::istream&)`: the next record of the file, or nothing at its end
template <class Read>
class Files {
 public:
  using value_type = typename std::invoke_result_t<Read&, std::istream&>::value_type;
  static constexpr bool occupies_thread = true;

  Files(std::vector<std::filesystem::path> paths, Read read) : paths_(std::move(paths)), read_(std::move(read)) {}

  void split(int part, int parts) {
    std::vector<std::filesystem::path> own;
    for (auto i = static_cast<std::size_t>(part); i < paths_.size(); i += static_cast<std::size_t>(parts))
      own.push_back(paths_[i]);
    paths_ = std::move(own);
  }

  /// @throws Error  a file cannot be opened or read; names it
  auto next() -> std::optional<value_type> {
    while (true) {
      if (!stream_.is_open()) {
        if (next_ == paths_.size()) return std::nullopt;
        stream_.open(paths_[next_], std::ios::binary);
        if (!stream_)
          throw Error("a file cannot be opened", paths_[next_].string(), "Check that it exists and may be read.");
      }
      if (auto record = read_(static_cast<std::istream&>(stream_))) return record;
      if (stream_.bad())
        throw Error("a file cannot be read to its end", paths_[next_].string(), "Check the disk it is on.");
      stream_.close();
      stream_.clear();
      ++next_;
    }
  }

 private:
  std::vector<std::filesystem::path> paths_;
  Read read_;
  std::ifstream stream_;
  std::size_t next_ = 0;
};

/// @see Files
template <class Read>
auto files(std::vector<std::filesystem::path> paths, Read read) -> Files<Read> {
  return {std::move(paths), std::move(read)};
}

/// One line of text without its end: a reader for `files`.
auto read_line(std::istream& stream) -> std::optional<std::string>;

}  // namespace tensair
