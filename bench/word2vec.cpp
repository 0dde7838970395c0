// How far samples/word2vec is from its kernel alone: words a second of the whole pipeline beside those of the model's
// steps over batches that lie ready.
//
//   word2vec [--json FILE] [--quick] [--dims N …]
//
// All on one core: the pipeline's reading, splitting into words, subsampling, drawing of negatives and handing over
// takes its time from the same core as the training. The text is English Wikipedia (text/enwiki2018.tsv in
// TENSAIR_DATA), else generated; its words are counted before, on both sides alike, and that is not in the time.

#include <fmt/format.h>
#include <sched.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <tensair/tensair.hpp>
#include <vector>

#include "report.hpp"
#include "seconds.hpp"
#include "statistics.hpp"
#include "word2vec/generated.hpp"
#include "word2vec/graph.hpp"
#include "word2vec/model.hpp"
#include "word2vec/tally.hpp"
#include "word2vec/vocabulary.hpp"

namespace {

using namespace word2vec;

constexpr std::size_t words_a_batch = 20'000;
constexpr std::uint64_t generated_words = 4'000'000;

auto wikipedia() -> std::filesystem::path {
  const char* const data = std::getenv("TENSAIR_DATA");
  const auto file = std::filesystem::path(data ? data : "") / "text" / "enwiki2018.tsv";
  return data && std::filesystem::exists(file) ? file : std::filesystem::path{};
}

// Without a file, the counts of what will be generated.
auto counted_words(const std::filesystem::path& file) -> Counted {
  if (!file.empty()) return count_texts({file}, 5, 100'000);
  Tally<std::uint64_t> tally;
  GeneratedText text{1, generated_words, 1};
  while (const auto block = text.next()) add_words(tally, block->text);
  Counted all(tally.begin(), tally.end());
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return all;
}

/// One text and vocabulary, for both sides.
class Work {
 public:
  explicit Work(std::size_t dim) : file_(wikipedia()), words_(counted_words(file_)), rows_(rows_for(words_)) {
    shape_.dim = dim;
  }

  /// Words a second of the pipeline, by the clock of its one core.
  auto pipeline() const -> double {
    tensair::Options options;
    options.threads = 1;
    tensair::Pipeline all{options};
    const auto lexicon = make_lexicon(rows_, words_);
    auto net = all.model("word2vec", [&] { return model(lexicon); }, {.patience = 0, .measure_divergence = 0});
    Job job;
    job.live = false;
    job.encoder = encoder(lexicon);
    std::uint64_t words = 0;
    const auto add_up = [&](const tensair::TrainStep& step) { words += step.score.examples; };
    if (file_.empty()) {
      job.batch.size = words_a_batch / GeneratedText::words_a_block;
      learn(all.source(GeneratedText{1, generated_words, 1}), net, job).sink(add_up);
    } else {
      job.batch.size = std::max<std::size_t>(1, words_a_batch / (TextFiles::block_bytes / 6));
      learn(all.source(TextFiles{{file_}, 1}), net, job).sink(add_up);
    }
    const double began = bench::wall_seconds();
    all.execute();
    return static_cast<double>(words) / (bench::wall_seconds() - began);
  }

  /// The same of the model's steps alone.
  auto kernel() const -> double {
    const auto lexicon = make_lexicon(rows_, words_);
    const auto encode = encoder(lexicon);
    std::vector<tensair::TensorBatch> batches;
    std::vector<Encoded> some;
    std::size_t known = 0;
    const auto read = [&](auto source) {
      while (const auto block = source.next()) {
        some.push_back(encode->encode(*block));
        known += some.back().words;
        if (known < words_a_batch) continue;
        batches.push_back(encode->collate(some));
        some.clear();
        known = 0;
      }
    };
    if (file_.empty()) {
      read(GeneratedText{1, generated_words, 1});
    } else {
      read(TextFiles{{file_}, 1});
    }
    auto alone = model(lexicon);
    std::uint64_t words = 0;
    const double began = bench::wall_seconds();
    for (const auto& batch : batches) words += alone.step(batch).examples;
    return static_cast<double>(words) / (bench::wall_seconds() - began);
  }

 private:
  auto model(const std::shared_ptr<Lexicon>& lexicon) const -> Word2Vec {
    ModelSettings settings;
    settings.shape = shape_;
    settings.rows = rows_;
    return Word2Vec(settings, lexicon);
  }
  auto encoder(const std::shared_ptr<Lexicon>& lexicon) const -> std::shared_ptr<Encoder> {
    EncodeOptions options;
    options.noise = options.negative;
    options.live = false;
    return std::make_shared<Encoder>(lexicon, options);
  }

  std::filesystem::path file_;
  Counted words_;
  std::size_t rows_;
  Shape shape_;
};

void use_one_core() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (int core = CPU_SETSIZE - 1; core >= 0; --core) {
    if (!CPU_ISSET(core, &allowed)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    ::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

void run(const std::vector<std::size_t>& dims, bool quick, const std::filesystem::path& json) {
  use_one_core();
  at::set_num_threads(1);
  bench::Report report;
  for (const std::size_t dim : dims) {
    const Work work{dim};
    std::vector<double> kernel, pipeline, ratios;
    for (int round = 0; round < (quick ? 1 : 5); ++round) {
      kernel.push_back(work.kernel());
      pipeline.push_back(work.pipeline());
      ratios.push_back(pipeline.back() / kernel.back());
    }
    const double limit = bench::median(kernel);
    report.table(fmt::format("word2vec, dim {}, one core", dim), "words/s",
                 {{"kernel", limit, 1, "the model's steps over batches that lie ready (the limit)"},
                  {"tensair", bench::median(pipeline), bench::median(pipeline) / limit, "the whole pipeline"}});
    const double ratio = bench::median(ratios);
    report.note("required: at least 0.75 of the kernel alone: {:.2f}: {}", ratio, ratio >= 0.75 ? "met" : "not met");
  }
  if (!json.empty()) report.write(json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"How far the word2vec pipeline is from its kernel alone."};
  std::filesystem::path json;
  std::vector<std::size_t> dims{100, 300};
  bool quick = false;
  app.add_option("--json", json, "where to write the rows");
  app.add_option("--dims", dims, "lengths of vectors")->check(CLI::Range(1, 4'096));
  app.add_flag("--quick", quick, "once");
  CLI11_PARSE(app, argc, argv);
  try {
    run(dims, quick, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "word2vec: {}\n", error.what());
    return 1;
  }
}
