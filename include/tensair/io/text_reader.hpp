#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <tensair/io/file_descriptor.hpp>
#include <tensair/io/line_splitter.hpp>
#include <tensair/runtime/source.hpp>
#include <vector>

namespace tensair {

/// One file or several: what sources that read files take.
class FileList {
 public:
  FileList(std::filesystem::path path) : paths{std::move(path)} {}               // NOLINT(google-explicit-constructor)
  FileList(const char* path) : paths{path} {}                                    // NOLINT(google-explicit-constructor)
  FileList(const std::string& path) : paths{path} {}                             // NOLINT(google-explicit-constructor)
  FileList(std::vector<std::filesystem::path> some) : paths(std::move(some)) {}  // NOLINT(google-explicit-constructor)
  FileList(std::initializer_list<std::filesystem::path> some) : paths(some) {}

  std::vector<std::filesystem::path> paths;
};

/// How text is read.
struct TextOptions {
  std::size_t max_line = 16 << 20;  ///< bytes; a longer line is a `BadRecord`
};

/// A place between two records of a list of files.
struct FileOffset {
  std::uint64_t file = 0;  ///< which of this part's files
  std::uint64_t byte = 0;  ///< how many of its bytes are read
  std::uint64_t line = 0;  ///< how many of its lines are

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& file& byte& line;
  }
  friend auto operator==(const FileOffset&, const FileOffset&) -> bool = default;
};

/// Reads the lines of some files, one file after the other, in big blocks: what sources of text are made of.
///
/// A copy made before the first record reads for itself.
class TextReader {
 public:
  TextReader(FileList files, TextOptions options);

  /// Leaves this reader a part of the files. Other parts may be read elsewhere, from the same files.
  void split_by_files(int part, int parts);
  /// Leaves this reader the lines that begin in a part of all bytes, so that even one file can be shared out. Falls
  /// back on whole files where one has no size, such as a pipe.
  /// @throws Error  a file does not exist
  void split_by_bytes(int part, int parts);

  /// What tells a reader that waits for a pipe to give up.
  void stop_with(std::stop_token token) { stop_ = std::move(token); }

  /// The next line without its '\n', or nothing at the end of the last file. It is valid until the next call.
  /// @throws Error      a file cannot be opened or read
  /// @throws BadRecord  a line is longer than `max_line`; the next call goes on behind it
  auto next() -> std::optional<std::string_view> {
    if (splitter_.position() < end_) [[likely]] {
      if (auto line = splitter_.next()) return line;
    }
    return next_slowly();
  }

  /// Which of this part's files the line that was read last is from.
  auto file() const -> std::size_t { return last_; }

  auto offset() const -> FileOffset;
  void seek(const FileOffset& offset);

  /// Where the line that was read last is: "access.log, line 17". A part that does not begin at the file's start does
  /// not know its lines' numbers and says "line 17 after byte 4096".
  auto place() const -> std::string;
  auto path() const -> const std::filesystem::path&;
  /// The number, from 1, of the line that was read last, in its part of the file.
  auto line() const -> std::uint64_t { return splitter_.lines(); }

 private:
  static constexpr auto whole = std::numeric_limits<std::uint64_t>::max();

  struct Part {
    std::filesystem::path path;
    std::uint64_t from = 0, to = whole;  // of the bytes, where its lines begin
  };

  auto next_slowly() -> std::optional<std::string_view>;
  auto open() -> bool;
  void close();
  auto fill() -> bool;
  void skip_begun_line();
  void report_too_long();

  std::vector<Part> parts_;
  LineSplitter splitter_;
  std::size_t max_line_;
  FileDescriptor file_;
  std::size_t current_ = 0, last_ = 0;  // the file to read, and that of the line that was read last
  std::uint64_t end_ = 0;               // of the current part; 0: none is open
  std::optional<FileOffset> start_;
  bool regular_ = true;
  std::stop_token stop_;
  bool stopped_ = false;  // the run wants no more
};

}  // namespace tensair
