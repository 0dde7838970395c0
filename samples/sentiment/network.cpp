#include "network.hpp"

#include <cmath>
#include <cstring>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace sentiment {
namespace {

constexpr float scale_of_words = 1.4F, scale_of_pairs = 0.5F;
constexpr double epsilon = 0.05;  // of Adagrad, for the gradient of one tweet

auto tensor_of(const std::vector<std::int64_t>& values) -> at::Tensor {
  auto tensor = torch::empty({static_cast<std::int64_t>(values.size())}, torch::kLong);
  std::memcpy(tensor.data_ptr<std::int64_t>(), values.data(), values.size() * sizeof(std::int64_t));
  return tensor;
}

}  // namespace

Network::Network(std::size_t rows, const std::vector<float>& weights)
    : embedding_(torch::nn::EmbeddingBagOptions(static_cast<std::int64_t>(rows), 1).mode(torch::kSum).sparse(true)),
      output_(torch::nn::LinearOptions(2, 1)) {
  register_module("embedding", embedding_);
  register_module("output", output_);
  const torch::NoGradGuard no_gradient;
  embedding_->weight.zero_();
  if (!weights.empty())
    std::memcpy(embedding_->weight.data_ptr<float>(), weights.data(), weights.size() * sizeof(float));
  output_->weight.fill_(1);
  output_->bias.zero_();
}

auto Network::forward(const torch::Tensor& scale, const torch::Tensor& rows, const torch::Tensor& offsets)
    -> torch::Tensor {
  return output_(embedding_(rows, offsets).view({-1, 2}) * scale).squeeze(1);
}

auto Collate::operator()(std::span<const Tweet> tweets) -> tensair::TensorBatch {
  const auto count = static_cast<std::int64_t>(tweets.size());
  auto scale = torch::empty({count, 2});
  auto offsets = torch::empty({2 * count}, torch::kLong);
  auto feelings = torch::empty({count}, torch::kLong);
  auto* scale_of = scale.data_ptr<float>();
  auto* offset_of = offsets.data_ptr<std::int64_t>();
  auto* feeling_of = feelings.data_ptr<std::int64_t>();
  rows_.clear();
  for (const auto& tweet : tweets) {
    pairs_.clear();
    const auto begin = rows_.size();
    features_.add(tweet.text, rows_, pairs_);
    const auto middle = rows_.size();
    rows_.insert(rows_.end(), pairs_.begin(), pairs_.end());
    *offset_of++ = static_cast<std::int64_t>(begin);
    *offset_of++ = static_cast<std::int64_t>(middle);
    *scale_of++ = scale_of_words / std::sqrt(static_cast<float>(std::max<std::size_t>(middle - begin, 1)));
    *scale_of++ = scale_of_pairs / std::sqrt(static_cast<float>(pairs_.size()));
    *feeling_of++ = static_cast<std::int64_t>(tweet.feeling);
  }
  tensair::TensorBatch batch{std::move(scale), std::move(feelings)};
  batch.more_inputs = {tensor_of(rows_), std::move(offsets)};
  return batch;
}

auto loss(const at::Tensor& logits, const at::Tensor& feelings) -> at::Tensor {
  const auto known = feelings.ge(0).to(logits.dtype());
  const auto each = torch::binary_cross_entropy_with_logits(logits, feelings.clamp_min(0).to(logits.dtype()), {}, {},
                                                            at::Reduction::None);
  return (each * known).sum() / known.sum().clamp_min(1);
}

auto options(const Learning& learning, int replicas) -> tensair::ModelOptions {
  // The loss is a batch's mean, so a step of a rate for each tweet is as many times that rate.
  const auto tweets = static_cast<double>(learning.batch);
  // Each replica's Adagrad adds up the squares of its own share of the gradients alone, and would take larger steps.
  const double share = 1 / std::sqrt(static_cast<double>(replicas));
  tensair::ModelOptions options;
  // Sparse deltas are cheap to send, but whoever hears of steps four at a time decides more evenly.
  if (replicas > 1) options.every.steps = 4;
  options.loss = loss;
  options.optimizer = tensair::adagrad({.lr = share * learning.lr, .epsilon = epsilon / tweets});
  options.groups = {{.match = "output.weight", .optimizer = tensair::sgd({.lr = share * learning.mixing_lr * tweets})},
                    {.match = "output.bias", .optimizer = tensair::sgd({.lr = share * learning.bias_lr * tweets})}};
  return options;
}

void keep_memory() {
#ifdef __GLIBC__
  constexpr int beyond_any_gradient = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, beyond_any_gradient);
  mallopt(M_TRIM_THRESHOLD, beyond_any_gradient);
#endif
}

}  // namespace sentiment
