#include "encoder.hpp"

#include <torch/torch.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <tensair/error.hpp>
#include <utility>

namespace word2vec {
namespace {

constexpr double drift = 1.1;     // the noise is drawn anew when so many times more words have come,
constexpr double renewal = 0.02;  // or this share of the rows has got other words

auto rows_tensor(std::size_t count) -> at::Tensor {
  return torch::empty({static_cast<std::int64_t>(count)}, torch::kInt32);
}

auto tensor_of(std::span<const std::int32_t> values) -> at::Tensor {
  auto tensor = rows_tensor(values.size());
  std::copy(values.begin(), values.end(), tensor.data_ptr<std::int32_t>());
  return tensor;
}

auto batch_of(at::Tensor rows, at::Tensor noise, at::Tensor renewed, std::uint64_t words, std::uint64_t seed, float lr)
    -> tensair::TensorBatch {
  tensair::TensorBatch batch;
  batch.input = std::move(rows);
  auto head = torch::empty({3}, torch::kInt64);
  auto* const values = head.data_ptr<std::int64_t>();
  values[0] = static_cast<std::int64_t>(words);
  values[1] = static_cast<std::int64_t>(seed);
  values[2] = std::bit_cast<std::int32_t>(lr);
  batch.more_inputs = {head, std::move(noise), std::move(renewed)};
  return batch;
}

auto span_of(const at::Tensor& tensor) -> std::span<const std::int32_t> {
  return {tensor.data_ptr<std::int32_t>(), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace

Encoder::Encoder(std::shared_ptr<Lexicon> lexicon, EncodeOptions options)
    : lexicon_(std::move(lexicon)),
      options_(options),
      random_(options.seed ^ static_cast<std::uint64_t>(options.node) << 32),
      keep_(lexicon_->rows(), 1.0F) {
  for (const double count : lexicon_->counts()) total_ += count;
}

void Encoder::admit(const Admission& one) {
  total_ -= lexicon_->count(one.row);
  lexicon_->admit(one);
  total_ += static_cast<double>(one.count);
  keep_[static_cast<std::size_t>(one.row)] = 1;
  // Its rows begin anew once, wherever that is: what this changes goes to all replicas as any step does.
  if (one.again && one.by == options_.node) renewed_.push_back(one.row);
}

auto Encoder::encode(const Block& block) -> Encoded {
  refresh_if_drifted();
  Encoded encoded;
  encoded.progress = block.progress;
  encoded.rows.reserve(block.text.size() / 5);
  for_each_word(
      block.text,
      [&](std::string_view word) {
        const auto row = lexicon_->find(word);
        if (row < 0) return;
        ++encoded.words;
        if (options_.live) {
          lexicon_->add_count(row);
          total_ += 1;
        }
        const float keep = keep_[static_cast<std::size_t>(row)];
        if (keep >= 1 || random_.real() < keep) encoded.rows.push_back(row);
      },
      [&] {
        if (!encoded.rows.empty() && encoded.rows.back() >= 0) encoded.rows.push_back(-1);
      });
  if (!encoded.rows.empty() && encoded.rows.back() >= 0) encoded.rows.push_back(-1);
  return encoded;
}

void Encoder::refresh_if_drifted() {
  const auto changed = static_cast<double>(lexicon_->changes() - changes_at_refresh_);
  const bool due = noise_.empty() ? total_ > 0
                                  : total_ > drift * total_at_refresh_ ||
                                        (options_.live && changed > renewal * static_cast<double>(lexicon_->size()));
  if (!due) return;
  const auto& counts = lexicon_->counts();
  std::vector<double> weights(counts.size());
  for (std::size_t row = 0; row < counts.size(); ++row) {
    weights[row] = std::pow(counts[row], 0.75);
    const double rate = counts[row] / total_ / (options_.sample > 0 ? options_.sample : 1);
    const bool all = options_.sample <= 0 || counts[row] <= 0;
    keep_[row] = all ? 1.0F : static_cast<float>(std::min(1.0, (std::sqrt(rate) + 1) / rate));
  }
  noise_ = AliasTable(weights);
  total_at_refresh_ = total_;
  changes_at_refresh_ = lexicon_->changes();
}

auto Encoder::collate(std::span<const Encoded> blocks) -> tensair::TensorBatch {
  // As many numbers as make a few hundred kilobytes: each goes to its place, and none is copied.
  std::size_t count = 0;
  std::uint64_t words = 0;
  for (const auto& block : blocks) {
    count += block.rows.size();
    words += block.words;
  }
  if (noise_.empty()) count = 0;
  auto rows = rows_tensor(count);
  auto* next = rows.data_ptr<std::int32_t>();
  for (const auto& block : blocks) {
    if (count > 0) next = std::copy(block.rows.begin(), block.rows.end(), next);
  }
  const auto wanted = static_cast<std::size_t>(options_.noise * static_cast<double>(count));
  auto noise = rows_tensor(count > 0 ? std::max(wanted, static_cast<std::size_t>(options_.negative)) : 0);
  auto* const drawn = noise.data_ptr<std::int32_t>();
  for (std::int64_t i = 0; i < noise.numel(); ++i) drawn[i] = noise_.draw(random_);
  const float progress = blocks.empty() ? 0 : blocks.front().progress;
  const float lr = std::max(options_.last_lr, options_.lr - (options_.lr - options_.last_lr) * progress);
  return batch_of(std::move(rows), std::move(noise), tensor_of(std::exchange(renewed_, {})), words, random_(), lr);
}

auto to_tensors(std::span<const std::int32_t> rows, std::span<const std::int32_t> noise,
                std::span<const std::int32_t> renewed, std::uint64_t words, std::uint64_t seed, float lr)
    -> tensair::TensorBatch {
  return batch_of(tensor_of(rows), tensor_of(noise), tensor_of(renewed), words, seed, lr);
}

Batch::Batch(const tensair::TensorBatch& tensors) {
  const auto& more = tensors.more_inputs;
  const auto is = [](const at::Tensor& tensor, at::ScalarType type) {
    return tensor.defined() && tensor.scalar_type() == type && tensor.dim() == 1 && tensor.is_contiguous();
  };
  if (more.size() != 3 || !is(tensors.input, at::kInt) || !is(more[0], at::kLong) || more[0].numel() != 3 ||
      !is(more[1], at::kInt) || !is(more[2], at::kInt))
    throw tensair::Error("a batch is not of words", "word2vec", "Make it with Encoder::collate.");
  rows = span_of(tensors.input);
  noise = span_of(more[1]);
  renewed = span_of(more[2]);
  const auto* const head = more[0].data_ptr<std::int64_t>();
  words = static_cast<std::uint64_t>(head[0]);
  seed = static_cast<std::uint64_t>(head[1]);
  lr = std::bit_cast<float>(static_cast<std::int32_t>(head[2]));
}

}  // namespace word2vec
