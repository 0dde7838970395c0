#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace word2vec {

/// How words are learnt from their neighbours.
struct Shape {
  std::size_t dim = 100;
  int window = 5;     ///< neighbours on each side at most: as many as a draw from 1 to this says, for each word
  int negative = 5;   ///< words drawn for each word, which it is to be told from; 1 to 20
  bool cbow = false;  ///< the mean of the neighbours predicts a word, in place of each of them
};

/// What is learnt from: rows of words in order of the text, −1 between sentences.
struct Text {
  std::span<const std::int32_t> words;
  std::span<const std::int32_t>
      noise;  ///< rows drawn as often as words come, to the power ¾: all negatives of the batch
  float lr = 0.025F;
  std::uint64_t seed = 1;  ///< of which neighbours count and which of the noise a word is told from
};

/// Where rows lie, one behind the other; `out` are those of words as what is predicted.
struct Tables {
  const float* in;
  const float* out;
  float* change_in;   ///< where what is learnt is added: `in`, to learn, or a table beside it, to know the gradient
  float* change_out;  ///< the same of `out`
};

struct Learnt {
  double loss = 0;                       ///< the sum over the windows that were looked at
  std::uint64_t windows = 0, pairs = 0;  ///< words that had neighbours, and how many of these
};

/// Skip-gram with negative sampling (Mikolov et al., "Distributed representations of words and phrases and their
/// compositionality", 2013), whose negatives are shared by the neighbours of a word, so that a window is three small
/// matrix products (Ji et al., "Parallelizing word2vec in shared and distributed memory", 2016).
///
/// Rows of neighbours are kept at hand while the window is over them, and added to when it has gone on (Randall et al.,
/// "FULL-W2V", 2021).
class Kernel {
 public:
  explicit Kernel(Shape shape);

  /// Learns from the words `first` to `last` − 1 of a text, whose neighbours may be outside.
  auto learn(const Text& text, std::size_t first, std::size_t last, const Tables& tables) -> Learnt;

 private:
  template <int Outputs>
  auto learn_as(const Text& text, std::size_t first, std::size_t last, const Tables& tables) -> Learnt;

  Shape shape_;
  std::size_t padded_;       // a row's length in registers
  std::vector<float> rows_;  // of neighbours: as they are now, and as they were in the table; then of outputs
};

}  // namespace word2vec
