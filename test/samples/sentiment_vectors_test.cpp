#include "catch.hpp"
#include "sentiment/word_weights.hpp"

#include <tensair/error.hpp>

using namespace sentiment;
using Catch::Matchers::ContainsSubstring;

namespace {

// Glad words lie on one side, sad ones on the other, and what they have in common on a second axis.
auto some_vectors() -> word2vec::NamedVectors {
  word2vec::NamedVectors vectors;
  vectors.dim = 2;
  const auto add = [&](const char* word, float x) {
    vectors.words.emplace_back(word);
    vectors.values.insert(vectors.values.end(), {x, 1});
  };
  for (const auto* word : {"good", "great", "love", "nice", "Happy"}) add(word, 1);
  for (const auto* word : {"bad", "sad", "hate", "sick", "tired"}) add(word, -1);
  add("splendid", 0.9F);
  add("dreadful", -0.9F);
  add("table", 0);
  return vectors;
}

}  // namespace

TEST_CASE("words begin as glad as their vectors are near those of glad words", "[sentiment]") {
  constexpr std::size_t rows = 1 << 16;
  const Features features{rows};
  const auto weights = weights_of_words(some_vectors(), features, rows);
  REQUIRE(weights.size() == rows);
  const auto of = [&](const char* word) { return weights[static_cast<std::size_t>(features.row_of(word))]; };
  CHECK(of("splendid") > 0.5F * spread);
  CHECK(of("dreadful") < -0.5F * spread);
  CHECK(std::abs(of("table")) < 0.01F * spread);
  CHECK(of("happy") == of("good"));  // in the file it has a capital
  CHECK(of("unheard") == 0);
}

TEST_CASE("vectors of no words that the lexicon knows are refused", "[sentiment][error]") {
  auto vectors = some_vectors();
  for (auto& word : vectors.words) word += "x";
  CHECK_THROWS_WITH(weights_of_words(vectors, Features{1024}, 1024), ContainsSubstring("0 glad and 0 sad"));
}
