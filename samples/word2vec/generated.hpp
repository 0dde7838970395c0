#pragma once

#include <cstdint>
#include <optional>

#include "model.hpp"
#include "text.hpp"

namespace word2vec {

/// Text for those who have none, from a seed: a Markov chain over topics, each with words of its own, which come as
/// often as Zipf's law says, and words that all have. A word's true neighbours are the other words of its topic.
class GeneratedText {
 public:
  using value_type = Block;
  static constexpr std::size_t topics = 40, words_a_topic = 50, common_words = 20;
  static constexpr std::size_t words_a_block = 2'000;

  GeneratedText(std::uint64_t seed, std::uint64_t words, int epochs);
  void split(int part, int parts);
  auto next() -> std::optional<Block>;

 private:
  std::uint64_t seed_, blocks_, next_ = 0, step_ = 1;
  int epochs_;
};

/// Of the ten words nearest to each word of a topic, which share is of its topic, on average. By chance: 1 in 40.
auto share_of_true_neighbours(const VectorsView& vectors, const Lexicon& lexicon) -> double;

}  // namespace word2vec
