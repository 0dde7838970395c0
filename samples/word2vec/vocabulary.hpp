#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lexicon.hpp"
#include "vectors.hpp"

namespace word2vec {

/// Words and how often each came, most frequent first.
using Counted = std::vector<std::pair<std::string, std::uint64_t>>;

/// The words of texts that come at least so often; at most so many, if that is not 0.
/// @throws Error  a text cannot be read, or no word of it comes so often
auto count_texts(const std::vector<std::filesystem::path>& files, std::uint64_t min_count, std::size_t most) -> Counted;

/// As word2vec's C program writes it (`-save-vocab`): a word and its count a line.
/// @throws Error  it cannot be read, a line is not so, or no word is left
auto read_vocabulary(const std::filesystem::path& file, std::uint64_t min_count) -> Counted;

/// Those of a file of vectors, whose counts nobody knows: as Zipf's law says for words in order of frequency.
auto counted(const NamedVectors& vectors) -> Counted;

/// How many rows it takes for each shard to have room for its share of the words.
auto rows_for(const Counted& words) -> std::size_t;

/// A lexicon in which these have rows, the same on every node.
auto make_lexicon(std::size_t rows, const Counted& words) -> std::shared_ptr<Lexicon>;

}  // namespace word2vec
