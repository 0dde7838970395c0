#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tweet.hpp"

namespace sentiment {

/// Tweets in a language of its own: of two vocabularies, one of glad people and one of sad ones, and of words that all
/// use. After every third of the stream both groups take new words.
///
/// Depends on the seed alone, to the letter, on every platform.
class Generator {
 public:
  Generator(std::uint64_t seed, std::uint64_t tweets);

  auto next() -> std::optional<Tweet>;
  /// Tweets between two changes.
  auto period() const -> std::uint64_t { return period_; }

 private:
  auto draw(std::uint64_t below) -> std::uint64_t;
  auto word() -> std::string;
  void take_new_words();

  std::uint64_t state_, tweets_, period_, index_ = 0;
  std::vector<std::string> common_, glad_, sad_;
};

}  // namespace sentiment
