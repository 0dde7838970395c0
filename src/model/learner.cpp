#include <fmt/format.h>
#include <torch/torch.h>

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/pickler.h>

#include <fstream>
#include <iterator>
#include <tensair/error.hpp>
#include <tensair/model/learner.hpp>
#include <unordered_set>

#include "io/replace_file.hpp"

namespace tensair {
namespace {

auto shape_of(const at::Tensor& tensor) -> std::string {
  return fmt::format("[{}]", fmt::join(tensor.sizes().begin(), tensor.sizes().end(), ", "));
}

auto is_channels_last(const at::Tensor& tensor) -> bool {
  return tensor.dim() == 4 && !tensor.is_contiguous() && tensor.is_contiguous(at::MemoryFormat::ChannelsLast);
}

// A view of `flat`, from `offset` on, that looks like `like`: same sizes, same memory layout.
auto view_like(const at::Tensor& flat, std::int64_t offset, const at::Tensor& like) -> at::Tensor {
  const auto slice = flat.narrow(0, offset, like.numel());
  if (!is_channels_last(like)) return slice.view(like.sizes());
  return slice.view({like.size(0), like.size(2), like.size(3), like.size(1)}).permute({0, 3, 1, 2});
}

auto count_correct(const at::Tensor& output, const at::Tensor& target) -> std::uint64_t {
  if (output.dim() != 2 || target.dim() != 1 || target.scalar_type() != at::kLong) return 0;
  return static_cast<std::uint64_t>(output.argmax(1).eq(target).sum().item<std::int64_t>());
}

// The archive that Python's torch.save writes of a dictionary of tensors. torch::pickle_save writes one too, but marks
// the dictionary with a type of TorchScript's, and torch.load then refuses it unless it is told to trust the file.
auto archive_of(const c10::Dict<std::string, at::Tensor>& dictionary) -> std::vector<char> {
  std::vector<char> pickled;
  torch::jit::Pickler pickler(
      [&](const char* bytes, std::size_t size) { pickled.insert(pickled.end(), bytes, bytes + size); }, nullptr,
      nullptr, nullptr, nullptr, /*tag_aggregates=*/false);
  pickler.protocol();
  pickler.pushIValue(dictionary);
  pickler.stop();

  std::vector<char> archive;
  caffe2::serialize::PyTorchStreamWriter writer([&](const void* bytes, std::size_t size) {
    const auto* first = static_cast<const char*>(bytes);
    archive.insert(archive.end(), first, first + size);
    return size;
  });
  writer.writeRecord("data.pkl", pickled.data(), pickled.size());
  std::size_t number = 0;
  for (const auto& tensor : pickler.tensorData()) {
    writer.writeRecord(fmt::format("data/{}", number++), tensor.data_ptr(), tensor.nbytes());
  }
  writer.writeEndOfFile();
  return archive;
}

auto read_file(const std::filesystem::path& file) -> std::vector<char> {
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file))
    throw Error("a model file cannot be read", file.string(), "Check that it is a file and may be read.");
  return {std::istreambuf_iterator<char>(in), {}};
}

class ModuleLearner final : public Learner {
 public:
  ModuleLearner(std::shared_ptr<torch::nn::Module> module, std::function<at::Tensor(const at::Tensor&)> forward,
                Loss loss)
      : module_(std::move(module)), forward_(std::move(forward)), loss_(std::move(loss)) {
    flatten();
  }

  auto parameters() -> std::span<float> override {
    return {flat_.data_ptr<float>(), static_cast<std::size_t>(flat_.numel())};
  }
  auto gradient() -> std::span<const float> override {
    return {gradient_.data_ptr<float>(), static_cast<std::size_t>(gradient_.numel())};
  }

  auto compute(const TensorBatch& batch) -> Score override {
    if (!module_->is_training()) module_->train();
    // Not zero_grad(): it would drop the views, and the next gradients would lie elsewhere.
    gradient_.zero_();
    const auto output = forward_(batch.input);
    const auto loss = loss_(output, batch.target);
    loss.backward();
    return score_of(output.detach(), loss.detach(), batch);
  }

  auto score(const TensorBatch& batch) -> Score override {
    at::Tensor output;
    return score(batch, output);
  }

  auto score(const TensorBatch& batch, at::Tensor& output) -> Score override {
    const torch::NoGradGuard no_grad;
    output = predict(batch.input);
    return score_of(output, loss_(output, batch.target), batch);
  }

  auto predict(const at::Tensor& input) -> at::Tensor override {
    const torch::NoGradGuard no_grad;
    if (module_->is_training()) module_->eval();
    return forward_(input);
  }

  void save(const std::filesystem::path& file) override {
    c10::Dict<std::string, at::Tensor> dictionary;
    // Clones, because a view would be written with the whole flat buffer.
    for_each_tensor([&](const std::string& name, at::Tensor& tensor) {
      dictionary.insert(name, tensor.detach().clone(at::MemoryFormat::Contiguous));
    });
    const auto bytes = archive_of(dictionary);
    replace_file(file, {bytes.data(), bytes.size()});
  }

  void load(const std::filesystem::path& file) override {
    const torch::NoGradGuard no_grad;
    auto dictionary = read_dictionary(file);
    for_each_tensor([&](const std::string& name, at::Tensor& tensor) {
      const auto found = dictionary.find(name);
      if (found == dictionary.end()) {
        throw Error(fmt::format("a model file has no parameter «{}»", name), file.string(),
                    "It belongs to another architecture.");
      }
      const auto& value = found->second;
      if (value.sizes() != tensor.sizes()) {
        throw Error(fmt::format("a model file's parameter «{}» has shape {}, the model's has {}", name, shape_of(value),
                                shape_of(tensor)),
                    file.string(), "It belongs to another architecture.");
      }
      tensor.copy_(value);
      dictionary.erase(found);
    });
    if (!dictionary.empty()) {
      throw Error(fmt::format("a model file's parameter «{}» is none of the model's", dictionary.begin()->first),
                  file.string(), "It belongs to another architecture.");
    }
  }

 private:
  void flatten() {
    const torch::NoGradGuard no_grad;
    std::vector<at::Tensor> trained;
    std::unordered_set<const void*> seen;  // a parameter that two modules share is there once
    std::int64_t count = 0;
    for (auto& [name, parameter] : trained_of(*module_)) {
      if (!seen.insert(parameter.unsafeGetTensorImpl()).second) continue;
      if (parameter.scalar_type() != at::kFloat || !parameter.device().is_cpu()) {
        throw Error(fmt::format("parameter «{}» is not float32 in main memory", name), "model",
                    "Convert the module: module->to(torch::kFloat32).");
      }
      trained.push_back(parameter);
      count += parameter.numel();
    }
    if (count == 0)
      throw Error("a module has no parameter that can be trained", "model",
                  "Register parameters, and let them require gradients.");
    flat_ = torch::empty({count});
    gradient_ = torch::zeros({count});
    std::int64_t offset = 0;
    for (auto& parameter : trained) {
      auto view = view_like(flat_, offset, parameter);
      view.copy_(parameter);
      auto gradient = view_like(gradient_, offset, parameter);
      parameter.set_data(view);
      parameter.mutable_grad() = gradient;
      offset += parameter.numel();
    }
  }

  static auto trained_of(torch::nn::Module& module) -> std::vector<std::pair<std::string, at::Tensor>> {
    std::vector<std::pair<std::string, at::Tensor>> trained;
    for (const auto& item : module.named_parameters()) {
      if (item.value().requires_grad()) trained.emplace_back(item.key(), item.value());
    }
    return trained;
  }

  template <class Body>
  void for_each_tensor(Body body) {
    for (auto& item : module_->named_parameters()) body(item.key(), item.value());
    for (auto& item : module_->named_buffers()) body(item.key(), item.value());
  }

  static auto read_dictionary(const std::filesystem::path& file) -> std::unordered_map<std::string, at::Tensor> {
    const auto bytes = read_file(file);
    try {
      std::unordered_map<std::string, at::Tensor> dictionary;
      for (const auto& item : torch::pickle_load(bytes).toGenericDict())
        dictionary.emplace(item.key().toStringRef(), item.value().toTensor());
      return dictionary;
    } catch (const std::exception&) {
      throw Error(
          "a file is not a dictionary of tensors", file.string(),
          "Give a file that tensair saved, or that Python wrote with torch.save(dict(module.state_dict()), file).");
    }
  }

  static auto score_of(const at::Tensor& output, const at::Tensor& loss, const TensorBatch& batch) -> Score {
    return {loss.item<double>(), static_cast<std::uint64_t>(batch.examples()), count_correct(output, batch.target)};
  }

  std::shared_ptr<torch::nn::Module> module_;
  std::function<at::Tensor(const at::Tensor&)> forward_;
  Loss loss_;
  at::Tensor flat_, gradient_;
};

}  // namespace

auto make_learner(std::shared_ptr<torch::nn::Module> module, std::function<at::Tensor(const at::Tensor&)> forward,
                  Loss loss) -> std::unique_ptr<Learner> {
  return std::make_unique<ModuleLearner>(std::move(module), std::move(forward), std::move(loss));
}

}  // namespace tensair
