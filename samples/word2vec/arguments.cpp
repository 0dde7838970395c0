#include "arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <tensair/error.hpp>
#include <tensair/io/files.hpp>

#include "generated.hpp"
#include "lexicon.hpp"

namespace word2vec {
namespace {

auto data_folder() -> std::filesystem::path {
  const char* const folder = std::getenv("TENSAIR_DATA");
  return folder != nullptr ? folder : "";
}

}  // namespace

auto flags_for(Arguments& arguments) -> tensair::Flags {
  auto flags = tensair::Flags{"word2vec", "Learns vectors of words from a stream of text, on one node or many."};
  flags
      .add("--data", arguments.data,
           "text files or folders of them, with commas between; of .tsv files the last column (default: "
           "$TENSAIR_DATA/text/enwiki2018.tsv; without it, text is generated)")
      .add("--tcp", arguments.tcp, "HOST:PORT of a server that sends lines of text, in place of --data")
      .add("--generate", arguments.generate, "so many words of generated text, where there is no other")
      .add("--dim", arguments.dim, "length of a word's vector")
      .add("--window", arguments.window, "neighbours on each side, at most")
      .add("--negative", arguments.negative, "words that a word is told from, drawn anew for each")
      .add("--min-count", arguments.min_count, "how often a word must have come to get a vector")
      .add("--sample", arguments.sample, "words that come more often than this are left out by chance; 0: none")
      .add("--lr", arguments.lr, "learning rate at the beginning")
      .add("--last-lr", arguments.last_lr, "and at the end of the text; over TCP it stays")
      .add("--epochs", arguments.epochs, "how often the text is read")
      .add("--vocab", arguments.vocab, "words that have vectors, at most")
      .add("--vocabulary", arguments.vocabulary, {"live", "counted"},
           "live: words get vectors when they come often, and lose them when others come more often; counted: by "
           "reading the text once before")
      .add("--vocabulary-file", arguments.vocabulary_file, "words and their counts, as word2vec writes them: no others")
      .add("--horizon", arguments.horizon, "words after which a count has lost half its weight, in a live vocabulary")
      .add("--cbow", arguments.cbow, "predict a word from the mean of its neighbours")
      .add("--autograd", arguments.autograd,
           "learn by nn::Embedding and LibTorch's autograd, in place of the fused kernel: some twenty times as slow")
      .add("--noise", arguments.noise,
           "negatives drawn for each word of a batch, which share them if there are fewer than --negative; 0: as many")
      .add("--batch", arguments.batch, "words in a batch, roughly")
      .add("--trainers", arguments.trainers, "threads that train on a node, on one table without locks")
      .add("--every", arguments.every, "batches after which nodes tell each other what they learnt")
      .add("--compress-deltas", arguments.compress, {"none", "fp16"}, "what deltas are made smaller by")
      .add("--load", arguments.load, "word vectors to start from: word2vec's text format, or binary if it ends in .bin")
      .add("--save", arguments.save, "file for the vectors, in the same formats")
      .add("--ask", arguments.ask,
           "where questions come from while it learns: - (standard input), a file, or HOST:PORT; a line is a word, "
           "'nearest WORD' or 'analogy A B C'")
      .add("--evaluate", arguments.evaluate,
           "folder of word similarities and analogies (default: $TENSAIR_DATA/wordeval); none: no evaluation")
      .add("--evaluate-every", arguments.evaluate_every,
           "evaluate after so many words that were learnt from; 0: at the end")
      .add("--csv", arguments.csv, "file for each evaluation's figures");
  return flags;
}

auto Arguments::texts() const -> std::vector<std::filesystem::path> {
  std::vector<std::filesystem::path> files;
  if (!tcp.empty()) return files;
  auto names = data;
  if (names.empty()) {
    const auto wikipedia = data_folder() / "text" / "enwiki2018.tsv";
    if (data_folder().empty() || !std::filesystem::exists(wikipedia)) return files;
    names = wikipedia.string();
  }
  std::istringstream list(names);
  for (std::string name; std::getline(list, name, ',');) {
    if (name.empty()) continue;
    if (std::filesystem::is_directory(name)) {
      for (const auto& file : tensair::find_files(name)) files.push_back(file);
    } else {
      files.emplace_back(name);
    }
  }
  return files;
}

auto Arguments::evaluation_folder() const -> std::filesystem::path {
  if (evaluate == "none") return {};
  if (!evaluate.empty()) return evaluate;
  const auto usual = data_folder() / "wordeval";
  return !data_folder().empty() && std::filesystem::is_directory(usual) ? usual : std::filesystem::path{};
}

void check(const Arguments& arguments) {
  const auto require = [](bool good, const char* flag, auto value, const char* range) {
    if (!good) throw tensair::UsageError(fmt::format("{} takes {}, not '{}'", flag, range, value), {}, "See --help.");
  };
  require(arguments.dim >= 1 && arguments.dim <= 4096, "--dim", arguments.dim, "a whole number from 1 to 4096");
  require(arguments.window >= 1 && arguments.window <= 30, "--window", arguments.window, "a whole number from 1 to 30");
  require(arguments.negative >= 1 && arguments.negative <= 20, "--negative", arguments.negative,
          "a whole number from 1 to 20");
  require(arguments.min_count >= 1 && arguments.min_count <= 200, "--min-count", arguments.min_count,
          "a whole number from 1 to 200");
  require(arguments.epochs >= 1, "--epochs", arguments.epochs, "a whole number from 1");
  // Each shard has its own rows, and a word can only get one of its shard's.
  require(arguments.vocab >= static_cast<int>(shards) && arguments.vocab <= 10'000'000, "--vocab", arguments.vocab,
          "a whole number from 16 to 10000000");
  require(arguments.sample >= 0 && arguments.sample <= 1, "--sample", arguments.sample, "a number from 0 to 1");
  require(arguments.lr > 0 && arguments.lr <= 1, "--lr", arguments.lr, "a number above 0, up to 1");
  require(arguments.last_lr >= 0, "--last-lr", arguments.last_lr, "a number from 0");
  require(arguments.noise >= 0 && arguments.noise <= 100, "--noise", arguments.noise, "a number from 0 to 100");
  require(arguments.batch >= 1 && arguments.batch <= 10'000'000, "--batch", arguments.batch,
          "a whole number from 1 to 10000000");
  require(arguments.every >= 1, "--every", arguments.every, "a whole number from 1");
  require(arguments.trainers >= 1 && arguments.trainers <= 1024, "--trainers", arguments.trainers,
          "a whole number from 1 to 1024");
  require(arguments.trainers == 1 || !arguments.autograd, "--trainers", arguments.trainers, "1 with --autograd");
  require(arguments.generate >= 1, "--generate", arguments.generate, "a whole number from 1");
  require(arguments.horizon >= 1, "--horizon", arguments.horizon, "a whole number from 1");
}

auto words_of_block(const Arguments& arguments) -> int {
  if (!arguments.tcp.empty()) return 20;
  return arguments.texts().empty() ? static_cast<int>(GeneratedText::words_a_block)
                                   : static_cast<int>(TextFiles::block_bytes / 6);
}

}  // namespace word2vec
