#pragma once

#include <utility>

namespace tensair {

/// Owns an open file or socket of the system and closes it. A copy owns nothing: whoever copies a source that has not
/// been opened yet gets one that opens its files itself.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(const FileDescriptor&) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, none)) {}
  auto operator=(const FileDescriptor& other) -> FileDescriptor& {
    if (this != &other) close();
    return *this;
  }
  auto operator=(FileDescriptor&& other) noexcept -> FileDescriptor& {
    if (this != &other) {
      close();
      number_ = std::exchange(other.number_, none);
    }
    return *this;
  }
  ~FileDescriptor() { close(); }

  auto number() const -> int { return number_; }
  auto is_open() const -> bool { return number_ != none; }
  void close();

 private:
  static constexpr int none = -1;
  int number_ = none;
};

}  // namespace tensair
