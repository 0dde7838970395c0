#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <tensair/model/tensor_batch.hpp>
#include <vector>

#include "lexicon.hpp"
#include "noise.hpp"
#include "text.hpp"

namespace word2vec {

/// What a text becomes for the model.
struct EncodeOptions {
  double sample = 1e-3;  ///< words that come more often than this are left out by chance; 0: none
  int negative = 5;
  double noise = 1;  ///< negatives drawn for a batch, for each of its words; `negative`: each is used once
  float lr = 0.025F, last_lr = 1e-4F;  ///< falls from one to the other as the text is read
  bool live = true;                    ///< counts are kept up to date
  std::int32_t node = 0;
  std::uint64_t seed = 1;
};

/// Rows of a block's words.
struct Encoded {
  std::vector<std::int32_t> rows;  ///< −1 between lines
  std::uint64_t words = 0;         ///< that have rows, those left out by chance included
  float progress = 0;
};

/// Makes what the model learns from of text, on one node: looks words up, leaves out some of the most frequent, and
/// draws negatives as often as words come, to the power ¾. One thread's, but for what the lexicon lets all ask.
class Encoder {
 public:
  Encoder(std::shared_ptr<Lexicon> lexicon, EncodeOptions options);

  /// A word has got a row.
  void admit(const Admission& one);
  auto encode(const Block& block) -> Encoded;
  /// Inputs: rows [n]; then what `Batch` reads.
  auto collate(std::span<const Encoded> blocks) -> tensair::TensorBatch;

 private:
  void refresh_if_drifted();

  std::shared_ptr<Lexicon> lexicon_;
  EncodeOptions options_;
  Random random_;
  AliasTable noise_;
  std::vector<float> keep_;  // by row: how probably a word is kept
  double total_ = 0, total_at_refresh_ = 0;
  std::uint64_t changes_at_refresh_ = 0;
  std::vector<std::int32_t> renewed_;  // rows that are to begin anew
};

/// A batch as the model reads it: see `Encoder::collate`.
struct Batch {
  std::span<const std::int32_t> rows, noise, renewed;
  std::uint64_t words = 0, seed = 0;
  float lr = 0;

  explicit Batch(const tensair::TensorBatch& tensors);
};

/// Makes such a batch.
auto to_tensors(std::span<const std::int32_t> rows, std::span<const std::int32_t> noise,
                std::span<const std::int32_t> renewed, std::uint64_t words, std::uint64_t seed, float lr)
    -> tensair::TensorBatch;

}  // namespace word2vec
