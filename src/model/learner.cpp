#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>
#include <torch/torch.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <tensair/error.hpp>
#include <tensair/model/checkpoint.hpp>
#include <tensair/model/learner.hpp>
#include <tensair/model/own_model.hpp>
#include <unordered_map>
#include <unordered_set>

#include "io/replace_file.hpp"
#include "model/count_correct.hpp"
#include "model/describe.hpp"
#include "model/model_file.hpp"
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

auto values_of(const at::Tensor& flat, std::size_t size) -> std::span<float> {
  return {flat.data_ptr<float>(), size};
}

/// What a batch's tensors look like, but for the number of examples.
struct Look {
  at::ScalarType type;
  std::vector<std::int64_t> sizes;

  explicit Look(const at::Tensor& tensor)
      : type(tensor.scalar_type()), sizes(tensor.sizes().begin(), tensor.sizes().end()) {}
  auto text() const -> std::string {
    std::vector<std::string> parts{"N"};
    for (std::size_t d = 1; d < sizes.size(); ++d) parts.push_back(std::to_string(sizes[d]));
    std::string name = c10::toString(type);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    return fmt::format("{} [{}]", name, fmt::join(parts, ", "));
  }
  auto same_but_first(const at::Tensor& tensor) const -> bool {
    return tensor.scalar_type() == type && tensor.sizes().size() == sizes.size() &&
           std::equal(sizes.begin() + (sizes.empty() ? 0 : 1), sizes.end(),
                      tensor.sizes().begin() + (sizes.empty() ? 0 : 1));
  }
};

class NetworkLearner final : public Learner {
 public:
  NetworkLearner(Network network, const ModelOptions& options, int replicas)
      : network_(std::move(network)), loss_(options.loss), replicas_(replicas) {
    flatten(options.groups);
  }

  auto parameters() -> std::span<float> override { return values_of(flat_, size()); }
  auto trained() -> std::size_t override { return trained_; }
  auto gradient() -> std::span<const float> override { return values_of(gradient_, size()); }

  auto compute(const TensorBatch& batch) -> Score override {
    require_examples(batch);
    network_.train(true);
    // Not zero_grad(): it would drop the views, and the next gradients would lie elsewhere.
    gradient_.zero_();
    note_buffers();
    try {
      const auto outputs = network_.forward(batch);
      const auto loss = loss_(outputs, batch);
      loss.backward();
      take_buffers_back();
      if (!input_) {
        input_ = Look(batch.input);
        if (batch.target.defined()) target_ = Look(batch.target);
      }
      return score_of(outputs.first().detach(), loss.detach(), batch);
    } catch (const std::exception&) {
      take_buffers_back();
      explain_difference(batch);
      throw;
    }
  }

  auto score(const TensorBatch& batch) -> Score override {
    at::Tensor output;
    return score(batch, output);
  }

  auto score(const TensorBatch& batch, at::Tensor& output) -> Score override {
    const torch::NoGradGuard no_grad;
    require_examples(batch);
    const auto outputs = predict(batch);
    output = outputs.first();
    return score_of(output, loss_(outputs, batch), batch);
  }

  auto predict(const TensorBatch& batch) -> Outputs override {
    const torch::NoGradGuard no_grad;
    network_.train(false);
    return network_.forward(batch);
  }

  auto make_optimizer(const OptimizerFactory& wanted) -> std::unique_ptr<Optimizer> override {
    std::vector<OptimizerPart> parts;
    for (const auto& group : groups_)
      parts.push_back({group.size, group.optimizer ? group.optimizer : wanted, group.rate, true});
    // A buffer moves by what the batch has moved it; no learning rate is meant for it.
    if (size() > trained_) parts.push_back({size() - trained_, whole_step(), 1, false});
    return optimizer_of_parts(parts);
  }

  auto tensors() -> NamedTensors override {
    NamedTensors all = network_.parameters;
    all.insert(all.end(), network_.buffers.begin(), network_.buffers.end());
    return all;
  }

 private:
  struct Group {
    std::vector<at::Tensor> parameters;
    std::size_t size = 0;
    OptimizerFactory optimizer;
    double rate = 1;
  };

  auto size() const -> std::size_t { return static_cast<std::size_t>(flat_.numel()); }

  static void require_examples(const TensorBatch& batch) {
    if (batch.input.defined() && batch.input.numel() > 0) return;
    throw Error("a batch is empty", "model", "Let collate make at least one example, or send no such batch.");
  }

  // Groups' parameters first, group by group, then those of no group; then buffers. So each optimiser has one stretch.
  void flatten(const std::vector<ParameterGroup>& wanted) {
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
    flat_ = torch::empty({count});
    gradient_ = torch::zeros({count});
    std::int64_t offset = 0;
    const auto move = [&](at::Tensor& tensor) {
      auto view = view_like(flat_, offset, tensor);
      view.copy_(tensor);
      tensor.set_data(view);
      offset += tensor.numel();
    };
    for (auto& group : groups) {
      for (auto& parameter : group.parameters) {
        auto gradient = view_like(gradient_, offset, parameter);
        move(parameter);
        parameter.mutable_grad() = gradient;
      }
      group.parameters.clear();
      if (group.size > 0) groups_.push_back(std::move(group));
    }
    for (auto& buffer : buffers) move(buffer);
    buffers_before_.resize(size() - trained_);
  }

  auto grouped(const std::vector<ParameterGroup>& wanted) -> std::vector<Group> {
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
        throw Error(fmt::format("parameter «{}» is not float32 in main memory", name), "model",
                    "Convert the module: module->to(torch::kFloat32).");
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

  [[noreturn]] void refuse_group(const ParameterGroup& group, const char* why) const {
    std::vector<std::string> names;
    for (const auto& [name, parameter] : network_.parameters) names.push_back(name);
    throw UsageError(fmt::format("a parameter group's «{}» {}", group.match, why), "ModelOptions::groups",
                     fmt::format("The module's parameters are {}.", fmt::join(names, ", ")));
  }

  // Training changes buffers in the midst of the forward pass. They are put back, and what they have changed by goes
  // where gradients are: so it is exchanged, checked and left out like these.
  void note_buffers() {
    const auto buffers = values_of(flat_, size()).subspan(trained_);
    std::copy(buffers.begin(), buffers.end(), buffers_before_.begin());
  }
  void take_buffers_back() {
    const auto buffers = values_of(flat_, size()).subspan(trained_);
    const auto changes = values_of(gradient_, size()).subspan(trained_);
    const auto share = 1 / static_cast<float>(replicas_);
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      changes[i] = (buffers_before_[i] - buffers[i]) * share;
      buffers[i] = buffers_before_[i];
    }
  }

  // Another shape is no mistake by itself (sequences differ in length), so it is spoken of when the batch was refused.
  void explain_difference(const TensorBatch& batch) const {
    const auto compare = [](const char* what, const std::optional<Look>& before, const at::Tensor& now) {
      if (!before || !now.defined() || before->same_but_first(now)) return;
      throw Error(fmt::format("its {} is {}, and batches before had {}", what, type_and_shape_of(now), before->text()),
                  "model", "Let collate make all batches alike.");
    };
    compare("input", input_, batch.input);
    compare("target", target_, batch.target);
  }

  static auto score_of(const at::Tensor& output, const at::Tensor& loss, const TensorBatch& batch) -> Score {
    return {loss.item<double>(), static_cast<std::uint64_t>(batch.examples()),
            batch.target.defined() ? count_correct(output, batch.target) : 0};
  }

  Network network_;
  Loss loss_;
  int replicas_;
  std::vector<Group> groups_;
  std::size_t trained_ = 0;
  at::Tensor flat_, gradient_;
  std::vector<float> buffers_before_;
  std::optional<Look> input_, target_;  // of the first batch that was learnt from
};

}  // namespace

auto Learner::predict(const at::Tensor& input) -> at::Tensor {
  TensorBatch batch;
  batch.input = input;
  return predict(batch).first();
}

auto Learner::step(const TensorBatch&, SparseChange*) -> Score {
  throw std::logic_error("this learner does not step in place");
}

void Learner::save(const std::filesystem::path& file) {
  const auto bytes = archive_of(dictionary_of(tensors()));
  replace_file(file, {bytes.data(), bytes.size()});
}

void Learner::load(const std::filesystem::path& file) {
  assign(read_checkpoint(file).model, file.string());
}

void Learner::assign(const NamedTensors& values, const std::string& from) {
  const torch::NoGradGuard no_grad;
  auto own = tensors();
  std::unordered_map<std::string, at::Tensor> given(values.begin(), values.end());
  const auto refuse = [&](const std::string& what) { throw Error(what, from, "It belongs to another architecture."); };
  for (const auto& [name, tensor] : own) {
    const auto found = given.find(name);
    if (found == given.end()) refuse(fmt::format("a model file has no parameter «{}»", name));
    const auto& value = found->second;
    if (value.sizes() != tensor.sizes()) {
      refuse(fmt::format("a model file's parameter «{}» has shape {}, the model's has {}", name, shape_of(value),
                         shape_of(tensor)));
    }
  }
  std::unordered_set<std::string> names;
  for (const auto& [name, tensor] : own) names.insert(name);
  for (const auto& [name, value] : values) {
    if (!names.contains(name)) refuse(fmt::format("a model file's parameter «{}» is none of the model's", name));
  }
  // All fit: nothing is left half assigned.
  for (auto& [name, tensor] : own) tensor.copy_(given.at(name));
}

auto make_learner(Network network, const ModelOptions& options, int replicas) -> std::unique_ptr<Learner> {
  return std::make_unique<NetworkLearner>(std::move(network), options, replicas);
}

auto make_learner(std::shared_ptr<torch::nn::Module> module, std::function<at::Tensor(const at::Tensor&)> forward,
                  Loss loss) -> std::unique_ptr<Learner> {
  return make_learner(
      detail::network_of(std::move(module),
                         [forward = std::move(forward)](const TensorBatch& batch) { return forward(batch.input); }),
      {.loss = std::move(loss)});
}

namespace detail {

auto tensor_over(std::span<float> values) -> at::Tensor {
  return torch::from_blob(values.data(), {static_cast<std::int64_t>(values.size())});
}

}  // namespace detail
}  // namespace tensair
