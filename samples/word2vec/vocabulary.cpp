#include "vocabulary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <tensair/error.hpp>

#include "admission.hpp"
#include "tally.hpp"
#include "text.hpp"

namespace word2vec {
namespace {

void sort_and_cut(Counted& words, std::uint64_t min_count, std::size_t most) {
  std::erase_if(words, [&](const auto& one) { return one.second < min_count; });
  std::sort(words.begin(), words.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (most > 0 && words.size() > most) words.resize(most);
}

}  // namespace

auto count_texts(const std::vector<std::filesystem::path>& files, std::uint64_t min_count, std::size_t most)
    -> Counted {
  Tally<std::uint64_t> counts;
  TextFiles texts{files, 1};
  while (const auto block = texts.next()) add_words(counts, block->text);
  Counted words(counts.begin(), counts.end());
  sort_and_cut(words, min_count, most);
  if (words.empty())
    throw tensair::Error(fmt::format("no word comes {} times in the text", min_count), files.front().string(),
                         "Give more text, or a smaller --min-count.");
  return words;
}

auto read_vocabulary(const std::filesystem::path& file, std::uint64_t min_count) -> Counted {
  std::ifstream stream(file);
  if (!stream) throw tensair::Error("a vocabulary cannot be opened", file.string(), "Check its name.");
  Counted words;
  std::string line;
  for (std::size_t number = 1; std::getline(stream, line); ++number) {
    std::istringstream fields(line);
    std::string word, more;
    std::int64_t count = 0;
    if (!(fields >> word >> count) || count < 0 || fields >> more)
      throw tensair::Error("a line of a vocabulary is not a word and its count",
                           fmt::format("{}, line {}", file.string(), number), "Write it as word2vec does.");
    words.emplace_back(std::move(word), static_cast<std::uint64_t>(count));
  }
  sort_and_cut(words, min_count, 0);
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i].first == words[i - 1].first)
      throw tensair::Error(fmt::format("a vocabulary has «{}» twice", words[i].first), file.string());
  }
  if (words.empty())
    throw tensair::Error(fmt::format("a vocabulary has no word that comes {} times", min_count), file.string(),
                         "Give another, or a smaller --min-count.");
  return words;
}

auto counted(const NamedVectors& vectors) -> Counted {
  Counted words;
  for (std::size_t i = 0; i < vectors.words.size(); ++i) words.emplace_back(vectors.words[i], 1'000'000 / (i + 1) + 1);
  return words;
}

auto rows_for(const Counted& words) -> std::size_t {
  std::array<std::size_t, shards> load{};
  for (const auto& [word, count] : words) ++load[shard_of(hash_of(word))];
  return shards * *std::max_element(load.begin(), load.end());
}

auto make_lexicon(std::size_t rows, const Counted& words) -> std::shared_ptr<Lexicon> {
  auto lexicon = std::make_shared<Lexicon>(rows);
  std::array<std::int32_t, shards> next{};
  for (const auto& [word, count] : words) {
    const auto shard = shard_of(hash_of(word));
    const auto row = static_cast<std::int32_t>(static_cast<std::uint32_t>(next[shard]++) * shards + shard);
    lexicon->admit({word, row, false, count, 0});
  }
  return lexicon;
}

}  // namespace word2vec
