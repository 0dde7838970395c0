#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <tensair/model/outputs.hpp>
#include <tensair/model/results.hpp>
#include <tensair/model/sparse_change.hpp>
#include <tensair/model/tensor_batch.hpp>
#include <vector>

#include "encoder.hpp"
#include "kernel.hpp"
#include "lexicon.hpp"

namespace word2vec {

/// Vectors of words, row by row, for who wants to look at them.
struct VectorsView {
  std::span<const float> values;
  std::size_t dim = 0;

  auto rows() const -> std::size_t { return values.size() / dim; }
  auto row(std::size_t number) const -> std::span<const float> { return values.subspan(number * dim, dim); }
};

struct ModelSettings {
  Shape shape;
  std::size_t rows = 100'000;
  bool autograd = false;  ///< learn by nn::Embedding and autograd, in place of the fused kernel; with one thread
  int threads = 1;        ///< that share the tables without locks within a step
  std::uint64_t seed = 1;
  std::shared_ptr<std::atomic<std::uint64_t>> pairs{};  ///< where neighbours that were learnt from are counted, if any
  std::vector<float> start{};  ///< vectors to begin with, row by row; NaN: none for that row; empty: none at all
};

/// Word2Vec as a model of tensair's (`SparseOwnModel`): two tables of rows and the fused kernel. What it asks for are
/// batches of `Encoder`, and queries: int32 [n, 3] rows a, b, c. The answer to one is the `answers` rows whose vectors
/// are nearest to b − a + c by cosine (to b's, if a is −1), these three left out: float [n, 2 answers], rows and
/// cosines, −1 and 0 where there are no more; nothing else for one whose b is −1.
class Word2Vec {
 public:
  static constexpr std::size_t answers = 10;
  using Evaluate = std::function<double(const VectorsView&)>;

  /// @param evaluate  of the vectors, whenever a validation is due: says how far they are from good
  Word2Vec(const ModelSettings& settings, std::shared_ptr<const Lexicon> lexicon, Evaluate evaluate = {});
  Word2Vec(Word2Vec&&) noexcept;
  auto operator=(Word2Vec&&) noexcept -> Word2Vec&;
  ~Word2Vec();

  auto parameters() -> std::span<float>;
  auto touched(const tensair::TensorBatch& batch) -> std::span<const tensair::Segment>;
  auto step(const tensair::TensorBatch& batch) -> tensair::Score;
  auto predict(const tensair::TensorBatch& queries) -> at::Tensor;
  auto score(const tensair::TensorBatch&) -> tensair::Score;

  auto vectors() const -> VectorsView;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace word2vec
