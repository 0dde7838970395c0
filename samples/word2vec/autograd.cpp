#include "autograd.hpp"

#include <torch/torch.h>

#include <vector>

#include "draws.hpp"

namespace word2vec {
namespace {

/// The windows of a piece, as indices. A row of `outputs` is a window's word and those it is told from.
struct Windows {
  std::vector<std::int64_t> outputs, neighbours, window_of;  // by window; by neighbour, and which window it is in
  std::vector<float> counts;                                 // 0 for noise that is the word itself, else 1
  std::int64_t count = 0;
};

auto windows_of(const Text& text, std::size_t first, std::size_t last, const Shape& shape) -> Windows {
  const auto words = text.words;
  auto noise_at = first_noise(text.seed, first, text.noise.size());
  Windows all;
  for (std::size_t t = first; t < last; ++t) {
    if (words[t] < 0) continue;
    const auto known = all.neighbours.size();
    const std::size_t reach = reach_of(text.seed, t, static_cast<std::size_t>(shape.window));
    for (std::size_t place = t; place > 0 && t - place < reach && words[place - 1] >= 0; --place)
      all.neighbours.push_back(words[place - 1]);
    for (std::size_t place = t + 1; place < words.size() && place - t <= reach && words[place] >= 0; ++place)
      all.neighbours.push_back(words[place]);
    if (all.neighbours.size() == known) continue;
    all.window_of.resize(all.neighbours.size(), all.count++);
    all.outputs.push_back(words[t]);
    all.counts.push_back(1);
    for (int j = 0; j < shape.negative; ++j) {
      const auto id = text.noise[noise_at];
      if (++noise_at == text.noise.size()) noise_at = 0;
      all.outputs.push_back(id);
      all.counts.push_back(id == words[t] ? 0.0F : 1.0F);
    }
  }
  return all;
}

// A module whose weights are a table of others', which it only reads.
auto embedding_over(const float* table, std::size_t rows, std::size_t dim) -> torch::nn::Embedding {
  const auto weights =
      torch::from_blob(const_cast<float*>(table), {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(dim)});
  return torch::nn::Embedding::from_pretrained(weights,
                                               torch::nn::EmbeddingFromPretrainedOptions().freeze(false).sparse(true));
}

void add_rows(float* table, std::size_t dim, const at::Tensor& gradient, float share) {
  const auto rows = gradient.coalesce();
  const auto ids = rows.indices()[0].contiguous();
  const auto values = rows.values().contiguous();
  const float* value = values.data_ptr<float>();
  for (std::int64_t i = 0; i < ids.numel(); ++i) {
    float* const row = table + static_cast<std::size_t>(ids.data_ptr<std::int64_t>()[i]) * dim;
    for (std::size_t k = 0; k < dim; ++k) row[k] += share * *value++;
  }
}

}  // namespace

auto Autograd::learn(const Text& text, std::size_t first, std::size_t last, const Tables& tables) const -> Learnt {
  const auto windows = windows_of(text, first, last, shape_);
  if (windows.count == 0) return {};
  const std::int64_t outputs = 1 + shape_.negative;
  auto in = embedding_over(tables.in, rows_, shape_.dim), out = embedding_over(tables.out, rows_, shape_.dim);
  const auto window_of = torch::tensor(windows.window_of);
  const auto share = 1 / torch::bincount(window_of, {}, windows.count).to(torch::kFloat);  // of a neighbour

  auto context = in(torch::tensor(windows.neighbours));                            // [neighbours, dim]
  auto predicted = out(torch::tensor(windows.outputs).view({windows.count, -1}));  // [windows, outputs, dim]
  auto counts = torch::tensor(windows.counts).view({windows.count, outputs});
  if (shape_.cbow) {
    context = torch::zeros({windows.count, context.size(1)})
                  .index_add(0, window_of, context * share.index_select(0, window_of).unsqueeze(1));
  } else {
    predicted = predicted.index_select(0, window_of);
    counts = counts.index_select(0, window_of);
  }
  const auto scores = torch::bmm(predicted, context.unsqueeze(2)).squeeze(2);  // [neighbours or windows, outputs]
  auto sign = -torch::ones({1, outputs});
  sign[0][0] = 1;
  const auto losses = -torch::log_sigmoid(sign * scores) * counts;
  losses.sum().backward();
  add_rows(tables.change_in, shape_.dim, in->weight.grad(), -text.lr);
  add_rows(tables.change_out, shape_.dim, out->weight.grad(), -text.lr);

  const auto of_each = losses.detach().sum(1);
  const auto loss = shape_.cbow ? of_each.sum() : (of_each * share.index_select(0, window_of)).sum();
  return {loss.item<double>(), static_cast<std::uint64_t>(windows.count), windows.neighbours.size()};
}

}  // namespace word2vec
