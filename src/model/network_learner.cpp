#include "model/network_learner.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>
#include <torch/torch.h>

#include <algorithm>
#include <limits>
#include <tensair/error.hpp>
#include <tensair/model/step_rule.hpp>
#include <unordered_set>

#include "model/count_correct.hpp"
#include "model/describe.hpp"
#include "model/parts_optimizer.hpp"

namespace tensair {
namespace {

auto is_channels_last(const at::Tensor& tensor) -> bool {
  return tensor.dim() == 4 && !tensor.is_contiguous() && tensor.is_contiguous(at::MemoryFormat::ChannelsLast);
}

// A view of `flat`, from `offset` on, that looks like `like`: same sizes, same memory layout.
auto view_like(const at::Tensor& flat, std::int64_t offset, const at::Tensor& like) -> at::Tensor {
  const auto slice = flat.narrow(0, offset, like.numel());
  if (!is_channels_last(like)) return slice.view(like.sizes());
  return slice.view({like.size(0), like.size(2), like.size(3), like.size(1)}).permute({0, 3, 1, 2});
}

auto values_of(const at::Tensor& flat) -> std::span<float> {
  return {flat.data_ptr<float>(), static_cast<std::size_t>(flat.numel())};
}

void require_examples(const TensorBatch& batch) {
  if (batch.input.defined() && batch.input.numel() > 0) return;
  throw Error("a batch is empty", "model", "Let collate make at least one example, or send no such batch.");
}

}  // namespace

auto is_out_of_memory(const std::string& what) -> bool {
  return what.find("out of memory") != std::string::npos;
}

Look::Look(const at::Tensor& tensor)
    : type_(tensor.scalar_type()), sizes_(tensor.sizes().begin(), tensor.sizes().end()) {}

auto Look::text() const -> std::string {
  std::vector<std::string> parts{"N"};
  for (std::size_t d = 1; d < sizes_.size(); ++d) parts.push_back(std::to_string(sizes_[d]));
  std::string name = c10::toString(type_);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return fmt::format("{} [{}]", name, fmt::join(parts, ", "));
}

auto Look::same_but_first(const at::Tensor& tensor) const -> bool {
  return tensor.scalar_type() == type_ && tensor.sizes().size() == sizes_.size() &&
         std::equal(sizes_.begin() + (sizes_.empty() ? 0 : 1), sizes_.end(),
                    tensor.sizes().begin() + (sizes_.empty() ? 0 : 1));
}

NetworkLearner::NetworkLearner(Network network, const ModelOptions& options, int replicas, const at::Device& device)
    : network_(std::move(network)), loss_(options.loss), replicas_(replicas) {
  flatten(options.groups, device);
  check_sparse(options);
}

auto NetworkLearner::parameters() -> std::span<float> {
  return values_of(flat_);
}
auto NetworkLearner::gradient() -> std::span<const float> {
  return touches_few() ? std::span<const float>(some_) : values_of(gradient_);
}

void NetworkLearner::update(Optimizer& optimizer, std::span<const float> gradient, std::span<float> change) {
  if (!touches_few() || gradient.size() == size()) return Learner::update(optimizer, gradient, change);
  std::vector<float> some(change.empty() ? 0 : some_.size());
  update_some(optimizer, touched_, gradient.empty() ? this->gradient() : gradient, some);
  if (change.empty()) return;
  std::fill(change.begin(), change.end(), 0.0F);
  tensair::add(change, {.values = some, .segments = touched_, .owner = nullptr, .contributions = {}});
}

auto NetworkLearner::update_was_finite() -> bool {
  if (!touches_few()) return Learner::update_was_finite();
  const auto values = parameters();
  return std::all_of(touched_.begin(), touched_.end(),
                     [&](const Segment& one) { return all_finite(values.subspan(one.first, one.count)); });
}

auto NetworkLearner::compute(const TensorBatch& batch) -> Score {
  require_examples(batch);
  network_.train(true);
  // Not zero_grad(): it would drop the views, and the next gradients would lie elsewhere.
  gradient_.zero_();
  for (auto& table : network_.sparse) table.mutable_grad() = at::Tensor();  // so that LibTorch makes a sparse one
  note_buffers();
  try {
    const auto outputs = network_.forward(batch);
    const auto loss = loss_(outputs, batch);
    loss.backward();
    take_buffers_back();
    if (touches_few()) gather_touched();
    if (!input_) {
      input_ = Look(batch.input);
      if (batch.target.defined()) target_ = Look(batch.target);
    }
    return score_of(outputs.first().detach(), loss.detach(), batch, true);
  } catch (const std::exception& error) {
    take_buffers_back();
    if (!is_out_of_memory(error.what())) explain_difference(batch);
    throw;
  }
}

auto NetworkLearner::score(const TensorBatch& batch) -> Score {
  at::Tensor output;
  return NetworkLearner::score(batch, output);
}

auto NetworkLearner::score(const TensorBatch& batch, at::Tensor& output) -> Score {
  const torch::NoGradGuard no_grad;
  require_examples(batch);
  const auto outputs = NetworkLearner::predict(batch);
  output = outputs.first();
  return score_of(output, loss_(outputs, batch), batch, false);
}

auto NetworkLearner::predict(const TensorBatch& batch) -> Outputs {
  const torch::NoGradGuard no_grad;
  network_.train(false);
  return network_.forward(batch);
}

auto NetworkLearner::make_optimizer(const OptimizerFactory& wanted) -> std::unique_ptr<Optimizer> {
  std::vector<OptimizerPart> parts;
  for (const auto& group : groups_)
    parts.push_back({group.size, group.optimizer ? group.optimizer : wanted, group.rate, true});
  // A buffer moves by what the batch has moved it; no learning rate is meant for it.
  if (size() > trained_) parts.push_back({size() - trained_, whole_step(), 1, false});
  auto optimizer = optimizer_of_parts(parts);
  if (touches_few() && !optimizer->steps_lazily()) {
    throw UsageError("an optimiser cannot step the rows of a sparse embedding alone", "ModelOptions::optimizer",
                     "Take one of tensair's (sgd, adam, adamw, rmsprop, adagrad), or make the embedding without "
                     "sparse(true).");
  }
  return optimizer;
}

auto NetworkLearner::tensors() -> NamedTensors {
  NamedTensors all = network_.parameters;
  all.insert(all.end(), network_.buffers.begin(), network_.buffers.end());
  return all;
}

void NetworkLearner::note_buffers() {
  const auto buffers = values_of(flat_).subspan(trained_);
  std::copy(buffers.begin(), buffers.end(), buffers_before_.begin());
}

void NetworkLearner::take_buffers_back() {
  const auto buffers = values_of(flat_).subspan(trained_);
  const auto changes = values_of(gradient_).last(buffers.size());
  const auto part = static_cast<float>(share());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    changes[i] = (buffers_before_[i] - buffers[i]) * part;
    buffers[i] = buffers_before_[i];
  }
}

auto NetworkLearner::score_of(const at::Tensor& output, const at::Tensor& loss, const TensorBatch& batch, bool)
    -> Score {
  return {loss.item<double>(), static_cast<std::uint64_t>(batch.examples()),
          batch.target.defined() ? count_correct(output, batch.target) : 0};
}

void NetworkLearner::check_sparse(const ModelOptions& options) {
  if (!touches_few()) return;
  const auto refuse = [](const char* what) {
    throw UsageError(fmt::format("{} needs the gradients of all parameters, and an embedding has sparse ones", what),
                     "ModelOptions", "Do without, or make the embedding without sparse(true).");
  };
  if (options.accumulate > 1) refuse("accumulate");
  if (options.staleness.compensation > 0) refuse("staleness.compensation");
  if (size() > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(fmt::format("a model with a sparse embedding has {} parameters", size()), "model",
                "It may have 4294967295; take several models.");
  }
}

// All that the last batch has a gradient for, in order of the flat buffer. Parameters that are no sparse tables always
// count: they are the smaller part.
void NetworkLearner::gather_touched() {
  touched_.clear();
  some_.clear();
  const auto gradient = values_of(gradient_);
  for (const auto& stretch : stretches_) {
    if (stretch.table.defined()) {
      gather_rows(stretch);
    } else {
      const auto values = gradient.subspan(stretch.gradient, stretch.count);
      touched_.push_back({static_cast<std::uint32_t>(stretch.first), static_cast<std::uint32_t>(stretch.count)});
      some_.insert(some_.end(), values.begin(), values.end());
    }
  }
}

void NetworkLearner::gather_rows(const Stretch& stretch) {
  const auto& gradient = stretch.table.grad();
  if (!gradient.defined()) return;  // the batch did not ask this table
  const auto begin = static_cast<std::uint32_t>(stretch.first);
  if (!gradient.is_sparse() || gradient.sparse_dim() != 1) {  // it is used otherwise, too: as the weights of a layer
    touched_.push_back({begin, static_cast<std::uint32_t>(stretch.count)});
    const auto values = (gradient.is_sparse() ? gradient.to_dense() : gradient).contiguous();
    some_.insert(some_.end(), values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
    return;
  }
  // A row may be there several times, in any order: once for each time that the batch names it.
  const auto numbers = gradient._indices().contiguous();
  const auto values = gradient._values().contiguous();
  const auto count = static_cast<std::size_t>(numbers.numel());
  const auto length = static_cast<std::size_t>(stretch.table.numel() / stretch.table.size(0));
  order_.resize(count);
  for (std::size_t i = 0; i < count; ++i)
    order_[i] = {static_cast<std::uint32_t>(numbers.data_ptr<std::int64_t>()[i]), static_cast<std::uint32_t>(i)};
  std::sort(order_.begin(), order_.end());
  const auto known = touched_.size();
  const auto* const all = values.data_ptr<float>();
  for (std::size_t i = 0; i < count;) {
    const auto number = order_[i].first;
    const auto* row = all + order_[i].second * length;
    some_.insert(some_.end(), row, row + length);
    float* const sum = some_.data() + (some_.size() - length);
    for (++i; i < count && order_[i].first == number; ++i) {
      row = all + order_[i].second * length;
      for (std::size_t k = 0; k < length; ++k) sum[k] += row[k];
    }
    const auto first = begin + number * static_cast<std::uint32_t>(length);
    if (touched_.size() > known && touched_.back().end() == first) {
      touched_.back().count += static_cast<std::uint32_t>(length);
    } else {
      touched_.push_back({first, static_cast<std::uint32_t>(length)});
    }
  }
}

// Groups' parameters first, group by group, then those of no group; then buffers. So each optimiser has one stretch.
void NetworkLearner::flatten(const std::vector<ParameterGroup>& wanted, const at::Device& device) {
  const torch::NoGradGuard no_grad;
  auto groups = grouped(wanted);
  std::vector<at::Tensor> buffers;
  std::int64_t count = 0;
  for (const auto& group : groups) count += static_cast<std::int64_t>(group.size);
  trained_ = static_cast<std::size_t>(count);
  if (count == 0)
    throw Error("a module has no parameter that can be trained", "model",
                "Register parameters, and let them require gradients.");
  std::unordered_set<const void*> seen;
  for (auto& [name, buffer] : network_.buffers) {
    if (buffer.scalar_type() != at::kFloat || !buffer.device().is_cpu() ||
        !seen.insert(buffer.unsafeGetTensorImpl()).second)
      continue;
    buffers.push_back(buffer);
    count += buffer.numel();
  }
  std::unordered_set<const void*> sparse;
  std::unordered_set<const void*> trained;
  for (const auto& group : groups) {
    for (const auto& parameter : group.parameters) trained.insert(parameter.unsafeGetTensorImpl());
  }
  std::erase_if(network_.sparse, [&](const at::Tensor& table) {
    const auto* const impl = table.unsafeGetTensorImpl();
    return !trained.contains(impl) || !sparse.insert(impl).second;
  });
  std::int64_t dense = count;
  for (const auto& table : network_.sparse) dense -= table.numel();
  flat_ = torch::empty({count}, device);
  gradient_ = torch::zeros({dense}, device);
  std::int64_t offset = 0, gradient_offset = 0;
  const auto note = [&](const at::Tensor& tensor) {
    const auto values = static_cast<std::size_t>(tensor.numel());
    const bool is_table = sparse.contains(tensor.unsafeGetTensorImpl());
    if (values == 0) return is_table;
    if (!is_table && !stretches_.empty() && !stretches_.back().table.defined()) {
      stretches_.back().count += values;
    } else {
      stretches_.push_back({is_table ? tensor : at::Tensor{}, static_cast<std::size_t>(offset), values,
                            static_cast<std::size_t>(gradient_offset)});
    }
    return is_table;
  };
  const auto move = [&](at::Tensor& tensor) {
    auto view = view_like(flat_, offset, tensor);
    view.copy_(tensor);
    tensor.set_data(view);
    offset += tensor.numel();
  };
  for (auto& group : groups) {
    for (auto& parameter : group.parameters) {
      const bool is_table = note(parameter);
      if (!is_table) {
        parameter.mutable_grad() = view_like(gradient_, gradient_offset, parameter);
        gradient_offset += parameter.numel();
      }
      move(parameter);
    }
    group.parameters.clear();
    if (group.size > 0) groups_.push_back(std::move(group));
  }
  for (auto& buffer : buffers) {
    note(buffer);
    move(buffer);
  }
  buffers_before_.resize(size() - trained_);
  if (!device.is_cpu()) move_others(device);
}

// Frozen parameters, and buffers that are no floats.
void NetworkLearner::move_others(const at::Device& device) {
  for (auto* tensors : {&network_.parameters, &network_.buffers}) {
    for (auto& [name, tensor] : *tensors) {
      if (tensor.device() != device) tensor.set_data(tensor.detach().to(device));
    }
  }
}

auto NetworkLearner::grouped(const std::vector<ParameterGroup>& wanted) -> std::vector<Group> {
  std::vector<Group> groups(wanted.size() + 1);
  for (std::size_t g = 0; g < wanted.size(); ++g) {
    groups[g].optimizer = wanted[g].optimizer;
    groups[g].rate = wanted[g].rate;
  }
  std::vector<bool> matched(wanted.size());
  std::unordered_set<const void*> seen;  // a parameter that two modules share is there once
  for (auto& [name, parameter] : network_.parameters) {
    if (!seen.insert(parameter.unsafeGetTensorImpl()).second) continue;
    std::size_t g = 0;
    while (g < wanted.size() && ::fnmatch(wanted[g].match.c_str(), name.c_str(), 0) != 0) ++g;
    if (g < wanted.size()) {
      matched[g] = true;
      if (wanted[g].frozen) parameter.set_requires_grad(false);
    }
    if (!parameter.requires_grad()) continue;
    if (parameter.scalar_type() != at::kFloat || !parameter.device().is_cpu()) {
      throw Error(
          fmt::format("parameter «{}» is not float32 in main memory", name), "model",
          "Convert the module: module->to(torch::kFloat32). Where it computes is said by ModelOptions::device.");
    }
    groups[g].parameters.push_back(parameter);
    groups[g].size += static_cast<std::size_t>(parameter.numel());
  }
  for (std::size_t g = 0; g < wanted.size(); ++g) {
    if (!matched[g]) refuse_group(wanted[g], "matches no parameter");
    if (!(wanted[g].rate > 0)) refuse_group(wanted[g], "has a rate that is not positive");
  }
  return groups;
}

void NetworkLearner::refuse_group(const ParameterGroup& group, const char* why) const {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : network_.parameters) names.push_back(name);
  throw UsageError(fmt::format("a parameter group's «{}» {}", group.match, why), "ModelOptions::groups",
                   fmt::format("The module's parameters are {}.", fmt::join(names, ", ")));
}

// Another shape is no mistake by itself (sequences differ in length), so it is spoken of when the batch was refused.
void NetworkLearner::explain_difference(const TensorBatch& batch) const {
  const auto compare = [](const char* what, const std::optional<Look>& before, const at::Tensor& now) {
    if (!before || !now.defined() || before->same_but_first(now)) return;
    throw Error(fmt::format("its {} is {}, and batches before had {}", what, type_and_shape_of(now), before->text()),
                "model", "Let collate make all batches alike.");
  };
  compare("input", input_, batch.input);
  compare("target", target_, batch.target);
}

}  // namespace tensair
