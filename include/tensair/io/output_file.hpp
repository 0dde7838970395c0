#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <tensair/io/file_descriptor.hpp>
#include <tensair/runtime/clock.hpp>

namespace tensair {

/// When a file that is written is closed, shown, and followed by another one. By default never: it is one file, shown
/// at the end.
struct Roll {
  std::uint64_t bytes = 0;              ///< once it has as many; 0: whatever its size
  Duration interval = Duration::max();  ///< once its first record is as old

  auto rolls() const -> bool { return bytes > 0 || interval != Duration::max(); }
};

/// A file of records that readers see whole or not at all: it is written as `NAME.part`, forced to the disk, and then
/// renamed. When the run fails the part is removed. What is no regular file (a pipe, a terminal) is written to as it
/// is.
///
/// With `Roll`, `dir/name.ext` becomes `dir/name-00000.ext`, `dir/name-00001.ext`, …; numbers go on behind those that
/// are there.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path, Roll roll = {});
  OutputFile(OutputFile&&) noexcept = default;
  auto operator=(OutputFile&&) -> OutputFile& = delete;
  ~OutputFile();

  /// @param header  begins each file
  /// @throws Error  the file cannot be made
  void open(const Clock& clock, std::string header = {});

  /// Adds a record.
  /// @throws Error  the disk is full, …; names the file
  void write(std::string_view record) {
    if (buffer_.size() + record.size() > capacity || rolls_) [[unlikely]] {
      write_slowly(record);
    } else {
      buffer_ += record;
    }
  }

  /// At the end of a turn: shows what a pipe's reader should see, and a file that has become old.
  void flush();
  /// When the file will be too old, if it rolls by time: then `flush` shows it.
  auto deadline() const -> Time;
  /// Ends and shows the file.
  void close();

 private:
  static constexpr std::size_t capacity = 256 * 1024;

  void write_slowly(std::string_view record);
  void write_out(std::string_view bytes);
  void begin_file();
  void end_file();
  void roll_if_old();
  [[noreturn]] void fail(const char* what, int error) const;

  std::filesystem::path path_;  // as the user said
  Roll roll_;
  bool rolls_ = false;
  std::string header_;
  const Clock* clock_ = nullptr;
  std::filesystem::path target_, part_;  // of the current file; no part: written to as it is
  FileDescriptor file_;
  std::string buffer_;
  std::uint64_t bytes_ = 0;
  std::uint64_t number_ = 0;
  Time begun_{};
};

}  // namespace tensair
