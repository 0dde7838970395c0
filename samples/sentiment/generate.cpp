#include "generate.hpp"

#include <algorithm>
#include <string_view>

namespace sentiment {
namespace {

constexpr std::size_t common_words = 1'000, feeling_words = 100;

}  // namespace

Generator::Generator(std::uint64_t seed, std::uint64_t tweets)
    : state_(seed), tweets_(tweets), period_(std::max<std::uint64_t>((tweets + 2) / 3, 1)) {
  for (std::size_t i = 0; i < common_words; ++i) common_.push_back(word());
}

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
auto Generator::draw(std::uint64_t below) -> std::uint64_t {
  auto z = state_ += 0x9E37'79B9'7F4A'7C15ULL;
  z = (z ^ z >> 30) * 0xBF58'476D'1CE4'E5B9ULL;
  z = (z ^ z >> 27) * 0x94D0'49BB'1331'11EBULL;
  return (z ^ z >> 31) % below;
}

auto Generator::word() -> std::string {
  constexpr std::string_view consonants = "bdfgklmnprstvz", vowels = "aeiou";
  std::string text;
  for (auto syllables = 2 + draw(3); syllables > 0; --syllables) {
    text += consonants[draw(consonants.size())];
    text += vowels[draw(vowels.size())];
  }
  return text;
}

void Generator::take_new_words() {
  glad_.clear();
  sad_.clear();
  for (std::size_t i = 0; i < feeling_words; ++i) {
    glad_.push_back(word());
    sad_.push_back(word());
  }
}

auto Generator::next() -> std::optional<Tweet> {
  if (index_ == tweets_) return std::nullopt;
  if (index_++ % period_ == 0) take_new_words();
  const bool glad = draw(2) == 1;
  Tweet tweet{"", glad ? Feeling::positive : Feeling::negative};
  for (auto words = 6 + draw(9); words > 0; --words) {
    const auto& vocabulary = draw(4) == 0 ? (glad ? glad_ : sad_) : common_;
    if (!tweet.text.empty()) tweet.text += ' ';
    tweet.text += vocabulary[draw(vocabulary.size())];
  }
  return tweet;
}

}  // namespace sentiment
