#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <tensair/io/file_descriptor.hpp>
#include <tensair/io/line_splitter.hpp>
#include <tensair/runtime/source.hpp>
#include <utility>

namespace tensair {

/// How a file is followed.
struct FollowOptions {
  bool from_end = false;  ///< only what is written from now on
  /// How often to look whether there is more.
  Duration interval = std::chrono::milliseconds{100};
  /// The stream ends when so long nothing has been written; by default it never does.
  Duration end_after = Duration::max();
  std::size_t max_line = 16 << 20;  ///< bytes; a longer line is a `BadRecord`
};

/// A place in a file that is followed: which file, by its identity on its disk, and how far it is read.
struct FollowOffset {
  std::uint64_t device = 0, inode = 0, byte = 0, line = 0;

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& device& inode& byte& line;
  }
  friend auto operator==(const FollowOffset&, const FollowOffset&) -> bool = default;
};

/// A source of the lines of a file that grows: what `follow` makes.
class Follow {
 public:
  using value_type = std::string_view;

  Follow(std::filesystem::path path, FollowOptions options);

  void open(runtime::Node& node) { clock_ = &node.clock(); }
  auto poll() -> Poll<std::string_view>;
  auto offset() const -> FollowOffset {
    return sought_ ? *sought_ : FollowOffset{device_, inode_, splitter_.position(), splitter_.lines()};
  }
  void seek(const FollowOffset& offset) { sought_ = offset; }

 private:
  auto line(bool ended = false) -> std::optional<std::string_view>;
  auto read_more() -> bool;
  auto replaced() const -> bool;
  auto truncated() const -> bool;
  void open_file();

  std::filesystem::path path_;
  FollowOptions options_;
  const Clock* clock_ = nullptr;
  FileDescriptor file_;
  LineSplitter splitter_;
  std::uint64_t device_ = 0, inode_ = 0;
  std::optional<FollowOffset> sought_;
  bool first_ = true, last_look_ = false;
  std::optional<Time> quiet_since_;
};

/// A source of the lines of a file as it grows, on node 0, like `tail -F`. Without a thread: it looks every `interval`.
///
/// A line is given when its end has been written. When the file is replaced (rotated: another file has its name), the
/// old one is read to its end, and its last line counts even without an end; then the new one is read from its start.
/// When the file has shrunk it is read again from its start. A file that does not exist is waited for. Records are
/// views, as those of `lines` are. Not seen are: what is written and truncated between two looks, and a file that was
/// truncated and has grown beyond its old size meanwhile.
/// @throws Error      the file exists and cannot be read
/// @throws BadRecord  a line is longer than `max_line`
///
/// @code
/// pipeline.source(tensair::follow("/var/log/access.log", {.from_end = true})).filter(is_error).sink(print);
/// @endcode
inline auto follow(std::filesystem::path path, FollowOptions options = {}) -> Follow {
  return {std::move(path), options};
}

}  // namespace tensair
