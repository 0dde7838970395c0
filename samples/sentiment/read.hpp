#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <tensair/io/csv.hpp>
#include <utility>

#include "tweet.hpp"

namespace sentiment {

/// A column that is there, and not looked at.
struct Ignored {};
inline auto from_text(std::string_view, Ignored&) -> bool {
  return true;
}
inline void to_text(Ignored, std::string&) {}

/// A row of a file of tweets.
struct Row {
  Feeling feeling = Feeling::unknown;
  std::string text;
  Ignored ignored{};
};

/// A source of the tweets of a file, on node 0: CSV, or TSV if there is a tab in its first line. That is a header with
/// the columns `polarity` and `text` (Sentiment140's) or `label` and `text`; or it is the first row of Sentiment140's
/// six columns. What a polarity or a label may be is told at `from_text`.
class TweetFile {
 public:
  using value_type = Tweet;
  static constexpr bool occupies_thread = true;

  explicit TweetFile(std::filesystem::path file) : file_(std::move(file)) {}

  /// @throws tensair::Error  the file cannot be read, or has neither
  void open(tensair::runtime::Node& node);
  /// @throws tensair::BadRecord  the row has no such label, or is no row; names file, line and column
  auto next() -> std::optional<Tweet>;

 private:
  std::filesystem::path file_;
  std::optional<tensair::Csv<Row>> rows_;
};

/// A tweet of a line of a feed: a label, a tab and a text; a text alone, of which the label never comes; or
/// Sentiment140's six columns with tabs between them.
/// @throws std::invalid_argument  the label is none
auto tweet_of(std::string_view line) -> Tweet;

}  // namespace sentiment
