#include "graph.hpp"

#include <array>

#include "tally.hpp"

namespace word2vec {

auto count_words(std::span<const Block> blocks) -> std::vector<WordCounts> {
  Tally<std::uint32_t> counts;
  for (const auto& block : blocks) add_words(counts, block.text);
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
