#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tensair/io/text_reader.hpp>

namespace tensair {
namespace {

// How long a reader that waits for a pipe may overlook that the run has failed.
constexpr int patience_ms = 100;

[[noreturn]] void fail(const char* what, const std::filesystem::path& path, int error) {
  throw Error(fmt::format("{}: {}", what, std::strerror(error)), path.string(),
              "Check that it exists and may be read.");
}

// The size of a regular file; nothing for what has none.
auto size_of(const std::filesystem::path& path) -> std::optional<std::uint64_t> {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) fail("a file cannot be opened", path, errno);
  if (!S_ISREG(status.st_mode)) return std::nullopt;
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace

TextReader::TextReader(FileList files, TextOptions options) : splitter_(options.max_line), max_line_(options.max_line) {
  if (options.max_line == 0) throw UsageError("max_line is 0", "a source of text", "Give it the longest line's bytes.");
  for (auto& path : files.paths) parts_.push_back({std::move(path)});
}

void TextReader::split_by_files(int part, int parts) {
  std::vector<Part> own;
  for (auto i = static_cast<std::size_t>(part); i < parts_.size(); i += static_cast<std::size_t>(parts))
    own.push_back(std::move(parts_[i]));
  parts_ = std::move(own);
}

void TextReader::split_by_bytes(int part, int parts) {
  if (parts == 1) return;
  std::vector<std::uint64_t> sizes;
  std::uint64_t all = 0;
  for (const auto& one : parts_) {
    const auto size = size_of(one.path);
    if (!size) {
      split_by_files(part, parts);
      return;
    }
    all += sizes.emplace_back(*size);
  }
  // The bytes of all files in a row, cut into equal parts.
  const auto cut = [&](int i) { return all / static_cast<std::uint64_t>(parts) * static_cast<std::uint64_t>(i); };
  const auto from = cut(part);
  const auto to = part + 1 == parts ? all : cut(part + 1);
  std::vector<Part> own;
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < parts_.size(); begin += sizes[i++]) {
    const auto end = begin + sizes[i];
    if (end <= from || begin >= to) continue;
    parts_[i].from = std::max(from, begin) - begin;
    parts_[i].to = to >= end ? whole : to - begin;
    own.push_back(std::move(parts_[i]));
  }
  parts_ = std::move(own);
}

auto TextReader::next_slowly() -> std::optional<std::string_view> {
  report_too_long();
  while (true) {
    if (!file_.is_open() && !open()) return std::nullopt;
    while (splitter_.position() < end_) {
      if (auto line = splitter_.next()) return line;
      report_too_long();
      if (splitter_.pending()) continue;
      if (fill()) {
        report_too_long();
        continue;
      }
      if (stopped_) return std::nullopt;  // what there is of a line is no line
      auto rest = splitter_.rest();
      report_too_long();
      if (rest) return rest;
      break;
    }
    close();
  }
}

auto TextReader::open() -> bool {
  if (start_) current_ = start_->file;
  if (current_ >= parts_.size()) return false;
  const auto& part = parts_[current_];
  file_ = FileDescriptor{::open(part.path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (!file_.is_open() || ::fstat(file_.number(), &status) != 0) fail("a file cannot be opened", part.path, errno);
  regular_ = S_ISREG(status.st_mode);
  last_ = current_;
  end_ = part.to;
  if (start_ && start_->byte > 0) {
    if (regular_ && static_cast<std::uint64_t>(status.st_size) < start_->byte)
      throw Error("a file is shorter than when it was read before", part.path.string(),
                  "Start without the saved state.");
    if (::lseek(file_.number(), static_cast<off_t>(start_->byte), SEEK_SET) < 0)
      fail("a file cannot be read from its middle", part.path, errno);
    splitter_.clear(start_->byte, start_->line);
  } else if (part.from > 0) {
    // From the byte before on: if that is the end of a line, a line begins here, else in the middle of one.
    if (::lseek(file_.number(), static_cast<off_t>(part.from - 1), SEEK_SET) < 0)
      fail("a file cannot be read from its middle", part.path, errno);
    splitter_.clear(part.from - 1);
    start_.reset();
    skip_begun_line();
    return true;
  } else {
    splitter_.clear();
  }
  start_.reset();
  return true;
}

void TextReader::close() {
  file_.close();
  end_ = 0;
  ++current_;
  splitter_.clear();
}

// The line in the middle of which this part begins belongs to the part before, which also reports it if it is too long.
void TextReader::skip_begun_line() {
  while (!splitter_.next() && !splitter_.too_long()) {
    if (fill()) {
      if (splitter_.too_long()) break;  // the splitter skips what is left of it
    } else {
      splitter_.rest();
      static_cast<void>(splitter_.too_long());
      break;
    }
  }
  splitter_.count_from(0);
}

auto TextReader::fill() -> bool {
  const auto room = splitter_.room();
  while (true) {
    if (!regular_) {
      pollfd wait{.fd = file_.number(), .events = POLLIN, .revents = 0};
      while (::poll(&wait, 1, patience_ms) == 0) {
        stopped_ = stop_.stop_requested();
        if (stopped_) return false;
      }
    }
    const auto bytes = ::read(file_.number(), room.data(), room.size());
    if (bytes > 0) splitter_.filled(static_cast<std::size_t>(bytes));
    if (bytes >= 0) return bytes > 0;
    if (errno != EINTR) fail("a file cannot be read to its end", path(), errno);
  }
}

void TextReader::report_too_long() {
  if (!splitter_.too_long()) return;
  throw BadRecord(fmt::format("a line is longer than {} bytes", max_line_), place(),
                  "Raise max_line, or check that this is text.", splitter_.beginning());
}

auto TextReader::offset() const -> FileOffset {
  if (start_) return *start_;
  if (!file_.is_open()) return {current_, 0, 0};
  return {current_, splitter_.position(), splitter_.lines()};
}

void TextReader::seek(const FileOffset& offset) {
  file_.close();
  end_ = 0;
  splitter_.clear();
  start_ = offset;
}

auto TextReader::path() const -> const std::filesystem::path& {
  return parts_.at(last_).path;
}

auto TextReader::place() const -> std::string {
  const auto& part = parts_.at(last_);
  return part.from == 0 ? fmt::format("{}, line {}", part.path.string(), splitter_.lines())
                        : fmt::format("{}, line {} after byte {}", part.path.string(), splitter_.lines(), part.from);
}

}  // namespace tensair
