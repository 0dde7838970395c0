#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <memory>
#include <span>
#include <tensair/model/options.hpp>
#include <tensair/model/tensor_batch.hpp>
#include <vector>

#include "features.hpp"
#include "tweet.hpp"

namespace sentiment {

/// How the model learns. Chosen on the first 5,000 of the tweets, and left alone since.
struct Learning {
  std::size_t rows = 1 << 16;  ///< of the embedding, a power of two
  std::size_t batch = 32;      ///< tweets
  double lr = 0.4;             ///< of a word's weight, by Adagrad
  double mixing_lr = 0.15;     ///< of the output layer, for each tweet
  double bias_lr = 0.02;       ///< of its bias
};

/// A number for a text: above 0 it is positive.
///
/// An embedding has one weight for each word and one for each pair of neighbours; the texts' sums of the ones and of
/// the others go into a linear layer. What words mean is learnt slowly, by many tweets; what follows from it is three
/// numbers that a few dozen tweets turn round. So when the labels' meaning changes, the network changes its sign, and
/// forgets nothing.
class Network : public torch::nn::Module {
 public:
  /// @param weights  float [rows], what the embedding begins with; none: 0
  explicit Network(std::size_t rows, const std::vector<float>& weights = {});

  /// @param scale    float [N, 2]: what the sums over a text's words and pairs are multiplied by
  /// @param rows     int64 [M]: the words' rows of the first text, its pairs', those of the second, …
  /// @param offsets  int64 [2 N]: where each of these begins
  /// @returns logits, float [N]
  auto forward(const torch::Tensor& scale, const torch::Tensor& rows, const torch::Tensor& offsets) -> torch::Tensor;

 private:
  torch::nn::EmbeddingBag embedding_;
  torch::nn::Linear output_;
};

/// Makes a batch of tweets: see `Network::forward`. The target is int64 [N], -1 where no label has come.
class Collate {
 public:
  explicit Collate(std::size_t rows) : features_(rows) {}
  auto operator()(std::span<const Tweet> tweets) -> tensair::TensorBatch;

 private:
  Features features_;
  std::vector<std::int64_t> rows_, pairs_;
};

/// Binary cross entropy, of the tweets with a label; 0 where there is none.
auto loss(const at::Tensor& logits, const at::Tensor& feelings) -> at::Tensor;

/// Adagrad for the embedding, and for the output layer steps as large as its gradient says.
/// @param replicas  of the model, on all nodes
auto options(const Learning& learning, int replicas) -> tensair::ModelOptions;

/// Keeps freed memory in the process, instead of having it faulted in again each step. Before any thread is started.
void keep_memory();

}  // namespace sentiment
