#pragma once

#include <optional>
#include <string_view>
#include <tensair/io/text_reader.hpp>
#include <utility>

namespace tensair {

/// A source of the lines of some files: what `lines` makes.
class Lines {
 public:
  using value_type = std::string_view;
  static constexpr bool occupies_thread = true;

  explicit Lines(FileList files, TextOptions options = {}) : reader_(std::move(files), options) {}

  void split(int part, int parts) { reader_.split_by_bytes(part, parts); }
  void open(runtime::Node& node) { reader_.stop_with(node.stop_token()); }
  auto next() -> std::optional<std::string_view> {
    auto line = reader_.next();
    if (line && line->ends_with('\r')) line->remove_suffix(1);
    return line;
  }
  auto offset() const -> FileOffset { return reader_.offset(); }
  void seek(const FileOffset& offset) { reader_.seek(offset); }

 private:
  TextReader reader_;
};

/// A source of the lines of one file or several, shared out among the nodes by bytes, so that even one file is read by
/// all. The files must not change meanwhile.
///
/// A record is a `std::string_view` into the block that was read, without the line's end ("\n" or "\r\n"). It is valid
/// until the operators that are fused behind the source have returned; where a record is kept (a batch, a stream that
/// is used twice, another node) it becomes a `std::string` by itself. A lambda that keeps it must copy it. A last line
/// without an end counts. Bytes that are no UTF-8 pass untouched.
///
/// @throws Error      a file cannot be opened or read; names it
/// @throws BadRecord  a line is longer than `max_line` (16 MiB); names file and line
///
/// @code
/// pipeline.source(tensair::lines("access.log"))
///     .filter([](std::string_view line) { return line.find(" 500 ") != line.npos; })
///     .sink([](std::string_view line) { std::printf("%.*s\n", static_cast<int>(line.size()), line.data()); });
/// @endcode
inline auto lines(FileList files, TextOptions options = {}) -> Lines {
  return Lines{std::move(files), options};
}

}  // namespace tensair
