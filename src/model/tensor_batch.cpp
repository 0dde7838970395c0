#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <tensair/model/model.hpp>
#include <tensair/model/tensor_batch.hpp>

#include "model/describe.hpp"

namespace tensair {

auto collate(std::span<const Example> examples) -> TensorBatch {
  std::vector<at::Tensor> inputs, targets;
  for (const auto& example : examples) {
    inputs.push_back(example.input);
    targets.push_back(example.target);
  }
  return {torch::stack(inputs), torch::stack(targets)};
}

auto collate_tensors(std::span<const at::Tensor> inputs) -> TensorBatch {
  return {torch::stack(std::vector<at::Tensor>(inputs.begin(), inputs.end())), {}};
}

auto pad(std::span<const at::Tensor> sequences, double fill) -> std::pair<at::Tensor, at::Tensor> {
  if (sequences.empty()) throw Error("there is no sequence to pad", "pad", "Leave empty batches out.");
  const auto& first = sequences.front();
  std::int64_t longest = 0;
  std::vector<std::int64_t> lengths;
  for (const auto& sequence : sequences) {
    if (sequence.dim() == 0 || sequence.dim() != first.dim() || sequence.scalar_type() != first.scalar_type() ||
        sequence.sizes().slice(1) != first.sizes().slice(1)) {
      throw Error(fmt::format("sequences to pad are {} and {}", type_and_shape_of(first), type_and_shape_of(sequence)),
                  "pad", "They may differ in their first dimension only.");
    }
    lengths.push_back(sequence.size(0));
    longest = std::max(longest, lengths.back());
  }
  std::vector<std::int64_t> sizes{static_cast<std::int64_t>(sequences.size()), longest};
  sizes.insert(sizes.end(), first.sizes().begin() + 1, first.sizes().end());
  auto padded = torch::full(sizes, fill, first.options());
  for (std::size_t i = 0; i < sequences.size(); ++i)
    padded.select(0, static_cast<std::int64_t>(i)).narrow(0, 0, lengths[i]).copy_(sequences[i]);
  return {padded, torch::tensor(lengths)};
}

auto select_output(const at::Tensor& output, std::int64_t i) -> at::Tensor {
  return output.select(0, i);
}

void check_output(const at::Tensor& output, std::size_t records, const std::string& model) {
  if (output.dim() > 0 && output.size(0) == static_cast<std::int64_t>(records)) return;
  throw Error("model «" + model + "» does not answer one row a record", "predict",
              "Its forward must keep the first dimension, the batch's.");
}

namespace detail {

auto seed_libtorch(std::uint64_t seed) -> std::unique_lock<std::mutex> {
  static std::mutex generator;
  auto lock = std::unique_lock{generator};
  torch::manual_seed(seed);
  return lock;
}

}  // namespace detail

namespace net {
namespace {

// Undefined tensors (a batch without targets) travel too.
constexpr std::int8_t undefined = -1;
constexpr std::size_t most_dimensions = 64;

auto as_bytes(const at::Tensor& tensor) -> std::span<const std::byte> {
  return {static_cast<const std::byte*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.nbytes())};
}

}  // namespace

void Codec<at::Tensor>::write(Writer& out, const at::Tensor& tensor) {
  if (!tensor.defined()) {
    out.write(undefined);
    return;
  }
  if (tensor.layout() != at::kStrided || !tensor.device().is_cpu())
    throw Error("only dense tensors in main memory can be sent to another node");
  out.write(static_cast<std::int8_t>(tensor.scalar_type()));
  const bool channels_last =
      tensor.dim() == 4 && !tensor.is_contiguous() && tensor.is_contiguous(at::MemoryFormat::ChannelsLast);
  out.write(channels_last);
  out.write(static_cast<std::uint8_t>(tensor.dim()));
  for (const auto size : tensor.sizes()) out.write(static_cast<std::int64_t>(size));
  if (channels_last || tensor.is_contiguous()) {
    out.refer(as_bytes(tensor));
  } else {
    out.refer_copy(as_bytes(tensor.contiguous()));
  }
}

auto Codec<at::Tensor>::read(Reader& in) -> at::Tensor {
  const auto type = in.read<std::int8_t>();
  if (type == undefined) return {};
  if (type < 0 || type >= static_cast<std::int8_t>(at::ScalarType::NumOptions))
    throw Malformed("a tensor of an unknown element type");
  const auto scalar = static_cast<at::ScalarType>(type);
  if (at::isQIntType(scalar) || scalar == at::ScalarType::Undefined)
    throw Malformed("a tensor of an element type that is not sent");
  const bool channels_last = in.read<std::uint8_t>() != 0;
  const auto dimensions = in.read<std::uint8_t>();
  if (dimensions > most_dimensions || (channels_last && dimensions != 4))
    throw Malformed("a tensor of an impossible shape");
  std::vector<std::int64_t> sizes;
  std::uint64_t bytes = c10::elementSize(scalar);
  for (std::size_t d = 0; d < dimensions; ++d) {
    const auto size = sizes.emplace_back(in.read<std::int64_t>());
    // Checked factor by factor, so that the product can neither overflow nor exceed what has arrived.
    if (size < 0 || (size > 0 && bytes > in.bulk_left() / static_cast<std::uint64_t>(size)))
      throw Malformed("a tensor is larger than its message");
    bytes *= static_cast<std::uint64_t>(size);
  }
  auto tensor = torch::empty(sizes, torch::TensorOptions(scalar).memory_format(
                                        channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous));
  const auto part = in.bulk(bytes);
  if (bytes != 0) std::memcpy(tensor.data_ptr(), part.data(), bytes);
  return tensor;
}

}  // namespace net
}  // namespace tensair
