#pragma once

#include <cstddef>
#include <vector>

#include "features.hpp"
#include "word2vec/vectors.hpp"

namespace sentiment {

/// How glad each row of an embedding is to begin with, by word vectors: how far a word lies from the middle of all in
/// the direction that leads from the lexicon's sad words to its glad ones (after Turney and Littman, "Measuring praise
/// and criticism", ACM Transactions on Information Systems 21, 2003). Rows of words that have no vector are 0, and so
/// are pairs; of words that share a row the first in the file, the most frequent one, has it.
///
/// @param rows  of the embedding
/// @returns float [rows], with a standard deviation of `spread` over the words
/// @throws Error  fewer than five of the lexicon's glad words, or of its sad ones, have vectors
auto weights_of_words(const word2vec::NamedVectors& vectors, const Features& features, std::size_t rows)
    -> std::vector<float>;

inline constexpr float spread = 0.1F;  // a word is learnt quickly: what is wrong should not cost much

}  // namespace sentiment
