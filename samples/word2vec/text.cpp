#include "text.hpp"

#include <algorithm>
#include <array>
#include <tensair/error.hpp>
#include <utility>

namespace word2vec {
namespace detail {

auto byte_table() -> const unsigned char* {
  static const auto table = [] {
    std::array<unsigned char, 256> kinds{};
    for (unsigned char c = '0'; c <= '9'; ++c) kinds[c] = c;
    for (unsigned char c = 'a'; c <= 'z'; ++c) {
      kinds[c] = c;
      kinds[static_cast<std::size_t>(c - 'a' + 'A')] = c;
    }
    kinds['\n'] = '\n';
    for (std::size_t c = 0x80; c < 0x100; ++c) kinds[c] = 1;
    return kinds;
  }();
  return table.data();
}

// Unicode 15, table 3-7. Punctuation beyond ASCII (dashes, quotation marks: U+2000 to U+206F) is between words.
auto sequence_length(std::string_view text) -> std::size_t {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&](std::size_t i, unsigned least = 0x80, unsigned most = 0xBF) {
    return at(i) >= least && at(i) <= most;
  };
  const unsigned first = at(0);
  if (first >= 0xC2 && first <= 0xDF) {
    const bool is_sign = first == 0xC2 && at(1) < 0xAA;  // U+0080 to U+00A9
    return follows(1) && !is_sign ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned least = first == 0xE0 ? 0xA0 : 0x80, most = first == 0xED ? 0x9F : 0xBF;
    const bool is_punctuation = first == 0xE2 && (at(1) == 0x80 || (at(1) == 0x81 && at(2) <= 0xAF));
    return follows(1, least, most) && follows(2) && !is_punctuation ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned least = first == 0xF0 ? 0x90 : 0x80, most = first == 0xF4 ? 0x8F : 0xBF;
    return follows(1, least, most) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace detail

namespace {

auto begin_of(std::uint64_t size, int part, int parts) -> std::uint64_t {
  return size / static_cast<std::uint64_t>(parts) * static_cast<std::uint64_t>(part) +
         size % static_cast<std::uint64_t>(parts) * static_cast<std::uint64_t>(part) /
             static_cast<std::uint64_t>(parts);
}

auto is_table(const std::filesystem::path& file) -> bool {
  return file.extension() == ".tsv";
}

// Of each line its last column; a line of which only an end is there keeps it.
void keep_last_columns(std::string& text) {
  std::size_t to = 0;
  for (std::size_t from = 0; from < text.size();) {
    const auto end = std::min(text.find('\n', from), text.size() - 1) + 1;
    const auto tab = text.rfind('\t', end - 1);
    const auto first = tab != std::string::npos && tab >= from ? tab + 1 : from;
    text.copy(text.data() + to, end - first, first);
    to += end - first;
    from = end;
  }
  text.resize(to);
}

}  // namespace

TextFiles::TextFiles(std::vector<std::filesystem::path> files, int epochs) : files_(std::move(files)), epochs_(epochs) {
  for (const auto& file : files_) {
    std::error_code problem;
    const auto size = std::filesystem::file_size(file, problem);
    if (problem || !std::ifstream(file))
      throw tensair::Error("a text cannot be read", file.string(), "Check that it is a file that exists.");
    sizes_.push_back(size);
  }
  split(0, 1);
}

void TextFiles::split(int part, int parts) {
  part_ = part;
  parts_ = parts;
  all_bytes_ = 0;
  for (const auto size : sizes_) all_bytes_ += begin_of(size, part + 1, parts) - begin_of(size, part, parts);
  all_bytes_ *= static_cast<std::uint64_t>(epochs_);
}

// A part begins behind the first end of a line at or behind its first byte but one, and ends with the line that its end
// is in: so each line is in one part.
auto TextFiles::open_next() -> bool {
  if (file_ == files_.size() * static_cast<std::size_t>(epochs_)) return false;
  const auto number = file_++ % files_.size();
  stream_.close();
  stream_.clear();
  stream_.open(files_[number], std::ios::binary);
  if (!stream_)
    throw tensair::Error("a text cannot be read again", files_[number].string(), "Was it moved or removed meanwhile?");
  at_ = begin_of(sizes_[number], part_, parts_);
  end_ = begin_of(sizes_[number], part_ + 1, parts_);
  buffer_.clear();
  if (at_ == end_) return open_next();  // so short a file has nothing for this part
  in_line_ = at_ > 0;
  if (at_ > 0) --at_;
  stream_.seekg(static_cast<std::streamoff>(at_));
  open_ = true;
  return true;
}

// Reads on; false at the end of the file.
auto TextFiles::fill() -> bool {
  const auto before = buffer_.size();
  buffer_.resize(before + block_bytes);
  stream_.read(buffer_.data() + before, static_cast<std::streamsize>(block_bytes));
  const auto count = static_cast<std::size_t>(stream_.gcount());
  buffer_.resize(before + count);
  const auto number = (file_ - 1) % files_.size();
  if (stream_.bad()) throw tensair::Error("a text cannot be read to its end", files_[number].string());
  if (count == 0 && at_ + buffer_.size() < sizes_[number])
    throw tensair::Error("a text became shorter while it was read", files_[number].string(), "Start again.");
  return count > 0;
}

auto TextFiles::next() -> std::optional<Block> {
  while (true) {
    if (!open_ && !open_next()) return std::nullopt;
    if (in_line_ && !buffer_.empty()) {  // of the part before this one, or what was left out of a line
      const auto end = buffer_.find('\n');
      const auto skipped = end == std::string::npos ? buffer_.size() : end + 1;
      at_ += skipped;
      buffer_.erase(0, skipped);
      in_line_ = end == std::string::npos;
      if (at_ >= end_) {
        open_ = false;
        continue;
      }
    }
    const bool last_lines = at_ + buffer_.size() >= end_;
    std::size_t cut = 0;
    if (!in_line_ && (buffer_.size() >= block_bytes || last_lines)) {
      const auto limit = static_cast<std::size_t>(end_ > at_ ? end_ - at_ : 0);
      if (last_lines && limit > 0) {
        const auto end = buffer_.find('\n', limit - 1);
        if (end != std::string::npos) cut = end + 1;
      } else if (!last_lines) {
        const auto end = buffer_.rfind('\n');
        if (end != std::string::npos) cut = end + 1;
      }
      if (cut == 0 && buffer_.size() > longest_line) {
        const auto space = buffer_.find_last_of(" \t\n");
        cut = space == std::string::npos ? buffer_.size() : space + 1;
      }
    }
    bool ended = false;
    if (cut == 0) {
      if (fill()) continue;
      ended = true;
      cut = in_line_ ? 0 : buffer_.size();
    }
    Block block{buffer_.substr(0, cut), 0};
    buffer_.erase(0, cut);
    at_ += cut;
    if (ended || at_ >= end_) open_ = false;
    if (block.text.empty()) continue;
    block.progress =
        all_bytes_ > 0 ? static_cast<float>(static_cast<double>(done_bytes_) / static_cast<double>(all_bytes_)) : 0;
    done_bytes_ += cut;
    if (is_table(files_[(file_ - 1) % files_.size()])) keep_last_columns(block.text);
    return block;
  }
}

}  // namespace word2vec
