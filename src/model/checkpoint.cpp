#include <fmt/format.h>
#include <torch/torch.h>

#include <set>
#include <tensair/error.hpp>
#include <tensair/model/checkpoint.hpp>

#include "io/replace_file.hpp"
#include "model/model_file.hpp"

// A checkpoint is a dictionary: "tensair" (the format's number), "model", "optimizer" (tensors and numbers by name),
// "schedule", "clock" and "examples"; "adaptation" (bytes) where there is any. A dictionary of tensors alone is a
// model's.

namespace tensair {
namespace {

constexpr std::int64_t format = 1;
constexpr auto other_bytes = "other bytes";

auto any_dictionary() -> c10::impl::GenericDict {
  return c10::impl::GenericDict(c10::StringType::get(), c10::AnyType::get());
}

auto previous_of(std::filesystem::path file) -> std::filesystem::path {
  file += ".previous";
  return file;
}

auto tensors_of(const c10::IValue& value) -> NamedTensors {
  NamedTensors tensors;
  for (const auto& item : value.toGenericDict())
    tensors.emplace_back(item.key().toStringRef(), item.value().toTensor());
  return tensors;
}

auto integers(const std::vector<std::uint64_t>& values) -> at::Tensor {
  return torch::tensor(std::vector<std::int64_t>(values.begin(), values.end()), torch::kLong);
}
auto integers_of(const at::Tensor& tensor) -> std::vector<std::uint64_t> {
  const auto values = tensor.to(torch::kLong).contiguous();
  return {values.data_ptr<std::int64_t>(), values.data_ptr<std::int64_t>() + values.numel()};
}

auto bytes_tensor(const std::string& text) -> at::Tensor {
  auto bytes = torch::empty({static_cast<std::int64_t>(text.size())}, torch::kByte);
  std::copy(text.begin(), text.end(), reinterpret_cast<char*>(bytes.data_ptr<std::uint8_t>()));
  return bytes;
}
auto text_of(const at::Tensor& bytes) -> std::string {
  return {reinterpret_cast<const char*>(bytes.data_ptr<std::uint8_t>()), static_cast<std::size_t>(bytes.numel())};
}

auto optimizer_dictionary(const OptimizerState& state) -> c10::impl::GenericDict {
  auto dictionary = any_dictionary();
  for (const auto& [name, values] : state.values) dictionary.insert(name, torch::tensor(values));
  for (const auto& [name, number] : state.numbers) dictionary.insert(name, number);
  if (!state.other.empty()) dictionary.insert(other_bytes, bytes_tensor(state.other));
  return dictionary;
}

auto optimizer_of(const c10::impl::GenericDict& dictionary) -> OptimizerState {
  OptimizerState state;
  for (const auto& item : dictionary) {
    const auto& name = item.key().toStringRef();
    const auto& value = item.value();
    if (value.isDouble()) {
      state.numbers[name] = value.toDouble();
      continue;
    }
    const auto tensor = value.toTensor().contiguous();
    if (tensor.scalar_type() == torch::kByte) {
      state.other = text_of(tensor);
    } else {
      state.values[name].assign(tensor.data_ptr<float>(), tensor.data_ptr<float>() + tensor.numel());
    }
  }
  return state;
}

auto is_checkpoint(const c10::impl::GenericDict& dictionary) -> bool {
  return dictionary.contains("tensair") && dictionary.at("tensair").isInt();
}

}  // namespace

void write_checkpoint(const std::filesystem::path& file, const ModelCheckpoint& checkpoint) {
  auto dictionary = any_dictionary();
  dictionary.insert("tensair", format);
  dictionary.insert("model", dictionary_of(checkpoint.model));
  dictionary.insert("optimizer", optimizer_dictionary(checkpoint.optimizer));
  dictionary.insert("schedule", torch::tensor(checkpoint.schedule, torch::kDouble));
  dictionary.insert("clock", integers(checkpoint.clock));
  dictionary.insert("examples", integers(checkpoint.examples));
  if (!checkpoint.adaptation.empty()) dictionary.insert("adaptation", bytes_tensor(checkpoint.adaptation));
  const auto bytes = archive_of(dictionary);
  // Between the two renames there is only the one before: find_checkpoint looks for it then, too.
  std::error_code missing;  // the first time there is nothing to keep
  std::filesystem::rename(file, previous_of(file), missing);
  replace_file(file, {bytes.data(), bytes.size()});
}

auto read_checkpoint(const std::filesystem::path& file) -> ModelCheckpoint {
  const auto archive = read_archive(file);
  try {
    const auto dictionary = archive.toGenericDict();
    ModelCheckpoint checkpoint;
    if (!is_checkpoint(dictionary)) {
      checkpoint.model = tensors_of(dictionary);
      return checkpoint;
    }
    if (const auto found = dictionary.at("tensair").toInt(); found > format) {
      throw Error(fmt::format("a checkpoint has format {}, and this program reads up to {}", found, format),
                  file.string(), "Read it with a newer tensair.");
    }
    checkpoint.model = tensors_of(dictionary.at("model"));
    checkpoint.optimizer = optimizer_of(dictionary.at("optimizer").toGenericDict());
    const auto schedule = dictionary.at("schedule").toTensor().contiguous();
    checkpoint.schedule.assign(schedule.data_ptr<double>(), schedule.data_ptr<double>() + schedule.numel());
    checkpoint.clock = integers_of(dictionary.at("clock").toTensor());
    checkpoint.examples = integers_of(dictionary.at("examples").toTensor());
    if (dictionary.contains("adaptation"))
      checkpoint.adaptation = text_of(dictionary.at("adaptation").toTensor().to(torch::kByte).contiguous());
    return checkpoint;
  } catch (const c10::Error&) {
    throw Error("a file is not a dictionary of tensors", file.string(),
                "Give a file that tensair saved, or that Python wrote with torch.save(dict(module.state_dict()), "
                "file).");
  } catch (const std::out_of_range&) {
    throw Error("a checkpoint lacks a part", file.string(), "Use an older one, or a copy.");
  }
}

auto find_checkpoint(const std::filesystem::path& file) -> std::optional<FoundCheckpoint> {
  const auto previous = previous_of(file);
  const bool there = std::filesystem::exists(file), before = std::filesystem::exists(previous);
  if (!there && !before) return std::nullopt;
  if (!there) return FoundCheckpoint{read_checkpoint(previous), {}};
  try {
    return FoundCheckpoint{read_checkpoint(file), {}};
  } catch (const Error& error) {
    if (!before) throw;
    return FoundCheckpoint{read_checkpoint(previous),
                           fmt::format("{} {} is taken instead.", error.what(), previous.string())};
  }
}

}  // namespace tensair
