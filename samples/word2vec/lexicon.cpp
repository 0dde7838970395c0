#include "lexicon.hpp"

#include <mutex>

namespace word2vec {

auto hash_of(std::string_view word) -> std::uint64_t {
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325U;
  for (const char c : word) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3U;
  hash = (hash ^ hash >> 32) * 0xd6e8'feb8'6659'fd93U;
  return hash ^ hash >> 32;
}

void Lexicon::admit(const Admission& one) {
  const std::unique_lock lock{mutex_};
  auto& word = words_.at(static_cast<std::size_t>(one.row));
  if (!word.empty()) {
    const auto before = rows_.find(word);
    if (before != rows_.end() && before->second == one.row) rows_.erase(before);
  }
  word = one.word;
  rows_[one.word] = one.row;
  counts_[static_cast<std::size_t>(one.row)] = static_cast<double>(one.count);
  ++changes_;
}

auto Lexicon::row_of(std::string_view word) const -> std::optional<std::int32_t> {
  const std::shared_lock lock{mutex_};
  const auto found = rows_.find(word);
  return found == rows_.end() ? std::nullopt : std::optional(found->second);
}

auto Lexicon::word_of(std::int32_t row) const -> std::string {
  const std::shared_lock lock{mutex_};
  return words_.at(static_cast<std::size_t>(row));
}

auto Lexicon::words() const -> std::vector<std::string> {
  const std::shared_lock lock{mutex_};
  return words_;
}

auto Lexicon::size() const -> std::size_t {
  const std::shared_lock lock{mutex_};
  return rows_.size();
}

}  // namespace word2vec
