#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace word2vec {

/// Some lines of text.
struct Block {
  std::string text;
  float progress = 0;  ///< how much of all text lies before it: 0 to 1

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& text& progress;
  }
};

/// A source that reads text files one after the other, as often as is said, in blocks of whole lines; each node reads
/// its stretch of each file. Of a file whose name ends in `.tsv`, the last column is the text.
class TextFiles {
 public:
  using value_type = Block;
  static constexpr bool occupies_thread = true;
  static constexpr std::size_t block_bytes = 16 << 10;
  static constexpr std::size_t longest_line = 1 << 20;  ///< a longer line is cut between words

  /// @throws Error  a file does not exist or cannot be read
  TextFiles(std::vector<std::filesystem::path> files, int epochs);

  void split(int part, int parts);
  /// @throws Error  a file is gone, cannot be read, or became shorter meanwhile
  auto next() -> std::optional<Block>;

 private:
  auto open_next() -> bool;
  auto fill() -> bool;

  std::vector<std::filesystem::path> files_;
  std::vector<std::uint64_t> sizes_;
  int epochs_, part_ = 0, parts_ = 1;
  std::uint64_t all_bytes_ = 0, done_bytes_ = 0;  // of this part, over all epochs
  std::size_t file_ = 0;                          // of all epochs' files, the one that comes next
  std::ifstream stream_;
  std::uint64_t at_ = 0, end_ = 0;  // in the file; this part's stretch ends at `end_`
  std::string buffer_;
  bool in_line_ = false;  // the buffer begins in the midst of a line
  bool open_ = false;
};

/// Calls `use(std::string_view)` for each word of a text: letters and digits, in lower case as far as they are ASCII,
/// and well-formed UTF-8 beyond ASCII as it is. All else, NUL bytes and broken UTF-8 included, is between words.
/// `end_of_line()` is called behind each line. Words of more than 64 bytes are none.
template <class Use, class End>
void for_each_word(std::string_view text, Use use, End end_of_line);

inline constexpr std::size_t longest_word = 64;

namespace detail {
/// What a byte does to a word: 0 ends it, '\n' ends the line too, 1 begins a sequence beyond ASCII; else its lower
/// case.
auto byte_table() -> const unsigned char*;
/// How long the well-formed UTF-8 sequence beyond ASCII is that a text begins with; 0: there is none.
auto sequence_length(std::string_view text) -> std::size_t;
}  // namespace detail

template <class Use, class End>
void for_each_word(std::string_view text, Use use, End end_of_line) {
  const unsigned char* const table = detail::byte_table();
  char word[longest_word];
  std::size_t length = 0;
  const auto finish = [&] {
    if (length > 0 && length <= longest_word) use(std::string_view{word, length});
    length = 0;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto kind = table[static_cast<unsigned char>(text[i])];
    if (kind > 1 && kind != '\n') {
      if (length < longest_word) word[length] = static_cast<char>(kind);
      ++length;
      continue;
    }
    if (kind == 1) {
      const auto bytes = detail::sequence_length(text.substr(i));
      if (bytes > 0) {
        if (length + bytes <= longest_word) text.copy(word + length, bytes, i);
        length += bytes;
        i += bytes - 1;
        continue;
      }
    }
    finish();
    if (kind == '\n') end_of_line();
  }
  finish();
}

}  // namespace word2vec
