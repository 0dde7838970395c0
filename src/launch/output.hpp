#pragma once

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "file_descriptor.hpp"

namespace tensair::detail {

constexpr std::size_t longest_line = 1 << 20;    // bytes; a longer one is cut, so that memory stays bounded
constexpr std::size_t most_unwritten = 1 << 18;  // bytes kept for a slow reader before nodes are held up

/// One of the launcher's own output streams, with the lines it has not taken yet.
class Output {
 public:
  explicit Output(int file) : file_(file) {}

  void add(std::string_view text) {
    if (!closed_) unwritten_ += text;
  }
  auto wants_to_write() const -> bool { return !unwritten_.empty(); }
  auto is_full() const -> bool { return unwritten_.size() > most_unwritten; }
  auto file() const -> int { return file_; }

  /// To be called when poll says that it can take something: a pipe then takes this much without blocking.
  void write_some() {
    const auto written = write(file_, unwritten_.data(), std::min<std::size_t>(unwritten_.size(), PIPE_BUF));
    if (written >= 0) {
      unwritten_.erase(0, static_cast<std::size_t>(written));
    } else if (errno != EINTR && errno != EAGAIN) {
      closed_ = true;
      unwritten_.clear();
    }
  }

 private:
  int file_;
  bool closed_ = false;
  std::string unwritten_;
};

/// One output stream of one node.
class Source {
 public:
  Source(FileDescriptor file, int rank, Output& output)
      : file_(std::move(file)), prefix_(fmt::format("[{}] ", rank)), output_(&output) {
    make_non_blocking(file_);
  }

  auto file() const -> int { return file_.get(); }
  auto is_open() const -> bool { return file_.get() >= 0; }
  auto output() const -> const Output& { return *output_; }

  /// Reads what there is, but `most` bytes at most, and tells how many.
  auto read_some(std::size_t most = SIZE_MAX) -> std::size_t {
    auto buffer = std::array<char, 1 << 16>{};
    const auto count = read(file(), buffer.data(), std::min(buffer.size(), most));
    if (count > 0) {
      forward({buffer.data(), static_cast<std::size_t>(count)});
      return static_cast<std::size_t>(count);
    }
    if (count == 0 || (errno != EAGAIN && errno != EINTR)) end();
    return 0;
  }

  /// The node is gone: reads what it wrote and no more, for a process it left behind may hold the pipe for ever.
  void read_rest() {
    int waiting = 0;
    if (!is_open() || ioctl(file(), FIONREAD, &waiting) != 0) waiting = 0;
    for (auto left = static_cast<std::size_t>(waiting); left > 0;) {
      const auto count = read_some(left);
      if (count == 0) break;
      left -= count;
    }
    end();
  }

 private:
  void forward(std::string_view text) {
    for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
      line_ += text.substr(0, end);
      text.remove_prefix(end + 1);
      complete_line();
    }
    line_ += text;
    if (line_.size() > longest_line) complete_line();
  }
  void complete_line() {
    output_->add(prefix_ + line_ + '\n');
    line_.clear();
  }
  void end() {
    if (!line_.empty()) complete_line();
    file_.close();
  }

  FileDescriptor file_;
  std::string prefix_;
  Output* output_;
  std::string line_;  // begun, not ended
};

/// Whether two files are one, so that what is written to both needs one order.
inline auto are_the_same(int a, int b) -> bool {
  struct stat one = {}, other = {};
  return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

}  // namespace tensair::detail
