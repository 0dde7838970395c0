// Lines of any text, cut into blocks anywhere: the same as of the whole text.
#include <algorithm>
#include <tensair/io/line_splitter.hpp>

#include "fuzz.hpp"

namespace {

constexpr std::size_t longest = 64;

auto split(std::string_view text, std::size_t block) -> std::vector<std::string> {
  tensair::LineSplitter splitter{longest};
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto room = splitter.room();
    fuzz::require(!room.empty(), "there is always room");
    const auto bytes = std::min({room.size(), text.size(), block});
    std::copy_n(text.begin(), bytes, room.begin());
    text.remove_prefix(bytes);
    splitter.filled(bytes);
    while (splitter.pending()) {
      if (const auto line = splitter.next()) lines.emplace_back(*line);
    }
  }
  if (const auto last = splitter.rest()) lines.emplace_back(*last);
  return lines;
}

auto naive(std::string_view text) -> std::vector<std::string> {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    if (line.size() <= longest) lines.emplace_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

}  // namespace

auto fuzz::examples() -> std::vector<std::string> {
  return {"one\ntwo\n\nthree", std::string(longest + 1, 'x') + "\nshort\n" + std::string(longest, 'y') + '\n',
          "\r\n\xff\xfe\n"};
}

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  const auto text = fuzz::text_of(data, size);
  const auto expected = naive(text);
  for (const std::size_t block : {std::size_t{1}, std::size_t{7}, std::size_t{100}, size})
    fuzz::require(split(text, block) == expected, "the lines are those of the whole text");
  return 0;
}
