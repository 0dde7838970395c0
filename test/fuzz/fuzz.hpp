#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// A fuzzer is a file of this folder with two functions: `examples` of what it takes, and the function libFuzzer knows,
// which must return 0 whatever it is given, and abort when a property does not hold. driver.cpp runs it; with clang,
// `-fsanitize=fuzzer` does.

namespace fuzz {

/// Inputs to begin with: valid ones, which changes are made to.
auto examples() -> std::vector<std::string>;

/// Ends the process when something that must hold does not.
void require(bool holds, const char* what);

inline auto text_of(const std::uint8_t* data, std::size_t size) -> std::string_view {
  return {reinterpret_cast<const char*>(data), size};
}

/// A file in memory that has a path.
class File {
 public:
  File();
  File(const File&) = delete;
  File(File&&) = delete;
  auto operator=(const File&) -> File& = delete;
  auto operator=(File&&) -> File& = delete;
  ~File();

  void fill(std::string_view content);
  auto path() const -> const std::string& { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

}  // namespace fuzz

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int;
