#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lexicon.hpp"
#include "noise.hpp"

namespace word2vec {

/// How often words came in a stretch of text: what a node tells a shard.
struct WordCounts {
  std::uint32_t shard = 0;
  std::vector<std::pair<std::string, std::uint32_t>> words;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& shard& words;
  }
};

/// Roughly how often each of any number of words came, in fixed memory: a count–min sketch (Cormode and Muthukrishnan,
/// "An improved data stream summary", 2005) with conservative update (Estan and Varghese, 2002), whose counts are
/// halved when it is full, so that it never says of every word that it came often.
class CountSketch {
 public:
  explicit CountSketch(std::size_t width) : width_(width), counters_(depth * width) {}

  /// How often the word came, this time included: never too little, but for what was halved.
  auto add(std::uint64_t hash, std::uint32_t times) -> std::uint32_t;

 private:
  static constexpr std::size_t depth = 4;
  std::size_t width_;
  std::vector<std::uint8_t> counters_;
  std::uint64_t added_ = 0;
};

/// What words are let in by.
struct AdmissionRules {
  std::size_t rows = 0;                 ///< of all shards
  std::uint32_t min_count = 5;          ///< 1 to 200
  std::uint64_t horizon = 100'000'000;  ///< words (of all shards) after which a word's count has lost half its weight
};

/// One shard: counts words that have no row, gives rows to those that come often, and takes them from those that came
/// least when there is no more. It keeps a count of all of its rows, and a sketch of fixed size of the rest.
class Shard {
 public:
  Shard(const AdmissionRules& rules, std::uint32_t shard);

  /// A word that has its row from the start: the shard's next one.
  /// @return its row, or -1 when the shard has no more
  auto reserve(const std::string& word, std::uint64_t count) -> std::int32_t;
  /// Counts, and says which words get which rows.
  auto count(const WordCounts& counts, std::int32_t node) -> std::vector<Admission>;

 private:
  struct Row {
    std::string word;
    double count = 0;
  };
  auto place_for(double count, std::size_t& place) -> bool;
  void decay_if_due(std::uint64_t words);

  AdmissionRules rules_;
  std::uint32_t shard_;
  std::size_t most_;
  boost::unordered_flat_map<std::string, std::size_t, TextHash, std::equal_to<>> places_;
  std::vector<Row> rows_;
  CountSketch sketch_;
  Random random_;
  std::uint64_t since_decay_ = 0;
};

}  // namespace word2vec
