#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <tensair/error.hpp>
#include <utility>

namespace tensair::detail {

/// Throws what errno says about a system call that starting the nodes needs.
[[noreturn]] inline void fail_to_start(const char* call) {
  const int number = errno;
  const bool too_many = number == EMFILE || number == ENFILE;
  throw Error{"the local nodes cannot be started", fmt::format("{}: {}", call, std::strerror(number)),
              too_many ? "Start fewer nodes, or allow more open files (ulimit -n)." : "Start fewer nodes."};
}

/// Owns an open file; never one of the numbers 0 to 2.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  /// Takes over `number`, or throws when it is none.
  FileDescriptor(int number, const char* call) : number_(number) {
    if (number < 0) fail_to_start(call);
    if (number > STDERR_FILENO) return;
    // A launcher started without the standard streams gets their numbers, which a node's own would then replace.
    number_ = fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    ::close(number);
    if (number_ < 0) fail_to_start(call);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  auto operator=(FileDescriptor&& other) noexcept -> FileDescriptor& {
    std::swap(number_, other.number_);
    return *this;
  }
  ~FileDescriptor() { close(); }

  void close() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }
  auto get() const -> int { return number_; }

 private:
  int number_ = -1;
};

struct Pipe {
  FileDescriptor read, write;
};

inline auto make_pipe() -> Pipe {
  auto ends = std::array<int, 2>{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) fail_to_start("pipe");
  auto read = FileDescriptor{ends[0], "pipe"};
  return {std::move(read), FileDescriptor{ends[1], "pipe"}};
}

inline void make_non_blocking(const FileDescriptor& file) {
  fcntl(file.get(), F_SETFL, fcntl(file.get(), F_GETFL) | O_NONBLOCK);
}

}  // namespace tensair::detail
