#include "features.hpp"

#include <fmt/format.h>
#include <bit>
#include <tensair/error.hpp>

#include "lexicon.hpp"

namespace sentiment {
namespace {

constexpr std::size_t lexicon_slots = 2'048;  // four times the words, so that looking up is one comparison or two

// FNV-1a (Fowler, Noll and Vo).
auto hash_of(std::string_view text) -> std::uint32_t {
  std::uint32_t hash = 2'166'136'261U;
  for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16'777'619U;
  return hash;
}

// FNV's low bits alone are no good hash: all bits of a row's number are to depend on all of the word's.
auto mixed(std::uint32_t hash) -> std::uint32_t {
  hash = (hash ^ hash >> 16) * 0x7FEB'352DU;
  hash = (hash ^ hash >> 15) * 0x846C'A68BU;
  return hash ^ hash >> 16;
}

constexpr std::uint32_t all_glad = 111, all_sad = 222;  // rows as good as any
constexpr std::uint32_t negation = 31, neighbour = 0x9E37'79B1U;

}  // namespace

Features::Features(std::size_t rows) : mask_(static_cast<std::uint32_t>(rows - 1)), lexicon_(lexicon_slots) {
  if (!std::has_single_bit(rows) || rows > std::size_t{1} << 26)
    throw tensair::UsageError(fmt::format("an embedding of {} rows", rows), {}, "Take a power of two up to 67108864.");
  for (const auto word : glad_words()) learn(word, Known::glad);
  for (const auto word : sad_words()) learn(word, Known::sad);
}

void Features::learn(std::string_view word, Known known) {
  const auto hash = hash_of(word);
  auto slot = mixed(hash) % lexicon_slots;
  while (lexicon_[slot].known != Known::no && lexicon_[slot].hash != hash) slot = (slot + 1) % lexicon_slots;
  lexicon_[slot] = {hash, known};
}

auto Features::known(std::uint32_t hash) const -> Known {
  auto slot = mixed(hash) % lexicon_slots;
  while (lexicon_[slot].known != Known::no && lexicon_[slot].hash != hash) slot = (slot + 1) % lexicon_slots;
  return lexicon_[slot].known;
}

auto Features::row_of(std::string_view word) const -> std::int64_t {
  return static_cast<std::int64_t>(mixed(hash_of(word)) & mask_);
}

void Features::add(std::string_view text, std::vector<std::int64_t>& words, std::vector<std::int64_t>& pairs) {
  const auto row = [this](std::uint32_t hash) { return static_cast<std::int64_t>(mixed(hash) & mask_); };
  static const auto begin = hash_of("<s>"), end = hash_of("</s>");
  auto before = begin;
  for (const auto& token : tokeniser_.read(text)) {
    const auto hash = hash_of(token.text);
    words.push_back(row(hash));
    if (token.negated) words.push_back(row(hash * negation + 77));
    pairs.push_back(row(before * neighbour + hash));
    before = hash;
    const auto feeling = known(hash);
    if (feeling != Known::no) words.push_back(row((feeling == Known::glad) != token.negated ? all_glad : all_sad));
  }
  pairs.push_back(row(before * neighbour + end));
}

}  // namespace sentiment
