#pragma once

#include <memory>
#include <string>
#include <tensair/model/model.hpp>
#include <tensair/pipeline.hpp>

#include "arguments.hpp"
#include "graph.hpp"
#include "lexicon.hpp"

namespace word2vec {

/// What is asked in a line of text: `WORD`, `nearest WORD`, `analogy A B C` (a is to b as c is to …).
struct Question {
  std::string text;
  std::array<std::int32_t, 3> rows{-1, -1, -1};  ///< a, b, c; a and c are -1 for the words nearest to b
  std::string problem;                           ///< why there is no answer; empty: there may be one
};
auto read_question(std::string_view line, const Lexicon& lexicon) -> Question;

/// Answers the questions that come from a place (`-`, a file, HOST:PORT) on standard output, while the model learns.
void answer_questions(tensair::Pipeline& pipeline, const std::string& from, const tensair::ModelHandle& net,
                      std::shared_ptr<const Lexicon> lexicon);

/// `learn` of the lines that a TCP server sends, dealt out to all nodes.
auto learn_lines(tensair::Pipeline& pipeline, const Arguments& arguments, const tensair::ModelHandle& net,
                 const Job& job)
    -> tensair::Stream<tensair::TrainStep, tensair::operators::Chain<tensair::operators::ResultHead<tensair::TrainStep>,
                                                                     tensair::operators::NoBinder>>;

}  // namespace word2vec
