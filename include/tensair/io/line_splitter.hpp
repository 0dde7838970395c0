#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tensair {

/// Cuts bytes that arrive in blocks of any size into lines, without a copy: a line is a view into the block, valid
/// until `room` or `clear` is called. Only a line feed ends a line and everything else is left as it is, bytes that are
/// no UTF-8 and a carriage return before the end included.
///
/// @code
/// tensair::LineSplitter splitter{1 << 20};
/// while (const auto bytes = std::fread(splitter.room().data(), 1, splitter.room().size(), stdin)) {
///   splitter.filled(bytes);
///   while (splitter.pending()) {
///     if (const auto line = splitter.next()) print(*line);
///   }
/// }
/// if (const auto last = splitter.rest()) print(*last);
/// @endcode
class LineSplitter {
 public:
  /// @param max_line  the longest line, in bytes: a longer one is skipped, and `too_long` says so
  explicit LineSplitter(std::size_t max_line) : max_line_(max_line) {}

  /// Where the next block is to be written; never empty. Moves an unfinished line to the front.
  auto room() -> std::span<char>;
  /// So much of the room has been written to.
  void filled(std::size_t bytes) { end_ += bytes; }

  /// Whether `next` has not seen all that is there.
  auto pending() const -> bool { return scanned_ < end_; }

  /// The next line without its '\n', or nothing when it is not complete yet, or was too long (see `too_long`).
  auto next() -> std::optional<std::string_view> {
    const char* data = buffer_.data();
    const auto* newline =
        scanned_ == end_ ? nullptr : static_cast<const char*>(std::memchr(data + scanned_, '\n', end_ - scanned_));
    if (newline == nullptr) {
      scanned_ = end_;
      return std::nullopt;
    }
    const std::string_view line{data + begin_, static_cast<std::size_t>(newline - data) - begin_};
    begin_ = scanned_ = begin_ + line.size() + 1;
    ++lines_;
    if (skipping_ || line.size() > max_line_) [[unlikely]]
      return after_too_long(line);
    return line;
  }

  /// What is left at the end: the last line, when it has no '\n'.
  auto rest() -> std::optional<std::string_view>;

  /// Whether a line was too long since the last question. What is left of it is skipped by itself.
  auto too_long() -> bool { return std::exchange(too_long_, false); }
  /// The beginning of the line that was.
  auto beginning() const -> const std::string& { return beginning_; }

  /// Bytes before the next line, since the beginning or what `clear` said.
  auto position() const -> std::uint64_t { return base_ + begin_; }
  /// Lines so far, the one that was given last included.
  auto lines() const -> std::uint64_t { return lines_; }

  /// Counts lines from here on.
  void count_from(std::uint64_t lines) { lines_ = lines; }

  /// Forgets all that is there: the next block begins at this position, after so many lines.
  void clear(std::uint64_t position = 0, std::uint64_t lines = 0);

 private:
  auto after_too_long(std::string_view line) -> std::optional<std::string_view>;
  void note_too_long(std::string_view line);

  std::size_t max_line_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, scanned_ = 0, end_ = 0;  // in the buffer: the line, where to look for its end, what is there
  std::uint64_t base_ = 0;                         // the position of the buffer's first byte
  std::uint64_t lines_ = 0;
  bool skipping_ = false, too_long_ = false;
  std::string beginning_;
};

}  // namespace tensair
