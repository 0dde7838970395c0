#include "evaluation.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <optional>
#include <sstream>
#include <tensair/error.hpp>

namespace word2vec {
namespace {

constexpr std::int64_t questions_at_once = 256;  // 60 MB of cosines for 60,000 words

auto lower(std::string text) -> std::string {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

template <class Use>
void for_each_line(const std::filesystem::path& file, char comment, Use use) {
  std::ifstream stream(file);
  if (!stream) throw tensair::Error("a file to evaluate by cannot be opened", file.string(), "Check its name.");
  std::string line;
  for (std::size_t number = 1; std::getline(stream, line); ++number) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty() || line.front() == comment) continue;
    std::istringstream fields(line);
    if (!use(fields))
      throw tensair::Error("a line to evaluate by cannot be read", fmt::format("{}, line {}", file.string(), number),
                           "Similarities are two words and a number, analogies four words.");
  }
}

auto ranks_of(std::span<const double> values) -> std::vector<double> {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (std::size_t k = i; k < end; ++k) ranks[order[k]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return ranks;
}

auto row_of(const Lexicon& lexicon, const std::string& word) -> std::int64_t {
  return lexicon.row_of(word).value_or(-1);
}

}  // namespace

auto read_similarities(const std::filesystem::path& file) -> SimilarityFile {
  SimilarityFile all{file.filename().string(), {}};
  for_each_line(file, '#', [&](std::istream& line) {
    SimilarityFile::Pair pair;
    if (!(line >> pair.a >> pair.b >> pair.similarity)) return false;
    pair.a = lower(pair.a);
    pair.b = lower(pair.b);
    all.pairs.push_back(std::move(pair));
    return true;
  });
  return all;
}

auto read_analogies(const std::filesystem::path& file) -> AnalogyFile {
  AnalogyFile all{file.filename().string(), {}};
  for_each_line(file, ':', [&](std::istream& line) {
    std::array<std::string, 4> words;
    for (auto& word : words) {
      if (!(line >> word)) return false;
      word = lower(word);
    }
    all.questions.push_back(std::move(words));
    return true;
  });
  return all;
}

auto spearman(std::span<const double> a, std::span<const double> b) -> double {
  if (a.size() < 2) return 0;
  const auto x = ranks_of(a), y = ranks_of(b);
  const double mean = static_cast<double>(a.size() - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

auto evaluate(const SimilarityFile& file, const VectorsView& vectors, const Lexicon& lexicon) -> Quality {
  std::vector<double> said, found;
  for (const auto& pair : file.pairs) {
    const auto a = row_of(lexicon, pair.a), b = row_of(lexicon, pair.b);
    if (a < 0 || b < 0) continue;
    const auto x = vectors.row(static_cast<std::size_t>(a)), y = vectors.row(static_cast<std::size_t>(b));
    double xy = 0, xx = 0, yy = 0;
    for (std::size_t k = 0; k < vectors.dim; ++k) {
      const double u = static_cast<double>(x[k]), v = static_cast<double>(y[k]);
      xy += u * v;
      xx += u * u;
      yy += v * v;
    }
    said.push_back(pair.similarity);
    found.push_back(xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0);
  }
  return {file.name, spearman(said, found), said.size(), file.pairs.size() - said.size()};
}

auto evaluate(const AnalogyFile& file, const VectorsView& vectors, const Lexicon& lexicon) -> Quality {
  const torch::NoGradGuard no_grad;
  const auto words = lexicon.words();
  std::vector<std::int64_t> used, place(words.size(), -1);
  for (std::size_t row = 0; row < words.size(); ++row) {
    if (words[row].empty()) continue;
    place[row] = static_cast<std::int64_t>(used.size());
    used.push_back(static_cast<std::int64_t>(row));
  }
  std::vector<std::int64_t> asked;  // four places each
  for (const auto& question : file.questions) {
    std::array<std::int64_t, 4> rows{};
    std::transform(question.begin(), question.end(), rows.begin(),
                   [&](const auto& word) { return row_of(lexicon, word); });
    if (std::any_of(rows.begin(), rows.end(), [](auto row) { return row < 0; })) continue;
    for (const auto row : rows) asked.push_back(place[static_cast<std::size_t>(row)]);
  }
  const auto count = static_cast<std::int64_t>(asked.size() / 4);
  Quality quality{file.name, 0, static_cast<std::size_t>(count),
                  file.questions.size() - static_cast<std::size_t>(count)};
  if (count == 0) return quality;
  const auto all =
      torch::from_blob(const_cast<float*>(vectors.values.data()),
                       {static_cast<std::int64_t>(vectors.rows()), static_cast<std::int64_t>(vectors.dim)});
  auto unit = all.index_select(0, torch::tensor(used));
  unit = unit / unit.norm(2, 1, true).clamp_min(1e-12);
  const auto rows = torch::tensor(asked).view({count, 4});
  std::int64_t right = 0;
  for (std::int64_t first = 0; first < count; first += questions_at_once) {
    const auto some = rows.slice(0, first, std::min(first + questions_at_once, count));
    const auto of = [&](std::int64_t column) { return unit.index_select(0, some.select(1, column)); };
    auto cosines = torch::mm(of(1) - of(0) + of(2), unit.t());
    cosines.scatter_(1, some.slice(1, 0, 3), -1e9);
    right += cosines.argmax(1).eq(some.select(1, 3)).sum().item<std::int64_t>();
  }
  quality.value = static_cast<double>(right) / static_cast<double>(count);
  return quality;
}

}  // namespace word2vec
