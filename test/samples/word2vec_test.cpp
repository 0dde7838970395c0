#include <torch/torch.h>

#include <array>
#include <cmath>
#include <fstream>
#include <map>
#include <numeric>
#include <set>
#include <tensair/error.hpp>
#include <tensair/model/model.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/topologies.hpp"
#include "word2vec/admission.hpp"
#include "word2vec/autograd.hpp"
#include "word2vec/evaluation.hpp"
#include "word2vec/generated.hpp"
#include "word2vec/graph.hpp"
#include "word2vec/kernel.hpp"
#include "word2vec/model.hpp"
#include "word2vec/questions.hpp"
#include "word2vec/vectors.hpp"
#include "word2vec/vocabulary.hpp"

using namespace word2vec;
using Catch::Matchers::ContainsSubstring;
using tensair::test::TemporaryFolder;

namespace {

struct Example {
  std::vector<std::int32_t> words, noise;
  std::vector<float> in, out;
  static constexpr std::size_t rows = 50;

  Example(std::size_t dim, std::uint64_t seed) : in(rows * dim), out(rows * dim) {
    Random random{seed};
    for (int i = 0; i < 60; ++i)
      words.push_back(i % 17 == 16 ? -1 : static_cast<std::int32_t>(random.below(rows / (i % 3 + 1))));
    for (int i = 0; i < 97; ++i) noise.push_back(static_cast<std::int32_t>(random.below(rows)));
    for (auto* table : {&in, &out}) {
      for (float& value : *table) value = random.real() - 0.5F;
    }
  }
};

// Which words a word is told from and which neighbours count: as the kernel says it of itself, found from outside by
// what changes when one neighbour or output alone does. Here: the windows as (word, neighbours, noise), replayed.
struct Window {
  std::int64_t word;
  std::vector<std::int64_t> neighbours, told_from;
};

auto mixed(std::uint64_t x) -> std::uint64_t {
  x += 0x9e37'79b9'7f4a'7c15U;
  x = (x ^ x >> 30) * 0xbf58'476d'1ce4'e5b9U;
  x = (x ^ x >> 27) * 0x94d0'49bb'1331'11ebU;
  return x ^ x >> 31;
}

auto windows_of(const Example& example, const Shape& shape, std::uint64_t seed) -> std::vector<Window> {
  std::vector<Window> windows;
  auto at = mixed(seed ^ 0) % example.noise.size();
  const auto& words = example.words;
  const auto count = static_cast<std::int64_t>(words.size());
  for (std::int64_t t = 0; t < count; ++t) {
    const auto id = [&](std::int64_t place) { return words[static_cast<std::size_t>(place)]; };
    if (id(t) < 0) continue;
    const auto reach = static_cast<std::int64_t>(1 + mixed(seed + static_cast<std::uint64_t>(t)) %
                                                         static_cast<std::uint64_t>(shape.window));
    Window window{id(t), {}, {}};
    for (auto place = t - 1; place >= 0 && t - place <= reach && id(place) >= 0; --place)
      window.neighbours.push_back(id(place));
    for (auto place = t + 1; place < count && place - t <= reach && id(place) >= 0; ++place)
      window.neighbours.push_back(id(place));
    if (window.neighbours.empty()) continue;
    for (int j = 0; j < shape.negative; ++j) {
      if (example.noise[at] != id(t)) window.told_from.push_back(example.noise[at]);
      at = (at + 1) % example.noise.size();
    }
    windows.push_back(std::move(window));
  }
  return windows;
}

// The same loss with nn::Embedding and autograd.
auto loss_of(const std::vector<Window>& windows, torch::nn::Embedding& in, torch::nn::Embedding& out, bool cbow)
    -> at::Tensor {
  auto loss = torch::zeros({});
  for (const auto& window : windows) {
    auto neighbours = in(torch::tensor(window.neighbours));
    if (cbow) neighbours = neighbours.mean(0, true);
    loss = loss - torch::log_sigmoid(torch::mm(neighbours, out(torch::tensor(std::vector{window.word})).t())).sum();
    if (!window.told_from.empty())
      loss = loss - torch::log_sigmoid(-torch::mm(neighbours, out(torch::tensor(window.told_from)).t())).sum();
  }
  return loss;
}

auto embedding(const std::vector<float>& values, std::size_t dim) {
  auto made = torch::nn::Embedding(static_cast<std::int64_t>(Example::rows), static_cast<std::int64_t>(dim));
  const torch::NoGradGuard no_grad;
  made->weight.copy_(torch::tensor(values).view_as(made->weight));
  return made;
}

}  // namespace

TEST_CASE("the kernel's gradient is that of nn::Embedding and autograd", "[word2vec]") {
  for (const std::size_t dim : {1, 7, 16, 100, 130}) {
    for (const int negative : {1, 5, 13, 20}) {
      for (const bool cbow : {false, true}) {
        INFO("dim " << dim << ", " << negative << " negatives" << (cbow ? ", CBOW" : ""));
        const Example example{dim, dim + static_cast<std::size_t>(negative)};
        const Shape shape{dim, 5, negative, cbow};
        constexpr std::uint64_t seed = 77;
        std::vector<float> in(example.in.size()), out(example.out.size());
        const auto learnt = Kernel{shape}.learn({example.words, example.noise, 1.0F, seed}, 0, example.words.size(),
                                                {example.in.data(), example.out.data(), in.data(), out.data()});
        auto in_rows = embedding(example.in, dim), out_rows = embedding(example.out, dim);
        const auto windows = windows_of(example, shape, seed);
        loss_of(windows, in_rows, out_rows, cbow).backward();
        // Of the largest: a sum of a thousand floats is not known better.
        const auto apart = [](const std::vector<float>& change, const at::Tensor& gradient) {
          return ((torch::tensor(change).view_as(gradient) + gradient).abs().max() / gradient.abs().max().clamp_min(1))
              .item<float>();
        };
        CHECK(apart(in, in_rows->weight.grad()) <= 1e-5F);
        CHECK(apart(out, out_rows->weight.grad()) <= 1e-5F);
        CHECK(learnt.windows == windows.size());

        // The option, too.
        std::vector<float> in_option(in.size()), out_option(out.size());
        const auto as_option = Autograd{shape, Example::rows}.learn(
            {example.words, example.noise, 1.0F, seed}, 0, example.words.size(),
            {example.in.data(), example.out.data(), in_option.data(), out_option.data()});
        CHECK(apart(in_option, in_rows->weight.grad()) <= 1e-5F);
        CHECK(apart(out_option, out_rows->weight.grad()) <= 1e-5F);
        CHECK(as_option.windows == learnt.windows);
        CHECK(as_option.pairs == learnt.pairs);
        CHECK(as_option.loss == Approx(learnt.loss).epsilon(1e-4));
      }
    }
  }
}

TEST_CASE("a text is learnt the same in pieces", "[word2vec]") {
  const Example example{20, 3};
  const Shape shape{20, 4, 3, false};
  std::vector<float> in(example.in.size()), in_pieces(in.size()), out(in.size()), out_pieces(in.size());
  // With as much noise as one window needs, pieces draw the same.
  const Text text{example.words, std::span(example.noise).first(3), 1.0F, 5};
  Kernel kernel{shape};
  kernel.learn(text, 0, 60, {example.in.data(), example.out.data(), in.data(), out.data()});
  for (const std::size_t first : {0, 7, 30}) {
    const std::size_t last = first == 0 ? 7 : first == 7 ? 30 : 60;
    kernel.learn(text, first, last, {example.in.data(), example.out.data(), in_pieces.data(), out_pieces.data()});
  }
  for (std::size_t i = 0; i < in.size(); ++i) {
    CHECK(std::abs(in[i] - in_pieces[i]) <= 1e-5F);
    CHECK(std::abs(out[i] - out_pieces[i]) <= 1e-5F);
  }
}

TEST_CASE("the model says what it touches", "[word2vec]") {
  const std::size_t dim = 12, rows = 64;
  for (const int threads : {1, 3}) {
    auto lexicon = std::make_shared<Lexicon>(rows);
    Word2Vec model{{.shape = {dim, 5, 5, false}, .rows = rows, .threads = threads}, lexicon};
    Random random{9};
    for (int n = 0; n < 5; ++n) {
      std::vector<std::int32_t> words, noise, renewed{static_cast<std::int32_t>(40 + n)};
      for (int i = 0; i < 3'000; ++i) words.push_back(i % 50 == 0 ? -1 : static_cast<std::int32_t>(random.below(20)));
      for (int i = 0; i < 30; ++i) noise.push_back(static_cast<std::int32_t>(random.below(30)));
      const auto batch = to_tensors(words, noise, renewed, 3'000, random(), 0.05F);
      tensair::SparseChange change;
      const std::vector<float> before(model.parameters().begin(), model.parameters().end());
      change.begin(model.touched(batch), model.parameters());
      CHECK(model.step(batch).examples == 3'000);
      change.finish(model.parameters());
      auto after = before;
      tensair::add(after, tensair::Delta{change.values, change.segments, {}, {}});
      float apart = 0;
      for (std::size_t i = 0; i < after.size(); ++i)
        apart = std::max(apart, std::abs(after[i] - model.parameters()[i]));
      CHECK(apart <= 1e-5F);  // nothing else has changed
      CHECK(change.values.size() < after.size());
    }
    const auto bad = to_tensors(std::vector<std::int32_t>{64}, std::vector<std::int32_t>(5), {}, 1, 1, 0.1F);
    CHECK_THROWS_WITH(model.step(bad), ContainsSubstring("--vocab"));
    CHECK_THROWS_WITH(model.touched(bad), ContainsSubstring("--vocab"));
  }
}

TEST_CASE("a batch's delta is its touched rows", "[word2vec]") {
  const std::size_t dim = 100, rows = 60'000;
  Word2Vec model{{.shape = {.dim = dim}, .rows = rows}, std::make_shared<Lexicon>(rows)};
  std::vector<double> weights(rows);
  for (std::size_t row = 0; row < rows; ++row) weights[row] = 1 / static_cast<double>(row + 10);
  const AliasTable words_drawn{weights};
  Random random{1};
  std::vector<std::int32_t> words(500), noise(250);
  for (auto* list : {&words, &noise}) {
    for (auto& row : *list) row = words_drawn.draw(random);
  }
  std::set<std::int32_t> in(words.begin(), words.end()), out = in;
  out.insert(noise.begin(), noise.end());
  tensair::SparseChange change;
  change.begin(model.touched(to_tensors(words, noise, {}, 500, 1, 0.1F)), model.parameters());
  const auto bytes =
      static_cast<double>(change.values.size() * sizeof(float) + change.segments.size() * sizeof(tensair::Segment));
  const auto touched = static_cast<double>(in.size() + out.size());
  CHECK(change.values.size() == (in.size() + out.size()) * dim);
  CHECK(bytes <= 1.05 * 4 * static_cast<double>(dim) * touched);
  CHECK(static_cast<double>(2 * rows * dim * sizeof(float)) / bytes >= 100);
}

TEST_CASE("an alias table draws as often as weights say", "[word2vec]") {
  const std::vector<double> weights{0, 1, 2, 0, 5, 0.5};
  const AliasTable table{weights};
  Random random{1};
  std::vector<double> drawn(weights.size());
  constexpr int draws = 200'000;
  for (int i = 0; i < draws; ++i) ++drawn[static_cast<std::size_t>(table.draw(random))];
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double expected = weights[i] / 8.5 * draws;
    CHECK(std::abs(drawn[i] - expected) <= 5 * std::sqrt(expected));
  }
  CHECK(AliasTable{std::vector<double>{0, 0}}.empty());
}

TEST_CASE("words are split at all that is no letter or digit, and junk is none", "[word2vec]") {
  const auto words_of = [](std::string_view text) {
    std::vector<std::string> words;
    int lines = 0;
    for_each_word(
        text, [&](std::string_view word) { words.emplace_back(word); }, [&] { ++lines; });
    words.push_back(std::to_string(lines));
    return words;
  };
  using Words = std::vector<std::string>;
  CHECK(words_of("The cat's 9 lives,\nand\n") == Words{"the", "cat", "s", "9", "lives", "and", "2"});
  CHECK(words_of("Zürich “naïve” 東京") == Words{"zürich", "naïve", "東京", "0"});
  CHECK(words_of(std::string_view("a\0b\xff\xfe c\xc3", 8)) == Words{"a", "b", "c", "0"});
  CHECK(words_of("\xed\xa0\x80x \xf5\x80\x80\x80y") == Words{"x", "y", "0"});  // a surrogate; beyond Unicode
  CHECK(words_of(std::string(65, 'x') + " " + std::string(64, 'y')) == Words{std::string(64, 'y'), "0"});
  CHECK(words_of("") == Words{"0"});
}

TEST_CASE("each line of a text is in one part, whatever the parts", "[word2vec]") {
  TemporaryFolder folder;
  const auto write = [&](const char* name, const std::string& content) {
    std::ofstream(folder.path() / name, std::ios::binary) << content;
    return folder.path() / name;
  };
  std::string many;
  std::multiset<std::string> lines;
  Random random{4};
  for (int i = 0; i < 9'000; ++i) {
    const auto line = std::string(random.below(40), 'a' + static_cast<char>(i % 26)) + std::to_string(i);
    many += line + '\n';
    lines.insert(line);
  }
  lines.insert("last");
  const auto first = write("first.txt", many), second = write("second.txt", "last"), empty = write("empty.txt", "");
  for (const int parts : {1, 2, 3, 7}) {
    std::multiset<std::string> read;
    for (int part = 0; part < parts; ++part) {
      TextFiles texts{{first, empty, second}, 2};
      texts.split(part, parts);
      float progress = 0;
      while (const auto block = texts.next()) {
        CHECK(block->progress >= progress);
        progress = block->progress;
        CHECK(block->text.size() <= 3 * TextFiles::block_bytes);
        std::istringstream stream(block->text);
        for (std::string line; std::getline(stream, line);) read.insert(line);
      }
    }
    auto twice = lines;
    twice.insert(lines.begin(), lines.end());
    CHECK(read == twice);
  }
}

TEST_CASE("texts that are odd are read, and those that go are told", "[word2vec]") {
  TemporaryFolder folder;
  const auto path = folder.path() / "text.txt";
  const auto count = [&](std::string_view content) {
    std::ofstream(path, std::ios::binary) << content;
    TextFiles texts{{path}, 1};
    std::size_t words = 0;
    while (const auto block = texts.next())
      for_each_word(
          block->text, [&](std::string_view) { ++words; }, [] {});
    return words;
  };
  CHECK(count("") == 0);
  CHECK(count(std::string(5 << 20, 'x')) == 0);  // an endless line without a word's end
  std::string endless;
  for (int i = 0; i < 600'000; ++i) endless += "word ";
  CHECK(count(endless) == 600'000);
  CHECK(count(std::string(100, '\0') + "a\xff\xfe" + std::string(100, '\n')) == 1);

  CHECK_THROWS_WITH(TextFiles({folder.path() / "none.txt"}, 1), ContainsSubstring("none.txt"));
  std::ofstream(path) << endless;
  TextFiles cut{{path}, 1};
  std::filesystem::resize_file(path, 100'000);
  CHECK_THROWS_WITH(
      [&] {
        while (cut.next()) continue;
      }(),
      ContainsSubstring("shorter"));
  TextFiles gone{{path}, 2};
  std::filesystem::remove(path);
  CHECK_THROWS_WITH(gone.next(), ContainsSubstring("moved or removed"));
  std::ofstream(folder.path() / "articles.tsv") << "1\ttitle\tsome text\n2\tanother\tmore\n";
  TextFiles table{{folder.path() / "articles.tsv"}, 1};
  CHECK(table.next()->text == "some text\nmore\n");
}

TEST_CASE("vectors are written and read again, and a bad file is refused", "[word2vec]") {
  TemporaryFolder folder;
  const NamedVectors vectors{3, {"one", "zwölf"}, {1.5F, -2, 0.1F, 1e-20F, 3, 4}};
  for (const auto* name : {"v.txt", "v.bin"}) {
    write_vectors(folder.path() / name, vectors);
    const auto read = read_vectors(folder.path() / name);
    CHECK(read.dim == 3);
    CHECK(read.words == vectors.words);
    CHECK(read.values == vectors.values);
  }
  const auto refused = [&](const char* name, const std::string& content, const std::string& why) {
    std::ofstream(folder.path() / name, std::ios::binary) << content;
    CHECK_THROWS_WITH(read_vectors(folder.path() / name), ContainsSubstring(why));
  };
  refused("a.txt", "", "begins with");
  refused("a.txt", "two 3\n", "begins with");
  refused("a.txt", "2 0\n", "begins with");
  refused("a.txt", "1 2 3\nword 1 2\n", "begins with");
  refused("a.txt", "2 2\nword 1 2\n", "has 1 words");
  refused("a.txt", "1 2\nword 1 2\nmore 1 2\n", "has more than");
  refused("a.txt", "1 2\nword 1 2 3\n", "has 3 values");
  refused("a.txt", "1 2\nword 1\n", "has 1 values");
  refused("a.txt", "1 2\nword 1 x\n", "'x'");
  refused("a.txt", "1 2\nword 1 nan\n", "not finite");
  refused("a.txt", "1000000000 300\nword 1\n", "too short");
  refused("a.bin", "1 2\nword 1234", "in the midst");
  CHECK_THROWS_WITH(read_vectors(folder.path() / "none"), ContainsSubstring("none"));
}

TEST_CASE("Spearman's correlation is that of ranks, ties shared", "[word2vec]") {
  const std::vector<double> a{1, 2, 3, 4, 5}, b{5, 6, 7, 8, 7}, c{1, 1, 2, 2, 3}, same{1, 1, 1, 1, 1};
  CHECK(spearman(a, a) == Approx(1));
  CHECK(spearman(a, b) == Approx(0.8207826816681233));  // SciPy's
  CHECK(spearman(a, c) == Approx(0.9486832980505138));
  CHECK(spearman(a, same) == 0);
  CHECK(spearman({}, {}) == 0);
}

TEST_CASE("analogies are answered by b − a + c", "[word2vec]") {
  auto lexicon = std::make_shared<Lexicon>(8);
  const std::array<const char*, 6> words{"man", "woman", "king", "queen", "far", ""};
  std::vector<float> values{1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, -1, -1, -1, 1, 1, 1};
  values.resize(24, 1.0F);  // rows without a word
  for (std::int32_t row = 0; row < 5; ++row) lexicon->admit({words[static_cast<std::size_t>(row)], row, false, 1, 0});
  const AnalogyFile file{
      "a", {{"man", "king", "woman", "queen"}, {"man", "king", "woman", "far"}, {"man", "king", "x", "y"}}};
  const auto quality = evaluate(file, VectorsView{values, 3}, *lexicon);
  CHECK(quality.value == Approx(0.5));
  CHECK(quality.asked == 2);
  CHECK(quality.unknown == 1);
}

TEST_CASE("a shard lets in words that come often, and the least used leave", "[word2vec]") {
  const std::size_t rows = shards * 4;
  Shard shard{{.rows = rows, .min_count = 3}, 5};
  std::map<std::int32_t, std::string> known;
  const auto tell = [&](const std::string& word, std::uint32_t times) {
    const auto admitted = shard.count({5, {{word, times}}}, 0);
    for (const auto& one : admitted) {
      CHECK(one.row % static_cast<std::int32_t>(shards) == 5);
      CHECK(one.row < static_cast<std::int32_t>(rows));
      CHECK(one.again == known.contains(one.row));
      known[one.row] = one.word;
    }
    return admitted.size();
  };
  CHECK(tell("a", 1) == 0);
  CHECK(tell("a", 1) == 0);
  CHECK(tell("a", 1) == 1);
  CHECK(tell("a", 100) == 0);
  for (const auto* word : {"b", "c", "d"}) CHECK(tell(word, 50) == 1);
  CHECK(tell("rare", 3) == 0);  // full, and all others come more often
  CHECK(known.size() == 4);
  CHECK(tell("often", 90) == 1);
  CHECK(known.size() == 4);
  std::set<std::string> words;
  for (const auto& [row, word] : known) words.insert(word);
  CHECK(words.contains("often"));
  CHECK(words.contains("a"));
}

TEST_CASE("a sketch never says too little, and stays of use when there is no end of words", "[word2vec]") {
  CountSketch sketch{1 << 12};
  for (int i = 0; i < 2'000; ++i) CHECK(sketch.add(hash_of("w" + std::to_string(i)), 1) >= 1);
  CHECK(sketch.add(hash_of("w7"), 2) >= 3);
  int often = 0;
  for (int i = 0; i < 500'000; ++i) often += sketch.add(hash_of("x" + std::to_string(i)), 1) >= 20 ? 1 : 0;
  CHECK(often < 500);
}

TEST_CASE("questions about unknown words say so", "[word2vec]") {
  Lexicon lexicon{4};
  lexicon.admit({"cat", 2, false, 1, 0});
  CHECK(read_question("nearest Cat", lexicon).rows[1] == 2);
  CHECK(read_question("cat", lexicon).rows[1] == 2);
  CHECK(read_question("analogy cat cat cat", lexicon).rows == std::array<std::int32_t, 3>{2, 2, 2});
  CHECK_THAT(read_question("nearest dog", lexicon).problem, ContainsSubstring("«dog» is not known"));
  CHECK_THAT(read_question("analogy cat dog cat", lexicon).problem, ContainsSubstring("«dog»"));
  CHECK_THAT(read_question("", lexicon).problem, ContainsSubstring("no question"));
}

namespace {

struct Learning {
  std::vector<std::vector<float>> parameters;
  std::vector<std::shared_ptr<Lexicon>> lexicons;
};

auto words_of_text(std::uint64_t seed, std::uint64_t words) -> Counted {
  std::map<std::string, std::uint64_t> counts;
  GeneratedText text{seed, words, 1};
  while (const auto block = text.next())
    for_each_word(
        block->text, [&](std::string_view word) { ++counts[std::string(word)]; }, [] {});
  return {counts.begin(), counts.end()};
}

auto learn_on(const tensair::test::Topology& topology, std::size_t rows, bool live, int epochs = 1) -> Learning {
  Learning learning;
  std::vector<tensair::ModelHandle> nets;
  tensair::test::run(topology, [&](tensair::Pipeline& pipeline) {
    auto lexicon = live ? std::make_shared<Lexicon>(rows) : make_lexicon(rows, words_of_text(3, 60'000));
    Job job;
    job.node = pipeline.options().rank;
    job.live = live;
    job.rules = {rows, 3, 20'000};
    job.encoder = std::make_shared<Encoder>(lexicon, EncodeOptions{.lr = 0.05F, .live = live, .node = job.node});
    auto net = pipeline.model("word2vec",
                              [=] { return Word2Vec({.shape = {.dim = 16}, .rows = rows, .threads = 2}, lexicon); },
                              {.patience = 0});
    learn(pipeline.source(GeneratedText(3, 60'000, epochs)), net, job);
    learning.lexicons.push_back(lexicon);
    nets.push_back(net);
  });
  for (const auto& net : nets) {
    for (auto* learner : net.runtime()->learners())
      learning.parameters.emplace_back(learner->parameters().begin(), learner->parameters().end());
  }
  return learning;
}

}  // namespace

TEST_CASE("nodes agree on rows, and end with the same vectors", "[word2vec]") {
  for (const int nodes : {1, 2, 5}) {
    for (const std::uint64_t seed : {1, 2}) {
      for (const std::size_t rows : {3'000, 400}) {  // room for all 2,020 words, and not
        INFO(nodes << " nodes, seed " << seed << ", " << rows << " rows");
        const auto learning = learn_on({.nodes = nodes, .seed = seed}, rows, true);
        REQUIRE(learning.parameters.size() == static_cast<std::size_t>(nodes));
        const auto words = learning.lexicons.front()->words();
        CHECK(learning.lexicons.front()->size() >= (rows > 2'020 ? 1'500U : 350U));
        CHECK(learning.lexicons.front()->size() <= rows);
        for (const auto& lexicon : learning.lexicons) CHECK(lexicon->words() == words);
        for (const auto& one : learning.parameters) {
          float apart = 0;
          for (std::size_t i = 0; i < one.size(); ++i)
            apart = std::max(apart, std::abs(one[i] - learning.parameters.front()[i]));
          CHECK(apart <= 1e-3F);
        }
      }
    }
  }
}

TEST_CASE("true neighbours are found in generated text", "[word2vec]") {
  for (const int nodes : {1, 2, 5}) {
    const auto learning = learn_on({.nodes = nodes, .seed = 4}, 3'000, false, 6);
    const std::span all{learning.parameters.front()};
    CHECK(share_of_true_neighbours({all.first(all.size() / 2), 16}, *learning.lexicons.front()) >= 0.5);
  }
}
