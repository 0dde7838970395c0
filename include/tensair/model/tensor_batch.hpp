#pragma once

#include <ATen/core/Tensor.h>

#include <concepts>
#include <cstdint>
#include <span>
#include <tensair/net/codec.hpp>
#include <tensair/operators/batch.hpp>
#include <utility>
#include <vector>

namespace tensair {

/// A batch as a model takes it.
struct TensorBatch {
  at::Tensor input;                        ///< [N, …]
  at::Tensor target;                       ///< [N] class numbers (int64) or [N, …] values; undefined for prediction
  std::uint64_t number = 0;                ///< how many batches its source had made before it, and
  std::int32_t node = 0;                   ///< the node of that source: together they name the batch in errors
  std::vector<at::Tensor> more_inputs{};   ///< what the module's forward takes behind `input`
  std::vector<at::Tensor> more_targets{};  ///< for a loss that takes the whole batch

  auto examples() const -> std::int64_t { return input.dim() == 0 ? 1 : input.size(0); }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& input& target& number& node& more_inputs& more_targets;
  }
};

/// One example for supervised learning, for streams that carry tensors: batches of it are stacked.
struct Example {
  at::Tensor input;
  at::Tensor target;  ///< of dimension 0 for a class number
};

/// Stacks examples: [N, …] inputs, [N, …] targets.
auto collate(std::span<const Example> examples) -> TensorBatch;
/// Stacks inputs, without targets: for prediction.
auto collate_tensors(std::span<const at::Tensor> inputs) -> TensorBatch;

/// Sequences of different lengths as one tensor: [L, …] each, of one type, become [N, longest, …], and their lengths
/// int64 [N]. What is behind a sequence's end is `fill`.
///
/// @code
/// texts.batch(32).model(net, [](std::span<const Text> batch) {
///   auto [words, lengths] = tensair::pad(batch, [](const Text& text) { return torch::tensor(text.words); });
///   return tensair::TensorBatch{.input = words, .target = kinds_of(batch), .more_inputs = {lengths}};
/// }).train();
/// @endcode
/// @throws Error  no sequence at all, or two that differ in type or in another dimension than the first
auto pad(std::span<const at::Tensor> sequences, double fill = 0) -> std::pair<at::Tensor, at::Tensor>;

/// The same of records, with the function that makes a sequence of each.
template <class T, std::invocable<const T&> Sequence>
auto pad(std::span<const T> records, Sequence sequence, double fill = 0) -> std::pair<at::Tensor, at::Tensor> {
  std::vector<at::Tensor> sequences;
  sequences.reserve(records.size());
  for (const auto& record : records) sequences.push_back(sequence(record));
  return pad(std::span<const at::Tensor>{sequences}, fill);
}

/// A record that models understand: a function `collate(std::span<const T>)` in the namespace of T makes tensors of a
/// batch of them, and returns a `TensorBatch`, a pair of input and target, or an input tensor alone (for prediction).
template <class T>
concept Collatable = std::same_as<T, at::Tensor> || requires(std::span<const T> records) {
  collate(records);
};

namespace detail {

inline auto to_batch(TensorBatch batch) -> TensorBatch {
  return batch;
}
inline auto to_batch(std::pair<at::Tensor, at::Tensor> batch) -> TensorBatch {
  return {std::move(batch.first), std::move(batch.second)};
}
inline auto to_batch(at::Tensor input) -> TensorBatch {
  return {std::move(input), {}};
}

/// What turns records into tensors when the user gave no function of their own.
struct DefaultCollate {
  template <Collatable T>
  auto operator()(std::span<const T> records) const -> TensorBatch {
    if constexpr (std::same_as<T, at::Tensor>) {
      return collate_tensors(records);
    } else {
      return to_batch(collate(records));
    }
  }
};

}  // namespace detail

namespace net {

/// A tensor on the wire: element type and shape, then its elements in row-major order.
template <>
struct Codec<at::Tensor> {
  static void write(Writer& out, const at::Tensor& tensor);
  static auto read(Reader& in) -> at::Tensor;
};

}  // namespace net
}  // namespace tensair
