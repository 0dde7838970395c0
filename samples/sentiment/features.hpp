#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokens.hpp"

namespace sentiment {

/// Which rows of an embedding a text has: one for each word, and one for each pair of neighbours. Rows are hashes, so
/// there is no vocabulary to keep, and words that have never been seen are taken as they come (Weinberger et al.,
/// "Feature hashing for large scale multitask learning", ICML 2009).
///
/// A negated word has a row more, and a word that the lexicon knows has the row of all glad or of all sad ones;
/// negated, that of the others.
class Features {
 public:
  /// @param rows  of the embedding, a power of two
  explicit Features(std::size_t rows);

  /// Appends the rows of a text, each below `rows`.
  void add(std::string_view text, std::vector<std::int64_t>& words, std::vector<std::int64_t>& pairs);
  /// The row of a word, as the tokeniser writes it.
  auto row_of(std::string_view word) const -> std::int64_t;

 private:
  enum class Known : std::uint8_t { no, glad, sad };
  struct Slot {
    std::uint32_t hash = 0;
    Known known = Known::no;
  };

  void learn(std::string_view word, Known known);
  auto known(std::uint32_t hash) const -> Known;

  std::uint32_t mask_;
  Tokeniser tokeniser_;
  std::vector<Slot> lexicon_;  // open addressing
};

}  // namespace sentiment
