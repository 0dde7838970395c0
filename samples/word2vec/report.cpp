#include "report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <tensair/error.hpp>
#include <tensair/io/files.hpp>

#include "generated.hpp"
#include "vectors.hpp"

namespace word2vec {

void Report::read(const Arguments& arguments, std::shared_ptr<const Lexicon> lexicon, bool evaluates) {
  lexicon_ = std::move(lexicon);
  generated_ = arguments.tcp.empty() && arguments.texts().empty();
  if (!evaluates) return;
  if (!arguments.csv.empty()) {
    csv_.open(arguments.csv);
    if (!csv_) throw tensair::Error("figures cannot be written", arguments.csv.string(), "Check the folder.");
    csv_ << "words,file,value,asked,unknown\n";
  }
  const auto folder = arguments.evaluation_folder();
  if (folder.empty() || generated_) return;
  for (const auto& file : tensair::find_files(folder)) {
    const auto name = file.filename().string();
    if (name.starts_with("questions")) {
      analogies_.push_back(read_analogies(file));
    } else if (file.extension() == ".txt" || file.extension() == ".tsv" || file.extension() == ".csv") {
      similarities_.push_back(read_similarities(file));
    }
  }
}

void Report::trained(const tensair::TrainStep& step) {
  last_ = Clock::now();
  if (!first_) {
    first_ = last_;
    first_words_ = step.score.examples;
  }
  words_ += step.score.examples;
  if (step.node == 0) words_of_node_0_ += step.score.examples;
}

auto Report::evaluate(const VectorsView& vectors) -> double {
  std::vector<Quality> found;
  for (const auto& file : similarities_) found.push_back(word2vec::evaluate(file, vectors, *lexicon_));
  for (const auto& file : analogies_) found.push_back(word2vec::evaluate(file, vectors, *lexicon_));
  if (generated_) found.push_back({"neighbours of the same topic", share_of_true_neighbours(vectors, *lexicon_), 0, 0});
  double sum = 0;
  for (const auto& one : found) sum += one.value;
  const auto mean = found.empty() ? 0.0 : sum / static_cast<double>(found.size());
  const std::lock_guard lock{mutex_};
  latest_ = std::move(found);
  return 1 - mean;
}

void Report::validated(const tensair::Validation& validation) {
  const std::lock_guard lock{mutex_};
  std::string line;
  for (const auto& one : latest_) {
    line += fmt::format("  {} {:.3f}", one.name, one.value);
    if (one.unknown > 0) line += fmt::format(" ({} of {} not known)", one.unknown, one.asked + one.unknown);
    if (csv_.is_open())
      csv_ << fmt::format("{},{},{:.6f},{},{}\n", words_, one.name, one.value, one.asked, one.unknown);
  }
  csv_.flush();
  fmt::print("{} words  {:.0f} words/s  vocabulary {}{}{}\n", words_, rate(words_ - first_words_), lexicon_->size(),
             line, validation.final ? "  (final)" : "");
  std::fflush(stdout);
}

auto Report::seconds() const -> double {
  return first_ ? std::chrono::duration<double>(last_ - *first_).count() : 0;
}
auto Report::rate(std::uint64_t count) const -> double {
  return seconds() > 0 ? static_cast<double>(count) / seconds() : 0;
}

auto Report::quality() const -> std::string {
  std::string json;
  for (const auto& one : latest_)
    json += fmt::format("{}\"{}\":{{\"value\":{:.6f},\"asked\":{},\"unknown\":{}}}", json.empty() ? "" : ",", one.name,
                        one.value, one.asked, one.unknown);
  return "{" + json + "}";
}

void Report::add_to(tensair::Pipeline& pipeline) {
  pipeline.figure("words", [this] { return fmt::format("{}", words_); });
  pipeline.figure("seconds", [this] { return fmt::format("{:.3f}", seconds()); });
  pipeline.figure("words_per_s", [this] { return fmt::format("{:.1f}", rate(words_ - first_words_)); });
  pipeline.figure("pairs_per_s", [this] {  // of node 0, times what its share of the words is of all
    const auto share = words_of_node_0_ > 0 ? static_cast<double>(words_) / static_cast<double>(words_of_node_0_) : 0;
    return fmt::format("{:.1f}", rate(pairs->load()) * share);
  });
  pipeline.figure("vocabulary", [this] { return fmt::format("{}", lexicon_->size()); });
  pipeline.figure("quality", [this] { return quality(); });
}

void save(const std::filesystem::path& file, const VectorsView& vectors, const Lexicon& lexicon) {
  const auto words = lexicon.words();
  std::vector<std::size_t> rows;
  for (std::size_t row = 0; row < words.size(); ++row) {
    if (!words[row].empty()) rows.push_back(row);
  }
  const auto& counts = lexicon.counts();
  std::stable_sort(rows.begin(), rows.end(), [&](auto a, auto b) { return counts[a] > counts[b]; });
  NamedVectors named{vectors.dim, {}, {}};
  for (const auto row : rows) {
    named.words.push_back(words[row]);
    const auto values = vectors.row(row);
    named.values.insert(named.values.end(), values.begin(), values.end());
  }
  write_vectors(file, named);
}

}  // namespace word2vec
