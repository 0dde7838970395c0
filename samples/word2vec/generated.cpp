#include "generated.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "noise.hpp"

namespace word2vec {
namespace {

constexpr float stays = 0.97F;        // in its topic, at each word
constexpr float common_share = 0.3F;  // of words are those that all topics have

auto zipf(std::size_t count) -> AliasTable {
  std::vector<double> weights(count);
  for (std::size_t i = 0; i < count; ++i) weights[i] = 1 / static_cast<double>(i + 2);
  return AliasTable(weights);
}

}  // namespace

GeneratedText::GeneratedText(std::uint64_t seed, std::uint64_t words, int epochs)
    : seed_(seed), blocks_((words + words_a_block - 1) / words_a_block), epochs_(epochs) {}

void GeneratedText::split(int part, int parts) {
  next_ = static_cast<std::uint64_t>(part);
  step_ = static_cast<std::uint64_t>(parts);
}

auto GeneratedText::next() -> std::optional<Block> {
  const auto all = blocks_ * static_cast<std::uint64_t>(epochs_);
  if (next_ >= all) return std::nullopt;
  static const auto of_topic = zipf(words_a_topic), of_all = zipf(common_words);
  Random random{seed_ * 1'000'003 + next_ % blocks_};
  Block block{{}, static_cast<float>(static_cast<double>(next_) / static_cast<double>(all))};
  auto topic = random.below(topics);
  for (std::size_t i = 0; i < words_a_block; ++i) {
    if (random.real() > stays) topic = random.below(topics);
    if (random.real() < common_share) {
      fmt::format_to(std::back_inserter(block.text), "the{}", of_all.draw(random));
    } else {
      fmt::format_to(std::back_inserter(block.text), "t{}w{}", topic, of_topic.draw(random));
    }
    block.text += i % 40 == 39 ? '\n' : ' ';
  }
  next_ += step_;
  return block;
}

auto share_of_true_neighbours(const VectorsView& vectors, const Lexicon& lexicon) -> double {
  const auto words = lexicon.words();
  std::vector<std::size_t> rows;
  std::vector<std::string> topic;
  for (std::size_t row = 0; row < words.size(); ++row) {
    if (words[row].empty()) continue;
    rows.push_back(row);
    topic.push_back(words[row].substr(0, words[row].find('w')));
  }
  const auto unit_dot = [&](std::size_t a, std::size_t b) {
    const auto x = vectors.row(a), y = vectors.row(b);
    float xy = 0, yy = 0;
    for (std::size_t k = 0; k < vectors.dim; ++k) {
      xy += x[k] * y[k];
      yy += y[k] * y[k];
    }
    return yy > 0 ? xy / std::sqrt(yy) : 0.0F;
  };
  std::size_t right = 0, all = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (topic[i].starts_with("the")) continue;
    std::vector<std::pair<float, std::size_t>> others;
    for (std::size_t j = 0; j < rows.size(); ++j) {
      if (j != i) others.emplace_back(unit_dot(rows[i], rows[j]), j);
    }
    const auto nearest = std::min<std::size_t>(10, others.size());
    std::partial_sort(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(nearest), others.end(),
                      std::greater{});
    for (std::size_t k = 0; k < nearest; ++k) right += topic[others[k].second] == topic[i] ? 1U : 0U;
    all += nearest;
  }
  return all > 0 ? static_cast<double>(right) / static_cast<double>(all) : 0;
}

}  // namespace word2vec
