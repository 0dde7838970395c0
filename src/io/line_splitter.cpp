#include <algorithm>
#include <tensair/io/line_splitter.hpp>

namespace tensair {
namespace {

constexpr std::size_t block = 256 * 1024;     // fits a core's second-level cache, so lines are found there
constexpr std::size_t beginning_length = 80;  // of a line that is too long, for people

}  // namespace

auto LineSplitter::room() -> std::span<char> {
  if (end_ - begin_ > max_line_ && !skipping_) {
    note_too_long({buffer_.data() + begin_, end_ - begin_});
    skipping_ = true;
    ++lines_;
  }
  if (skipping_) begin_ = scanned_;  // of a line that is skipped nothing is kept
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    base_ += begin_;
    scanned_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  // Doubling, so that a long line is moved a number of times that grows with the logarithm of its length.
  if (buffer_.size() - end_ < block / 2) buffer_.resize(std::max(block, 2 * buffer_.size()));
  return {buffer_.data() + end_, buffer_.size() - end_};
}

auto LineSplitter::rest() -> std::optional<std::string_view> {
  const std::string_view line{buffer_.data() + begin_, end_ - begin_};
  begin_ = scanned_ = end_;
  if (std::exchange(skipping_, false) || line.empty()) return std::nullopt;
  ++lines_;
  if (line.size() <= max_line_) return line;
  note_too_long(line);
  return std::nullopt;
}

void LineSplitter::clear(std::uint64_t position, std::uint64_t lines) {
  begin_ = scanned_ = end_ = 0;
  base_ = position;
  lines_ = lines;
  skipping_ = too_long_ = false;
}

auto LineSplitter::after_too_long(std::string_view line) -> std::optional<std::string_view> {
  if (std::exchange(skipping_, false)) {
    --lines_;  // it was counted, and said to be too long, when its beginning was seen
  } else {
    note_too_long(line);
  }
  return std::nullopt;
}

void LineSplitter::note_too_long(std::string_view line) {
  too_long_ = true;
  beginning_ = line.substr(0, beginning_length);
}

}  // namespace tensair
