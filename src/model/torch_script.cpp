#include <fmt/format.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <regex>
#include <tensair/error.hpp>
#include <tensair/model/network.hpp>

namespace tensair {
namespace {

auto outputs_of(const c10::IValue& value) -> Outputs {
  if (value.isTensor()) return value.toTensor();
  if (value.isTensorList()) return value.toTensorVector();
  std::vector<at::Tensor> tensors;
  if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) {
      const auto inner = outputs_of(element);
      for (std::size_t i = 0; i < inner.size(); ++i) tensors.push_back(inner[i]);
    }
    return tensors;
  }
  if (value.isGenericDict()) {
    std::map<std::string, at::Tensor> named;
    for (const auto& item : value.toGenericDict()) named.emplace(item.key().toStringRef(), item.value().toTensor());
    return named;
  }
  throw Error("a TorchScript module returns " + value.tagKind(), "model",
              "Its forward must return a tensor, a tuple or list of tensors, or a dictionary of them by name.");
}

// What LibTorch's pages of text mean.
[[noreturn]] void explain(const std::string& text, const std::filesystem::path& file) {
  std::smatch found;
  if (std::regex_search(text, found, std::regex("Unknown builtin op: ([^\\s.]+)")) ||
      std::regex_search(text, found, std::regex("[Uu]nknown (?:operator|type name) '?([^\\s'.]+)"))) {
    throw Error(fmt::format("a TorchScript file needs «{}», which this LibTorch does not have", found[1].str()),
                file.string(), "Link the library that registers it, or export the module without it.");
  }
  throw Error("a file is damaged or no TorchScript file: " + text.substr(0, text.find('\n')), file.string(),
              "Write it with torch.jit.save(torch.jit.script(module), file).");
}

}  // namespace

auto TorchScript::operator()() const -> Network {
  if (!std::filesystem::is_regular_file(file))
    throw Error("a TorchScript file cannot be read", file.string(), "Check that it is there, on every node.");
  auto module = [this] {
    try {
      return torch::jit::load(file.string());
    } catch (const std::exception& error) {
      explain(error.what(), file);
    }
  }();
  Network network;
  for (const auto& item : module.named_parameters()) network.parameters.emplace_back(item.name, item.value);
  for (const auto& item : module.named_buffers()) network.buffers.emplace_back(item.name, item.value);
  network.train = [module](bool on) mutable {
    if (module.is_training() != on) module.train(on);
  };
  network.forward = [module](const TensorBatch& batch) mutable {
    std::vector<c10::IValue> inputs{batch.input};
    for (const auto& input : batch.more_inputs) inputs.emplace_back(input);
    return outputs_of(module.forward(std::move(inputs)));
  };
  return network;
}

}  // namespace tensair
