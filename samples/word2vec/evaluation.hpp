#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "lexicon.hpp"
#include "model.hpp"

namespace word2vec {

/// Pairs of words, and how similar people find them.
struct SimilarityFile {
  std::string name;
  struct Pair {
    std::string a, b;
    double similarity = 0;
  };
  std::vector<Pair> pairs;
};

/// Questions "a is to b as c is to …", and what the answer should be.
struct AnalogyFile {
  std::string name;
  std::vector<std::array<std::string, 4>> questions;
};

/// A line is two words and a number, between tabs (or spaces); `#` begins a comment. Words are taken in lower case.
/// @throws Error  the file cannot be read; a line is not so (names it)
auto read_similarities(const std::filesystem::path& file) -> SimilarityFile;
/// Google's format: four words a line, and lines that begin with `:` for headings.
/// @throws Error  as above
auto read_analogies(const std::filesystem::path& file) -> AnalogyFile;

struct Quality {
  std::string name;
  double value = 0;                    ///< Spearman's rank correlation, or the share of right answers
  std::size_t asked = 0, unknown = 0;  ///< pairs or questions all of whose words are known, and the rest
};

/// Spearman's rank correlation of two lists; equal values have the mean of their ranks. 0 for fewer than two.
auto spearman(std::span<const double> a, std::span<const double> b) -> double;

/// How vectors' cosines agree with what people say.
auto evaluate(const SimilarityFile& file, const VectorsView& vectors, const Lexicon& lexicon) -> Quality;
/// How often the vector nearest to b − a + c (of all words', by cosine; a, b and c left out) is the answer's.
auto evaluate(const AnalogyFile& file, const VectorsView& vectors, const Lexicon& lexicon) -> Quality;

}  // namespace word2vec
