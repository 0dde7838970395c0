#include <tensair/io/lines.hpp>
#include <tensair/io/tcp.hpp>

#include <fmt/format.h>
#include <torch/torch.h>

#include <charconv>
#include <cstdio>
#include <tensair/tensair.hpp>

#include "model.hpp"
#include "questions.hpp"

namespace word2vec {
namespace {

// HOST:PORT, or nothing.
auto address_of(const std::string& text) -> std::optional<std::pair<std::string, std::uint16_t>> {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  std::uint16_t port = 0;
  const auto* const end = text.data() + text.size();
  const auto [read, problem] = std::from_chars(text.data() + colon + 1, end, port);
  if (problem != std::errc{} || read != end || port == 0) return std::nullopt;
  return std::pair(text.substr(0, colon), port);
}

auto collate_questions(std::span<const Question> questions) -> at::Tensor {
  auto rows = torch::empty({static_cast<std::int64_t>(questions.size()), 3}, torch::kInt32);
  for (std::size_t i = 0; i < questions.size(); ++i)
    std::copy_n(questions[i].rows.begin(), 3, rows.data_ptr<std::int32_t>() + 3 * i);
  return rows;
}

void print(const tensair::Prediction<Question>& answer, const Lexicon& lexicon) {
  if (!answer.record.problem.empty()) {
    fmt::print("{}: {}\n", answer.record.text, answer.record.problem);
  } else {
    std::string words;
    const float* const values = answer.output.data_ptr<float>();
    for (std::size_t k = 0; k < Word2Vec::answers && values[k] >= 0; ++k)
      words += fmt::format("  {} {:.3f}", lexicon.word_of(static_cast<std::int32_t>(values[k])),
                           static_cast<double>(values[Word2Vec::answers + k]));
    fmt::print("{}:{}  (version {})\n", answer.record.text, words.empty() ? "  nothing yet" : words, answer.version);
  }
  std::fflush(stdout);
}

template <class Lines>
void answer(Lines lines, const tensair::ModelHandle& net, std::shared_ptr<const Lexicon> lexicon) {
  std::move(lines)
      .map([lexicon](std::string_view line) { return read_question(line, *lexicon); })
      .model(net,
             [](std::span<const Question> some) {
               return tensair::TensorBatch{collate_questions(some), {}};
             })
      .predict({.max_batch = 16})
      .sink([lexicon](const tensair::Prediction<Question>& one) { print(one, *lexicon); });
}

}  // namespace

auto read_question(std::string_view line, const Lexicon& lexicon) -> Question {
  Question question{std::string(line.substr(0, 200)), {-1, -1, -1}, {}};
  std::vector<std::string> words;
  for_each_word(
      line, [&](std::string_view word) { words.emplace_back(word); }, [] {});
  const bool analogy = words.size() == 4 && words.front() == "analogy";
  if (words.size() == 2 && words.front() == "nearest") words.erase(words.begin());
  if (!analogy && words.size() != 1) {
    question.problem = "is no question; ask 'nearest WORD' or 'analogy A B C'";
    return question;
  }
  const auto look_up = [&](const std::string& word, std::int32_t& row) {
    if (const auto found = lexicon.row_of(word)) {
      row = *found;
    } else if (question.problem.empty()) {
      question.problem = fmt::format("the word «{}» is not known", word);
    }
  };
  if (analogy) {
    for (std::size_t k = 0; k < 3; ++k) look_up(words[k + 1], question.rows[k]);
  } else {
    look_up(words.front(), question.rows[1]);
  }
  if (!question.problem.empty()) question.rows = {-1, -1, -1};
  return question;
}

void answer_questions(tensair::Pipeline& pipeline, const std::string& from, const tensair::ModelHandle& net,
                      std::shared_ptr<const Lexicon> lexicon) {
  if (const auto address = address_of(from)) {
    answer(pipeline.source(tensair::tcp_lines(address->first, address->second)), net, std::move(lexicon));
  } else {
    answer(pipeline.source(tensair::lines(from == "-" ? "/dev/stdin" : from)).on(0), net, std::move(lexicon));
  }
}

auto learn_lines(tensair::Pipeline& pipeline, const Arguments& arguments, const tensair::ModelHandle& net,
                 const Job& job)
    -> tensair::Stream<tensair::TrainStep, tensair::operators::Chain<tensair::operators::ResultHead<tensair::TrainStep>,
                                                                     tensair::operators::NoBinder>> {
  const auto address = address_of(arguments.tcp);
  if (!address)
    throw tensair::UsageError(fmt::format("--tcp takes HOST:PORT, not '{}'", arguments.tcp), {}, "See --help.");
  return learn(
      pipeline.source(tensair::tcp_lines(address->first, address->second, {.max_line = TextFiles::longest_line}))
          .map([](std::string_view line) {
            return Block{std::string(line) + '\n', 0};
          })
          .rebalance(),
      net, job);
}

}  // namespace word2vec
