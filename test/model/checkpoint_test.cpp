#include <torch/torch.h>

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <tensair/error.hpp>
#include <tensair/model/checkpoint.hpp>

#include "catch.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;

namespace {

struct TemporaryFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("tensair-checkpoint-" + std::to_string(::getpid()));
  std::filesystem::path previous = path.string() + ".previous";
  ~TemporaryFile() {
    std::filesystem::remove(path);
    std::filesystem::remove(previous);
  }
};

auto some_checkpoint(float value) -> ModelCheckpoint {
  ModelCheckpoint checkpoint;
  checkpoint.model = {{"w", torch::full({2, 3}, value)}, {"steps", torch::tensor(7, torch::kLong)}};
  checkpoint.optimizer.values["mean"] = {1, 2, value};
  checkpoint.optimizer.numbers["power1"] = 0.81;
  checkpoint.optimizer.other = std::string("\0raw", 4);
  checkpoint.schedule = {0.5, value};
  checkpoint.clock = {3, 5};
  checkpoint.examples = {30, 50};
  checkpoint.adaptation = std::string("a\0b", 3);
  return checkpoint;
}

auto same(const ModelCheckpoint& one, const ModelCheckpoint& other) -> bool {
  if (one.model.size() != other.model.size()) return false;
  for (std::size_t i = 0; i < one.model.size(); ++i) {
    if (one.model[i].first != other.model[i].first || !one.model[i].second.equal(other.model[i].second)) return false;
  }
  return one.optimizer.values == other.optimizer.values && one.optimizer.numbers == other.optimizer.numbers &&
         one.optimizer.other == other.optimizer.other && one.schedule == other.schedule && one.clock == other.clock &&
         one.examples == other.examples && one.adaptation == other.adaptation;
}

auto content_of(const std::filesystem::path& file) -> std::string {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("a checkpoint is read as it was written", "[checkpoint]") {
  const TemporaryFile file;
  CHECK_FALSE(find_checkpoint(file.path));
  write_checkpoint(file.path, some_checkpoint(1.5F));
  CHECK(same(read_checkpoint(file.path), some_checkpoint(1.5F)));
  write_checkpoint(file.path, some_checkpoint(2.5F));
  CHECK(same(read_checkpoint(file.path), some_checkpoint(2.5F)));
  CHECK(same(read_checkpoint(file.previous), some_checkpoint(1.5F)));
  CHECK(find_checkpoint(file.path)->warning.empty());
}

TEST_CASE("a byte changed anywhere in a checkpoint is found, or changes nothing", "[checkpoint]") {
  const TemporaryFile file;
  write_checkpoint(file.path, some_checkpoint(1.5F));
  const auto good = content_of(file.path);
  std::size_t found = 0;
  for (std::size_t at = 0; at < good.size(); at += 7) {
    auto bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    std::ofstream(file.path, std::ios::binary) << bytes;
    try {
      if (!same(read_checkpoint(file.path), some_checkpoint(1.5F))) FAIL("byte " << at << " is wrong and was believed");
    } catch (const Error& error) {
      ++found;
      CHECK_THAT(error.what(), ContainsSubstring(file.path.string()));
    }
  }
  CHECK(found > 0);
}

TEST_CASE("of a damaged checkpoint the one before is taken, and it is named", "[checkpoint]") {
  const TemporaryFile file;
  write_checkpoint(file.path, some_checkpoint(1.5F));
  write_checkpoint(file.path, some_checkpoint(2.5F));
  const auto good = content_of(file.path);
  std::ofstream(file.path, std::ios::binary) << good.substr(0, good.size() / 3);
  const auto found = find_checkpoint(file.path);
  REQUIRE(found);
  CHECK(same(found->checkpoint, some_checkpoint(1.5F)));
  CHECK_THAT(found->warning, ContainsSubstring("damaged") && ContainsSubstring(file.path.string()) &&
                                 ContainsSubstring(file.previous.string() + " is taken"));
  // Cut off between its two renames, a program has left the one before only.
  std::filesystem::remove(file.path);
  CHECK(same(find_checkpoint(file.path)->checkpoint, some_checkpoint(1.5F)));
  std::ofstream(file.path, std::ios::binary) << "nonsense";
  std::ofstream(file.previous, std::ios::binary) << "nonsense";
  CHECK_THROWS_WITH(find_checkpoint(file.path), ContainsSubstring("not a dictionary of tensors"));
}

TEST_CASE("Python reads a checkpoint as a dictionary", "[checkpoint][python]") {
  const auto* python = std::getenv("PYTHON");
  if (!python || std::system((std::string(python) + " -c 'import torch' 2>/dev/null").c_str()) != 0) {
    WARN("no Python with torch (environment variable PYTHON): not tested");
    return;
  }
  const TemporaryFile file;
  write_checkpoint(file.path, some_checkpoint(1.5F));
  const auto script =
      std::string(python) + " -c \"\n" + "import torch\n" + "c = torch.load('" + file.path.string() + "')\n" +
      "assert torch.equal(c['model']['w'], torch.full((2, 3), 1.5)), c\n" +
      "assert int(c['model']['steps']) == 7 and c['tensair'] == 1, c\n" +
      "assert c['optimizer']['mean'].tolist() == [1, 2, 1.5] and c['optimizer']['power1'] == 0.81, c\n" +
      "assert c['clock'].tolist() == [3, 5] and c['schedule'].tolist() == [0.5, 1.5], c\n\"";
  CHECK(std::system(script.c_str()) == 0);
}
