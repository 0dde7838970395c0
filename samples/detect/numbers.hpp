#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace detect {

/// Lines of a file descriptor, as they come: waits for input, not for a full buffer.
class LineReader {
 public:
  explicit LineReader(int descriptor);

  /// All whole lines there are now, each with its end; at the end of the input also one without. Empty after the last.
  /// Valid until the next call.
  /// @throws tensair::Error  it cannot be read, or a line is longer than a mebibyte
  auto next() -> std::string_view;

 private:
  int descriptor_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
};

/// Reads a number from the whole of a line, with spaces around it or not; false if that is none.
auto parse_number(std::string_view line, double& number) -> bool;

/// The same, where the one digit that errors are is told at a glance.
inline auto read_number(std::string_view line, double& number) -> bool {
  if (line.size() == 1 && line[0] >= '0' && line[0] <= '9') {
    number = line[0] - '0';
    return true;
  }
  return parse_number(line, number);
}

}  // namespace detect
