#include "fuzz.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>

// Runs a fuzzer without libFuzzer, the same way each time: on files, or on its examples and random changes of them.
//
//   fuzz_NAME [--runs N] [--seed N] [--corpus FOLDER] [FILE...]
//   fuzz_NAME --examples FOLDER
//
// The files of a folder are examples, too; the second form writes the examples there, for libFuzzer to begin with. An
// input that fails is left in the file fuzz_failed.bin, to be given as FILE. With TENSAIR_LIBFUZZER only what fuzzers
// use is here; libFuzzer does the rest.

namespace fuzz {

namespace {

const std::string* running = nullptr;

void keep_failed() {
  if (running != nullptr) std::ofstream("fuzz_failed.bin", std::ios::binary) << *running;
}

}  // namespace

void require(bool holds, const char* what) {
  if (holds) return;
  keep_failed();
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

File::File() : descriptor_(::memfd_create("fuzz", 0)), path_("/proc/self/fd/" + std::to_string(descriptor_)) {
  if (descriptor_ < 0) throw std::runtime_error("no file in memory can be made");
}

File::~File() {
  ::close(descriptor_);
}

void File::fill(std::string_view content) {
  if (::ftruncate(descriptor_, 0) != 0 ||
      ::pwrite(descriptor_, content.data(), content.size(), 0) != static_cast<ssize_t>(content.size())) {
    throw std::runtime_error("a file in memory cannot be written");
  }
}

#ifndef TENSAIR_LIBFUZZER

namespace {

using Random = std::mt19937_64;

auto below(Random& random, std::size_t bound) -> std::size_t {
  return bound == 0 ? 0 : static_cast<std::size_t>(random() % bound);
}

// The changes that find most (see "The Fuzzing Book", Zeller et al.): bits, bytes, numbers, pieces moved, doubled, cut.
void change(std::string& input, const std::vector<std::string>& corpus, Random& random) {
  static constexpr std::uint64_t numbers[] = {0,          1,          0x7f,       0x80,       0xff,
                                              0x100,      0x7fff,     0xffff,     0x7fffffff, 0x80000000,
                                              0xffffffff, 1ULL << 40, 1ULL << 62, 1ULL << 63, ~0ULL};
  const auto at = below(random, input.size() + 1);
  switch (below(random, 8)) {
    case 0:
      if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(random, 8)));
      break;
    case 1:
      if (at < input.size()) input[at] = static_cast<char>(random());
      break;
    case 2:
      input.insert(at, 1, static_cast<char>(random()));
      break;
    case 3:
      input.erase(at, 1 + below(random, 8));
      break;
    case 4: {
      const auto number = numbers[below(random, std::size(numbers))];
      const std::size_t bytes = std::size_t{1} << below(random, 4);
      for (std::size_t i = 0; i < bytes && at + i < input.size(); ++i)
        input[at + i] = static_cast<char>(number >> (8 * i));
      break;
    }
    case 5:
      input.insert(at, input.substr(below(random, input.size() + 1), below(random, 64)));
      break;
    case 6: {
      const auto& other = corpus[below(random, corpus.size())];
      input.insert(at, other.substr(below(random, other.size() + 1), below(random, 64)));
      break;
    }
    default:
      input.resize(at);
      break;
  }
  if (input.size() > 4096) input.resize(4096);
}

void run(const std::string& input) {
  running = &input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  running = nullptr;
}

auto content(const std::filesystem::path& file) -> std::string {
  std::ifstream in{file, std::ios::binary};
  if (!in) throw std::runtime_error("cannot read " + file.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_examples(const std::filesystem::path& folder) {
  const auto all = examples();
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::ofstream out{folder / ("example-" + std::to_string(i)), std::ios::binary};
    if (!(out << all[i])) throw std::runtime_error("cannot write into " + folder.string());
  }
}

auto main(const std::vector<std::string>& arguments) -> int {
  std::uint64_t runs = 20'000, seed = 1;
  std::vector<std::string> files, folders;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--runs" && i + 1 < arguments.size()) {
      runs = std::stoull(arguments[++i]);
    } else if (arguments[i] == "--seed" && i + 1 < arguments.size()) {
      seed = std::stoull(arguments[++i]);
    } else if (arguments[i] == "--corpus" && i + 1 < arguments.size()) {
      folders.push_back(arguments[++i]);
    } else if (arguments[i] == "--examples" && i + 1 < arguments.size()) {
      write_examples(arguments[++i]);
      return 0;
    } else {
      files.push_back(arguments[i]);
    }
  }
  for (const auto& file : files) run(content(file));
  if (!files.empty()) return 0;

  auto corpus = examples();
  for (const auto& folder : folders) {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator{folder}) found.push_back(entry.path());
    std::sort(found.begin(), found.end());  // else the same seed would not do the same everywhere
    for (const auto& file : found) corpus.push_back(content(file));
  }
  for (const auto& input : corpus) run(input);
  run({});
  Random random{seed};
  for (std::uint64_t i = 0; i < runs; ++i) {
    auto input = corpus[below(random, corpus.size())];
    for (auto changes = 1 + below(random, 6); changes > 0; --changes) change(input, corpus, random);
    run(input);
  }
  std::printf("%llu inputs\n", static_cast<unsigned long long>(runs + corpus.size() + 1));
  return 0;
}

}  // namespace

#endif
}  // namespace fuzz

#ifndef TENSAIR_LIBFUZZER

auto main(int argc, char** argv) -> int {
  try {
    return fuzz::main({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    fuzz::keep_failed();
    std::fprintf(stderr, "an input made it throw: %s\n", error.what());
    return 1;
  }
}

#endif
