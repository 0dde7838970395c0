#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <tensair/flags.hpp>
#include <vector>

namespace word2vec {

/// The sample's command line.
struct Arguments {
  std::string data;  ///< files or folders, with commas between
  std::string tcp;   ///< host:port of a server of lines
  std::uint64_t generate = 2'000'000;
  int dim = 100, window = 5, negative = 5, min_count = 5, epochs = 1, vocab = 100'000;
  double sample = 1e-3, lr = 0.025, last_lr = 1e-4, noise = 0;
  bool cbow = false, autograd = false;
  std::string vocabulary = "live";
  std::filesystem::path vocabulary_file, load, save;
  std::uint64_t horizon = 100'000'000;
  int batch = 20'000, every = 1, trainers = 1;
  std::string compress = "none";
  std::string ask;       ///< where questions come from: `-`, a file, or host:port
  std::string evaluate;  ///< folder of files to evaluate by
  std::uint64_t evaluate_every = 0;
  std::filesystem::path csv;

  /// The texts to learn from; none: they are generated or come over TCP.
  /// @throws Error  a file or folder does not exist
  auto texts() const -> std::vector<std::filesystem::path>;
  /// The folder of files to evaluate by; empty: none.
  auto evaluation_folder() const -> std::filesystem::path;
};

auto flags_for(Arguments& arguments) -> tensair::Flags;
/// @throws UsageError  a value that cannot be
void check(const Arguments& arguments);
/// About how many words a record of the source has.
auto words_of_block(const Arguments& arguments) -> int;

}  // namespace word2vec
