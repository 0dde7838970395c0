#include "model/model_file.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <torch/csrc/jit/serialization/pickler.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <tensair/error.hpp>

namespace tensair {
namespace {

constexpr auto checksum_record = "tensair_checksum";

// LibTorch's reader is built without its archives' own checksums.
class Checksum {
 public:
  void add(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    mix(size);
    while (size >= sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes, sizeof word);
      mix(word);
      bytes += sizeof word;
      size -= sizeof word;
    }
    std::uint64_t rest = 0;
    std::memcpy(&rest, bytes, size);
    mix(rest);
  }
  auto value() const -> std::uint64_t { return value_; }

 private:
  // Odd multiplications and shifts lose nothing, so any one changed word changes the result.
  void mix(std::uint64_t word) {
    value_ = (value_ ^ word) * 0x9e37'79b9'7f4a'7c15U;
    value_ ^= value_ >> 29;
  }

  std::uint64_t value_ = 0;
};

[[noreturn]] void no_archive(const std::filesystem::path& file) {
  throw Error("a file is not a dictionary of tensors", file.string(),
              "Give a file that tensair saved, or that Python wrote with torch.save(dict(module.state_dict()), file).");
}

auto read_file(const std::filesystem::path& file) -> std::vector<char> {
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file))
    throw Error("a model file cannot be read", file.string(), "Check that it is a file and may be read.");
  return {std::istreambuf_iterator<char>(in), {}};
}

// The records under a checksum: all that archive_of has written.
auto checksum_of(caffe2::serialize::PyTorchStreamReader& reader) -> std::uint64_t {
  Checksum sum;
  const auto add = [&](const std::string& name) {
    const auto [data, size] = reader.getRecord(name);
    sum.add(data.get(), size);
  };
  add("data.pkl");
  for (std::size_t i = 0; reader.hasRecord(fmt::format("data/{}", i)); ++i) add(fmt::format("data/{}", i));
  return sum.value();
}

void check(const std::vector<char>& bytes, const std::filesystem::path& file) {
  const auto damaged = [&](const char* how) {
    throw Error(fmt::format("a model file is damaged: {}", how), file.string(), "Use an older one, or a copy.");
  };
  // The reader wants to own where it reads from.
  class Memory final : public caffe2::serialize::ReadAdapterInterface {
   public:
    explicit Memory(const std::vector<char>& bytes) : bytes_(bytes) {}
    auto size() const -> std::size_t override { return bytes_.size(); }
    auto read(std::uint64_t at, void* to, std::size_t count, const char*) const -> std::size_t override {
      if (at > bytes_.size()) return 0;
      count = std::min(count, bytes_.size() - static_cast<std::size_t>(at));
      std::memcpy(to, bytes_.data() + at, count);
      return count;
    }

   private:
    const std::vector<char>& bytes_;
  };
  try {
    caffe2::serialize::PyTorchStreamReader reader(std::make_shared<Memory>(bytes));
    if (!reader.hasRecord(checksum_record)) return;
    const auto [data, size] = reader.getRecord(checksum_record);
    std::uint64_t written = 0;
    if (size != sizeof written) damaged("its checksum is not one");
    std::memcpy(&written, data.get(), sizeof written);
    if (written != checksum_of(reader)) damaged("its content does not fit its checksum");
  } catch (const c10::Error&) {
    // A zip archive begins with these letters: what does not is some other file.
    if (bytes.size() >= 4 && std::memcmp(bytes.data(), "PK\x03\x04", 4) == 0) damaged("it is cut off, or was changed");
    no_archive(file);
  }
}

}  // namespace

auto dictionary_of(const NamedTensors& tensors) -> c10::Dict<std::string, at::Tensor> {
  c10::Dict<std::string, at::Tensor> dictionary;
  for (const auto& [name, tensor] : tensors)
    dictionary.insert(name, tensor.detach().cpu().clone(at::MemoryFormat::Contiguous));
  return dictionary;
}

// torch::pickle_save writes an archive too, but marks dictionaries with a type of TorchScript's, and torch.load then
// refuses them unless it is told to trust the file.
auto archive_of(const c10::IValue& dictionary) -> std::vector<char> {
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
  Checksum sum;
  const auto record = [&](const std::string& name, const void* data, std::size_t size) {
    sum.add(data, size);
    writer.writeRecord(name, data, size);
  };
  record("data.pkl", pickled.data(), pickled.size());
  std::size_t number = 0;
  for (const auto& tensor : pickler.tensorData()) {
    record(fmt::format("data/{}", number++), tensor.data_ptr(), tensor.nbytes());
  }
  const auto value = sum.value();
  writer.writeRecord(checksum_record, &value, sizeof value);
  writer.writeEndOfFile();
  return archive;
}

auto read_archive(const std::filesystem::path& file) -> c10::IValue {
  const auto bytes = read_file(file);
  check(bytes, file);
  try {
    return torch::jit::pickle_load(bytes);
  } catch (const std::exception&) {
    no_archive(file);
  }
}

}  // namespace tensair
