#include "read.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <string>
#include <tensair/error.hpp>

namespace sentiment {
namespace {

auto rows_of(const std::filesystem::path& file) -> tensair::Csv<Row> {
  auto in = std::ifstream{file};
  if (!in) throw tensair::Error("the tweets cannot be read", file.string(), "Give --data a file that is there.");
  std::string line(4'096, '\0');  // enough to know it by
  in.read(line.data(), static_cast<std::streamsize>(line.size()));
  line.resize(static_cast<std::size_t>(in.gcount()));
  line.resize(std::min(line.size(), line.find('\n')));

  tensair::CsvOptions options;
  if (line.find('\t') != line.npos) options.delimiter = '\t';
  using Columns = std::vector<tensair::CsvColumn<Row>>;
  const auto has = [&](std::string_view name) {
    const auto at = line.find(name);
    const auto is_end = [&](std::size_t i) {
      return i >= line.size() || !std::isalnum(static_cast<unsigned char>(line[i]));
    };
    return at != line.npos && (at == 0 || is_end(at - 1)) && is_end(at + name.size());
  };
  if (has("text") && has("polarity"))
    return tensair::csv<Row>(file, Columns{{"polarity", &Row::feeling}, {"text", &Row::text}}, options);
  if (has("text") && has("label"))
    return tensair::csv<Row>(file, Columns{{"label", &Row::feeling}, {"text", &Row::text}}, options);
  const auto columns = 1 + std::count(line.begin(), line.end(), options.delimiter);
  const auto first = line.substr(0, line.find(options.delimiter));
  if (columns < 6 || first.empty() || first.find_first_not_of("\"0124") != first.npos) {
    throw tensair::Error("there are no columns text and label, nor text and polarity", file.string(),
                         "Give it a header with their names, or Sentiment140's six columns.");
  }
  options.header = false;
  return tensair::csv<Row>(file,
                           Columns{{"polarity", &Row::feeling},
                                   {"id", &Row::ignored},
                                   {"date", &Row::ignored},
                                   {"query", &Row::ignored},
                                   {"user", &Row::ignored},
                                   {"text", &Row::text}},
                           options);
}

}  // namespace

void TweetFile::open(tensair::runtime::Node& node) {
  rows_.emplace(rows_of(file_));
  rows_->open(node);
}

auto TweetFile::next() -> std::optional<Tweet> {
  auto row = rows_->next();
  if (!row) return std::nullopt;
  return Tweet{std::move(row->text), row->feeling};
}

auto tweet_of(std::string_view line) -> Tweet {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const auto first = line.find('\t');
  if (first == line.npos) return {std::string{line}, Feeling::unknown};
  Tweet tweet;
  const auto label = line.substr(0, first);
  if (!from_text(label, tweet.feeling))
    throw std::invalid_argument(fmt::format("«{}» is no label: give 0, 1 or 4, or nothing", label.substr(0, 40)));
  const auto is_sentiment140 = std::count(line.begin(), line.end(), '\t') >= 5;
  auto text = line.substr(first + 1);
  for (int column = 1; is_sentiment140 && column < 5; ++column) text.remove_prefix(text.find('\t') + 1);
  tweet.text = text;
  return tweet;
}

}  // namespace sentiment
