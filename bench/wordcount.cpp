// Counting the words of a text: tensair beside a loop by hand with a flat hash map.
//
//   wordcount [--json FILE] [--quick] [--text FILE] [--repetitions N]
//
// The text is English Wikipedia (text/enwiki2018.tsv in TENSAIR_DATA), else words drawn by Zipf's law. It lies in
// memory; what is measured is finding words and counting them.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <tensair/pipeline.hpp>
#include <thread>

#include "report.hpp"
#include "seconds.hpp"
#include "statistics.hpp"

namespace {

using Text = std::shared_ptr<const std::string>;

/// 4 million words of 200,000, the r-th as often as 1 / r says.
auto zipf_text() -> std::string {
  constexpr int vocabulary = 200'000;
  std::vector<double> cumulated;
  double sum = 0;
  for (int r = 1; r <= vocabulary; ++r) cumulated.push_back(sum += 1.0 / r);
  std::mt19937_64 random{1};
  std::uniform_real_distribution<double> draw{0, sum};
  std::string text;
  for (int i = 0; i < 4'000'000; ++i) {
    const auto rank = std::lower_bound(cumulated.begin(), cumulated.end(), draw(random)) - cumulated.begin();
    // Rare words are longer, as in a language.
    text.append("w").append(std::to_string(rank * 7919)).push_back(i % 12 == 11 ? '\n' : ' ');
  }
  return text;
}

auto read_text(const std::filesystem::path& path) -> std::string {
  auto file = std::ifstream{path, std::ios::binary};
  if (!file) throw tensair::Error("the text cannot be opened", path.string(), "Check --text.");
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// Calls `emit` with each word: what lies between bytes that are no larger than a blank.
template <class Emit>
void split_words(std::string_view text, Emit&& emit) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
  while (true) {
    while (at != end && blank(*at)) ++at;
    if (at == end) return;
    const char* const start = at;
    while (at != end && !blank(*at)) ++at;
    emit(std::string_view(start, static_cast<std::size_t>(at - start)));
  }
}

/// The lines of a text, each part a stretch of it.
class Lines {
 public:
  using value_type = std::string_view;
  explicit Lines(Text text) : text_(std::move(text)), at_(text_->data()), end_(at_ + text_->size()) {}

  void split(int part, int parts) {
    const auto cut = [&](int i) {
      if (i == parts) return text_->data() + text_->size();
      const auto from = text_->size() / static_cast<std::size_t>(parts) * static_cast<std::size_t>(i);
      return i == 0 ? text_->data() : text_->data() + std::min(text_->size(), text_->find('\n', from) + 1);
    };
    at_ = cut(part);
    end_ = cut(part + 1);
  }
  auto next() -> std::optional<std::string_view> {
    if (at_ >= end_) return std::nullopt;
    const char* const start = at_;
    const auto* found = static_cast<const char*>(std::memchr(at_, '\n', static_cast<std::size_t>(end_ - at_)));
    const char* const stop = found ? found : end_;
    at_ = stop + 1;
    return std::string_view(start, static_cast<std::size_t>(stop - start));
  }

 private:
  Text text_;
  const char *at_, *end_;
};

struct TextHash {
  using is_transparent = void;
  using is_avalanching = void;
  auto operator()(std::string_view text) const -> std::size_t { return tensair::hash_key(text); }
};

/// What a count came to, so that sides can be compared and nothing is left out.
struct Counted {
  std::uint64_t words = 0, distinct = 0, most = 0;
  friend auto operator==(const Counted&, const Counted&) -> bool = default;
  void add(std::uint64_t count) {
    words += count;
    ++distinct;
    most = std::max(most, count);
  }
};

auto by_hand(const Text& text) -> Counted {
  boost::unordered_flat_map<std::string, std::uint64_t, TextHash, std::equal_to<>> counts;
  Lines lines{text};
  while (const auto line = lines.next()) {
    split_words(*line, [&](std::string_view word) {
      if (const auto found = counts.find(word); found != counts.end()) {
        ++found->second;
      } else {
        counts.emplace(word, 1);
      }
    });
  }
  Counted counted;
  for (const auto& [word, count] : counts) counted.add(count);
  return counted;
}

/// As `by_hand`, by two threads: each counts half of the lines, and the counts of one go to the other in the end.
auto by_two_hands(const Text& text) -> Counted {
  boost::unordered_flat_map<std::string, std::uint64_t, TextHash, std::equal_to<>> counts[2];
  const auto count_half = [&](int half) {
    auto& mine = counts[half];
    Lines lines{text};
    lines.split(half, 2);
    while (const auto line = lines.next()) {
      split_words(*line, [&](std::string_view word) {
        if (const auto found = mine.find(word); found != mine.end()) {
          ++found->second;
        } else {
          mine.emplace(word, 1);
        }
      });
    }
  };
  {
    const std::jthread other{[&] { count_half(1); }};
    count_half(0);
  }
  for (auto& [word, count] : counts[1]) counts[0][word] += count;
  Counted counted;
  for (const auto& [word, count] : counts[0]) counted.add(count);
  return counted;
}

/// Two loops by hand beside each other, each over all of the text: what the machine's second core is worth.
auto by_hand_twice(const Text& text) -> Counted {
  Counted counted;
  {
    const std::jthread other{[&] { by_hand(text); }};
    counted = by_hand(text);
  }
  return counted;
}

auto by_hand_with_our_map(const Text& text) -> Counted {
  tensair::operators::StateMap<std::string, std::uint64_t> counts;
  Lines lines{text};
  while (const auto line = lines.next()) {
    split_words(*line, [&](std::string_view word) {
      ++counts.find_or_make(word, tensair::hash_key(word), [] { return std::uint64_t{0}; }).value;
    });
  }
  Counted counted;
  for (std::size_t i = 0; i < counts.size(); ++i) counted.add(counts.at(i).value);
  return counted;
}

auto pipeline_of(int threads) -> tensair::Pipeline {
  tensair::Options options;
  options.threads = threads;
  return tensair::Pipeline{options};
}

auto words_of(tensair::Pipeline& pipeline, const Text& text, int parallel) {
  return pipeline.source(Lines{text})
      .parallel(parallel)
      .flat_map<std::string_view>([](std::string_view line, auto emit) { split_words(line, emit); })
      .key_by(std::identity{});
}

auto with_tensair(const Text& text, int parallel) -> Counted {
  Counted counted;
  auto pipeline = pipeline_of(parallel);
  words_of(pipeline, text, parallel).count(tensair::at_end).sink([&](const auto& pair) { counted.add(pair.value); });
  pipeline.execute();
  return counted;
}

auto running(const Text& text) -> Counted {
  Counted counted;
  auto pipeline = pipeline_of(1);
  words_of(pipeline, text, 1).count().sink([&](const auto& pair) {
    ++counted.words;
    if (pair.value == 1) ++counted.distinct;
    counted.most = std::max(counted.most, pair.value);
  });
  pipeline.execute();
  return counted;
}

struct Side {
  std::string system, label;
  std::function<Counted()> count;
  int texts = 1;  // counted in one run
  std::vector<double> a_cpu_second{}, a_second{};
};

void run(const Text& text, int repetitions, const std::filesystem::path& json) {
  const auto expected = by_hand(text);
  Side sides[] = {
      {"limit", "loop by hand, boost::unordered_flat_map (the limit)", [&] { return by_hand(text); }},
      {"tensair", "tensair, one instance", [&] { return with_tensair(text, 1); }},
      {"tensair, running counts", "tensair, a result a word", [&] { return running(text); }},
      {"tensair, map alone", "loop by hand, tensair's map", [&] { return by_hand_with_our_map(text); }},
      {"tensair, parallel(2)", "tensair, parallel(2)", [&] { return with_tensair(text, 2); }},
      {"limit, two threads", "loop by hand, two threads, merged", [&] { return by_two_hands(text); }},
      {"limit, twice", "two loops by hand beside each other, two texts", [&] { return by_hand_twice(text); }, 2}};
  for (int i = 0; i < repetitions; ++i) {
    for (auto& side : sides) {
      const double cpu = bench::cpu_seconds(), wall = bench::wall_seconds();
      const auto counted = side.count();
      const double words = static_cast<double>(expected.words) * side.texts;
      side.a_cpu_second.push_back(words / (bench::cpu_seconds() - cpu));
      side.a_second.push_back(words / (bench::wall_seconds() - wall));
      if (counted != expected) throw tensair::Error("the counts differ", side.label);
    }
  }
  bench::Report report;
  const auto workload = fmt::format("wordcount, {:.1f} M words, {} different",
                                    static_cast<double>(expected.words) / 1e6, expected.distinct);
  const auto table = [&](const char* what, const char* unit, auto values) {
    std::vector<bench::Row> rows;
    const double limit = bench::median(sides[0].*values);
    for (const auto& side : sides) {
      const double value = bench::median(side.*values);
      rows.push_back({side.system, value, value / limit, side.label});
    }
    report.table(workload + what, unit, rows);
  };
  table("", "words/s", &Side::a_second);
  table(", processor time", "words/CPU s", &Side::a_cpu_second);
  const double hand = bench::median(sides[0].a_cpu_second), one = bench::median(sides[1].a_cpu_second);
  report.note("required: at least 0.80 of the limit by processor time: {}", one >= 0.8 * hand ? "met" : "not met");
  const double ratio = bench::median(sides[4].a_second) / bench::median(sides[1].a_second);
  report.note("required: parallel(2) at least 1.80 times one instance: {:.2f}: {}", ratio,
              ratio >= 1.8 ? "met" : "not met");
  report.note("a loop by hand gains {:.2f} by a second thread, and two of them beside each other {:.2f}",
              bench::median(sides[5].a_second) / bench::median(sides[0].a_second),
              bench::median(sides[6].a_second) / bench::median(sides[0].a_second));
  if (!json.empty()) report.write(json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Counts the words of a text."};
  std::filesystem::path json, path;
  int repetitions = 7;
  bool quick = false;
  if (const char* data = std::getenv("TENSAIR_DATA")) {
    const auto wikipedia = std::filesystem::path(data) / "text" / "enwiki2018.tsv";
    if (std::filesystem::exists(wikipedia)) path = wikipedia;
  }
  app.add_option("--json", json, "where to write the rows");
  app.add_option("--text", path, "a text (default: $TENSAIR_DATA/text/enwiki2018.tsv; without it, words are drawn)");
  app.add_option("--repetitions", repetitions, "how often each side runs, in turn")->check(CLI::PositiveNumber);
  app.add_flag("--quick", quick, "within 20 s");
  CLI11_PARSE(app, argc, argv);
  if (quick) repetitions = std::min(repetitions, 3);
  try {
    run(std::make_shared<const std::string>(path.empty() ? zipf_text() : read_text(path)), repetitions, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "wordcount: {}\n", error.what());
    return 1;
  }
}
