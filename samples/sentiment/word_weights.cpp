#include "word_weights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tensair/error.hpp>

#include "lexicon.hpp"

namespace sentiment {
namespace {

/// A word as the tokeniser writes it.
auto token_of(const std::string& word) -> std::string {
  std::string token;
  for (const char c : word) {
    if (c == '\'') continue;
    token += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
  return token;
}

/// The sum of all words that are known beforehand to have one feeling, each of length 1; counts them.
auto middle_of(const word2vec::NamedVectors& vectors, std::span<const std::string_view> known, std::size_t& count)
    -> std::vector<double> {
  const std::set<std::string_view> wanted(known.begin(), known.end());
  std::vector<double> middle(vectors.dim);
  count = 0;
  for (std::size_t i = 0; i < vectors.words.size(); ++i) {
    if (!wanted.contains(token_of(vectors.words[i]))) continue;
    const std::span row{vectors.values.data() + i * vectors.dim, vectors.dim};
    double squares = 0;
    for (const double value : row) squares += value * value;
    if (squares == 0) continue;
    for (std::size_t k = 0; k < row.size(); ++k) middle[k] += row[k] / std::sqrt(squares);
    ++count;
  }
  for (auto& value : middle) value /= static_cast<double>(std::max<std::size_t>(count, 1));
  return middle;
}

}  // namespace

auto weights_of_words(const word2vec::NamedVectors& vectors, const Features& features, std::size_t rows)
    -> std::vector<float> {
  std::size_t glad = 0, sad = 0;
  auto direction = middle_of(vectors, glad_words(), glad);
  const auto back = middle_of(vectors, sad_words(), sad);
  constexpr std::size_t least = 5;
  if (glad < least || sad < least)
    throw tensair::Error(fmt::format("word vectors know {} glad and {} sad words of the lexicon", glad, sad), {},
                         "Five of each are needed: take vectors of English words.");
  for (std::size_t k = 0; k < direction.size(); ++k) direction[k] -= back[k];

  std::vector<double> along(vectors.words.size());
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < along.size(); ++i) {
    const std::span row{vectors.values.data() + i * vectors.dim, vectors.dim};
    double length = 0;
    for (std::size_t k = 0; k < row.size(); ++k) {
      along[i] += direction[k] * row[k];
      length += static_cast<double>(row[k]) * row[k];
    }
    if (length > 0) along[i] /= std::sqrt(length);
    sum += along[i];
    squares += along[i] * along[i];
  }
  const auto count = static_cast<double>(along.size());
  const double mean = sum / count, deviation = std::sqrt(std::max(squares / count - mean * mean, 0.0));
  std::vector<float> weights(rows);
  for (std::size_t i = along.size(); i-- > 0;) {  // the most frequent words last: what they say stays
    const auto row = static_cast<std::size_t>(features.row_of(token_of(vectors.words[i])));
    weights[row] = deviation > 0 ? spread * static_cast<float>((along[i] - mean) / deviation) : 0;
  }
  return weights;
}

}  // namespace sentiment
