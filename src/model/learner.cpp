#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <stdexcept>
#include <tensair/error.hpp>
#include <tensair/model/checkpoint.hpp>
#include <tensair/model/learner.hpp>
#include <tensair/model/own_model.hpp>
#include <tensair/model/step_rule.hpp>
#include <unordered_map>
#include <unordered_set>

#include "device_name.hpp"
#include "io/replace_file.hpp"
#include "model/describe.hpp"
#include "model/model_file.hpp"
#include "model/network_learner.hpp"

namespace tensair {

auto Learner::predict(const at::Tensor& input) -> at::Tensor {
  TensorBatch batch;
  batch.input = input;
  return predict(batch).first();
}

auto Learner::gradient_is_finite() -> bool {
  return all_finite(gradient());
}
auto Learner::update_was_finite() -> bool {
  return all_finite(values());
}

void Learner::update(Optimizer& optimizer, std::span<const float> gradient, std::span<float> change) {
  if (gradient.empty()) gradient = this->gradient();
  if (change.empty()) return optimizer.step(parameters(), gradient);
  optimizer.tracked_step(parameters(), gradient, change);
}

void Learner::add(const Delta& delta) {
  tensair::add(parameters(), delta);
}

void Learner::displace(const Delta& by) {
  const auto values = parameters();
  placed_some_.begin(by.segments, values);
  placed_.clear();
  if (!by.is_sparse()) placed_.assign(values.begin(), values.end());
  tensair::add(values, by);
}

void Learner::put_back() {
  const auto values = parameters();
  placed_some_.put_back(values);
  std::copy(placed_.begin(), placed_.end(), values.begin());
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
  const auto& device = options.device;
  if (device.empty() || device == "cpu")
    return std::make_unique<NetworkLearner>(std::move(network), options, replicas, at::kCPU);
  return make_learner_on(device == detail::cpu_as_device ? at::Device(at::kCPU) : at::Device(device),
                         std::move(network), options, replicas);
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
