#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace word2vec {

/// Vectors by word, as files of the C program and of gensim have them (`load_word2vec_format`): a line with their
/// number and dimension, then each word and its values, as text, or (`.bin`) as float32 in little-endian order.
struct NamedVectors {
  std::size_t dim = 0;
  std::vector<std::string> words;
  std::vector<float> values;  ///< [words × dim]
};

/// @throws Error  not such a file: a wrong header, a row of another length, fewer or more rows than the header says
auto read_vectors(const std::filesystem::path& file) -> NamedVectors;
/// By rename, so never half.
/// @throws Error  the file cannot be written
void write_vectors(const std::filesystem::path& file, const NamedVectors& vectors);

}  // namespace word2vec
