#include <fmt/format.h>
#include <fmt/ranges.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <tensair/tensair.hpp>

#include "arguments.hpp"
#include "evaluation.hpp"
#include "generated.hpp"
#include "graph.hpp"
#include "model.hpp"
#include "questions.hpp"
#include "report.hpp"
#include "vocabulary.hpp"

// Learns vectors of words from a stream of text. The whole job is in graph.hpp: text → rows → batches → model, on every
// node; this file puts its parts together as the command line says, and tells how it went.

namespace {

using namespace word2vec;

struct Start {
  std::vector<std::filesystem::path> texts;
  Counted words;                        // that have rows from the start
  std::optional<NamedVectors> vectors;  // theirs
};

auto find_start(const Arguments& arguments) -> Start {
  Start start{arguments.texts(), {}, {}};
  if (!arguments.load.empty()) {
    start.vectors = read_vectors(arguments.load);
    if (start.vectors->dim != static_cast<std::size_t>(arguments.dim))
      throw tensair::Error(fmt::format("word vectors have dimension {}, not {}", start.vectors->dim, arguments.dim),
                           arguments.load.string(), fmt::format("Start with --dim {}.", start.vectors->dim));
    start.words = counted(*start.vectors);
  } else if (!arguments.vocabulary_file.empty()) {
    start.words = read_vocabulary(arguments.vocabulary_file, static_cast<std::uint64_t>(arguments.min_count));
  } else if (arguments.vocabulary == "counted") {
    if (start.texts.empty())
      throw tensair::UsageError("words cannot be counted before they come", "--vocabulary counted",
                                "Give --data files, or a --vocabulary-file.");
    start.words = count_texts(start.texts, static_cast<std::uint64_t>(arguments.min_count),
                              static_cast<std::size_t>(arguments.vocab));
  }
  return start;
}

/// Values of the rows that words begin with; NaN: what the model begins with anyway.
auto start_values(const Start& start, const Lexicon& lexicon) -> std::vector<float> {
  if (!start.vectors) return {};
  const auto dim = start.vectors->dim;
  std::vector<float> values(lexicon.rows() * dim, std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = 0; i < start.vectors->words.size(); ++i) {
    const auto row = lexicon.find(start.vectors->words[i]);
    if (row < 0) continue;
    std::copy_n(start.vectors->values.data() + i * dim, dim, values.data() + static_cast<std::size_t>(row) * dim);
  }
  return values;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  auto flags = flags_for(arguments);
  tensair::Pipeline pipeline{argc, argv, flags};
  const auto& options = pipeline.options();
  Report report;
  std::shared_ptr<Lexicon> lexicon;
  std::optional<tensair::ModelHandle> net;

  const int status = pipeline.run([&] {
    check(arguments);
    const auto start = find_start(arguments);
    const bool live = arguments.vocabulary == "live" && arguments.vocabulary_file.empty();
    const auto rows =
        live ? std::max(static_cast<std::size_t>(arguments.vocab), rows_for(start.words)) : rows_for(start.words);
    lexicon = make_lexicon(rows, start.words);
    report.read(arguments, lexicon, options.rank == 0);

    Job job;
    job.node = options.rank;
    job.live = live;
    job.rules = {rows, static_cast<std::uint32_t>(arguments.min_count), arguments.horizon};
    job.start = std::make_shared<const Counted>(start.words);
    job.batch.size = static_cast<std::size_t>(std::max(1, arguments.batch / words_of_block(arguments)));
    if (!arguments.tcp.empty()) job.batch.within = std::chrono::milliseconds{500};
    job.encoder = std::make_shared<Encoder>(
        lexicon, EncodeOptions{.sample = arguments.sample,
                               .negative = arguments.negative,
                               .noise = arguments.noise > 0 ? arguments.noise : arguments.negative,
                               .lr = static_cast<float>(arguments.lr),
                               .last_lr = static_cast<float>(std::min(arguments.lr, arguments.last_lr)),
                               .live = live,
                               .node = options.rank,
                               .seed = options.seed});

    ModelSettings settings;
    settings.shape = {static_cast<std::size_t>(arguments.dim), arguments.window, arguments.negative, arguments.cbow};
    settings.rows = rows;
    settings.autograd = arguments.autograd;
    settings.threads = arguments.trainers;
    settings.seed = options.seed;
    settings.pairs = report.pairs;
    settings.start = start_values(start, *lexicon);
    net = pipeline.model("word2vec",
                         [settings, lexicon, &report] {
                           return Word2Vec(settings, lexicon,
                                           [&report](const VectorsView& vectors) { return report.evaluate(vectors); });
                         },
                         {.patience = 0,
                          .every = {.steps = static_cast<std::uint64_t>(arguments.every)},
                          .compression = arguments.compress == "fp16" ? tensair::fp16() : tensair::Compression{},
                          .measure_divergence = 0});

    auto steps = [&] {
      if (!arguments.tcp.empty()) return learn_lines(pipeline, arguments, *net, job);
      if (start.texts.empty()) {
        if (options.rank == 0)
          fmt::print(stderr, "no --data, no --tcp and no TENSAIR_DATA: learning from generated text of {} topics\n",
                     GeneratedText::topics);
        return learn(pipeline.source(GeneratedText(options.seed, arguments.generate, arguments.epochs))
                         .name(fmt::format("{} generated words, {} epochs", arguments.generate, arguments.epochs)),
                     *net, job);
      }
      return learn(pipeline.source(TextFiles(start.texts, arguments.epochs))
                       .name(fmt::format("{} texts, {} epochs", start.texts.size(), arguments.epochs)),
                   *net, job);
    }();
    steps.sink([&](const tensair::TrainStep& step) { report.trained(step); });
    steps.sink(tensair::progress({.unit = "words"}));

    pipeline.source(std::vector{to_tensors({}, {}, {}, 0, 0, 0)})
        .model(*net)
        .validate({.every = arguments.evaluate_every})
        .sink([&](const tensair::Validation& one) { report.validated(one); });
    if (!arguments.ask.empty()) answer_questions(pipeline, arguments.ask, *net, lexicon);
    report.add_to(pipeline);
  });

  if (status != 0 || !net || options.rank != 0 || arguments.save.empty() || !lexicon) return status;
  try {
    const auto learners = net->runtime()->learners();
    if (learners.empty()) return status;
    const auto values = learners.front()->parameters();
    save(arguments.save, {values.first(values.size() / 2), static_cast<std::size_t>(arguments.dim)}, *lexicon);
  } catch (const std::exception& error) {
    fmt::print(stderr, "word2vec: {}\n", error.what());
    return 1;
  }
  return status;
}
