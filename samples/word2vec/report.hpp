#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <tensair/model/results.hpp>
#include <tensair/pipeline.hpp>
#include <vector>

#include "arguments.hpp"
#include "evaluation.hpp"

namespace word2vec {

/// How the run went, as the sample tells it: lines on standard output, a CSV file, and figures for `--json`.
class Report {
 public:
  /// Neighbours that words were learnt from, on this node.
  std::shared_ptr<std::atomic<std::uint64_t>> pairs = std::make_shared<std::atomic<std::uint64_t>>(0);

  /// Reads what there is to evaluate by.
  void read(const Arguments& arguments, std::shared_ptr<const Lexicon> lexicon, bool evaluates);
  void trained(const tensair::TrainStep& step);
  /// Called by the model whenever a validation is due.
  /// @return 1 less the mean of what was found
  auto evaluate(const VectorsView& vectors) -> double;
  void validated(const tensair::Validation& validation);
  void add_to(tensair::Pipeline& pipeline);

 private:
  using Clock = std::chrono::steady_clock;
  auto seconds() const -> double;
  auto rate(std::uint64_t count) const -> double;
  auto quality() const -> std::string;

  std::vector<SimilarityFile> similarities_;
  std::vector<AnalogyFile> analogies_;
  bool generated_ = false;
  std::shared_ptr<const Lexicon> lexicon_;
  std::ofstream csv_;
  std::uint64_t words_ = 0, first_words_ = 0, words_of_node_0_ = 0;
  std::optional<Clock::time_point> first_;
  Clock::time_point last_{};
  std::mutex mutex_;  // of what follows: a replica's thread writes it
  std::vector<Quality> latest_;
};

/// Writes the vectors of all words that have one, those that came most often first.
void save(const std::filesystem::path& file, const VectorsView& vectors, const Lexicon& lexicon);

}  // namespace word2vec
