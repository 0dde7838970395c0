#include "numbers.hpp"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>
#include <system_error>
#include <tensair/error.hpp>

namespace detect {

LineReader::LineReader(int descriptor) : descriptor_(descriptor), buffer_(std::size_t{1} << 20) {}

auto LineReader::next() -> std::string_view {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  for (;;) {
    if (end_ == buffer_.size())
      throw tensair::Error{"a line is longer than a mebibyte", "standard input", "Give one number a line."};
    const auto got = ::read(descriptor_, buffer_.data() + end_, buffer_.size() - end_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw tensair::Error{std::string{"it cannot be read: "} + std::generic_category().message(errno),
                           "standard input", "Check what is piped in."};
    }
    const auto fresh = end_;
    end_ += static_cast<std::size_t>(got);
    if (got == 0) {
      begin_ = end_;
      return {buffer_.data(), end_};
    }
    if (const void* last = ::memrchr(buffer_.data() + fresh, '\n', end_ - fresh)) {
      begin_ = static_cast<std::size_t>(static_cast<const char*>(last) - buffer_.data()) + 1;
      return {buffer_.data(), begin_};
    }
  }
}

auto parse_number(std::string_view line, double& number) -> bool {
  constexpr std::string_view spaces = " \t\r";
  const auto first = line.find_first_not_of(spaces);
  if (first == line.npos) return false;
  line = line.substr(first, line.find_last_not_of(spaces) - first + 1);
  // std::from_chars takes no plus.
  if (line.size() > 1 && line[0] == '+' && line[1] != '-') line.remove_prefix(1);
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  return error == std::errc{} && end == line.data() + line.size();
}

}  // namespace detect
