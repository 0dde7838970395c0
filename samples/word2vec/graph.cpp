#include "graph.hpp"

#include <array>
#include <unordered_map>

namespace word2vec {

auto count_words(std::span<const Block> blocks) -> std::vector<WordCounts> {
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> counts;
  for (const auto& block : blocks) {
    for_each_word(
        block.text,
        [&](std::string_view word) {
          const auto found = counts.find(word);
          if (found == counts.end()) {
            counts.emplace(word, 1);
          } else {
            ++found->second;
          }
        },
        [] {});
  }
  std::array<WordCounts, shards> by_shard;
  for (const auto& [word, count] : counts) by_shard[shard_of(hash_of(word))].words.emplace_back(word, count);
  std::vector<WordCounts> some;
  for (std::uint32_t shard = 0; shard < shards; ++shard) {
    by_shard[shard].shard = shard;
    if (!by_shard[shard].words.empty()) some.push_back(std::move(by_shard[shard]));
  }
  return some;
}

auto make_shard(const Job& job, std::uint32_t shard) -> Shard {
  Shard made{job.rules, shard};
  if (!job.start) return made;
  for (const auto& [word, count] : *job.start) {
    if (shard_of(hash_of(word)) == shard) made.reserve(word, count);
  }
  return made;
}

}  // namespace word2vec
