// What the sentiment sample makes of texts, files' lines and streams before its model sees them.

#include "catch.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <tensair/error.hpp>
#include <vector>

#include "sentiment/features.hpp"
#include "sentiment/generate.hpp"
#include "sentiment/inject.hpp"
#include "sentiment/lexicon.hpp"
#include "sentiment/plot.hpp"
#include "sentiment/read.hpp"
#include "sentiment/tokens.hpp"

namespace {

using namespace sentiment;

auto tokens(std::string_view text) -> std::vector<std::string> {
  Tokeniser tokeniser;
  std::vector<std::string> texts;
  for (const auto& token : tokeniser.read(text)) texts.push_back((token.negated ? "~" : "") + std::string{token.text});
  return texts;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("words are in lower case, without their apostrophes", "[sentiment]") {
  CHECK(tokens("I Don't know, DON\xE2\x80\x99T ask") == Words{"i", "dont", "~know", ",", "<caps>", "dont", "~ask"});
  CHECK(tokens("caf\xC3\xA9 \xE6\x97\xA5\xE6\x9C\xAC") == Words{"caf\xC3\xA9", "\xE6\x97\xA5\xE6\x9C\xAC"});
}

TEST_CASE("addresses, handles, numbers and tags are marks", "[sentiment]") {
  CHECK(tokens("@You_2 see http://a.b/c?d=:( or WWW.x.org at 12:30 #fun") ==
        Words{"<user>", "see", "<url>", "or", "<url>", "at", "<num>", "fun", "<tag>"});
  CHECK(tokens("a @ b # c") == Words{"a", "@", "b", "#", "c"});
}

TEST_CASE("emoticons are told from punctuation", "[sentiment]") {
  CHECK(tokens(":) :-)) =] ;) :( :'-[ :D :P :/ <3 <333 &lt;3") == Words{"<smile>", "<smile>", "<smile>", "<wink>",
                                                                        "<sad>", "<sad>", "<laugh>", "<tongue>",
                                                                        "<doubt>", "<heart>", "<heart>", "<heart>"});
  CHECK(tokens("to:Paris :Dad") == Words{"to", ":", "paris", ":", "dad"});
  CHECK(tokens("fun \xF0\x9F\x98\x80\xE2\x98\xB9") == Words{"fun", "\xF0\x9F\x98\x80", "\xE2\x98\xB9"});
}

TEST_CASE("a longer letter counts twice, and is marked", "[sentiment]") {
  CHECK(tokens("sooooo good") == Words{"soo", "<long>", "good"});
  CHECK(tokens("!!!!!! !! ... ?") == Words{"!!!", "!!", "..", "?"});
}

TEST_CASE("a negation reaches four words, and not over a sentence's end", "[sentiment]") {
  CHECK(tokens("not a b c d e") == Words{"not", "~a", "~b", "~c", "~d", "e"});
  CHECK(tokens("never. good") == Words{"never", ".", "good"});
}

TEST_CASE("what is no UTF-8 is a blank", "[sentiment]") {
  for (const std::string bad : {"\xFF", "\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\x80\x80", "\xE2\x98"})
    CHECK(tokens("one" + bad + "two") == Words{"one", "two"});
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  CHECK(!tokens(all).empty());
  CHECK(tokens("").empty());
  CHECK(tokens(" \t\r\n").empty());
}

TEST_CASE("of a text without an end the beginning is read", "[sentiment]") {
  const auto once = [] { return std::string(10 << 20, 'x'); }();
  CHECK(tokens(once) == Words{"xx", "<long>"});
  std::string words;
  while (words.size() < (10 << 20)) words += "word ";
  CHECK(tokens(words).size() == Tokeniser::longest / 5 + 1);
}

TEST_CASE("a word that the lexicon knows shares a row with its like", "[sentiment]") {
  Features features{1 << 16};
  const auto rows = [&](std::string_view text) {
    std::vector<std::int64_t> words, pairs;
    features.add(text, words, pairs);
    CHECK(pairs.size() >= 1);
    for (const auto row : words) CHECK((row >= 0 && row < 1 << 16));
    return std::set<std::int64_t>(words.begin(), words.end());
  };
  const auto shared = [&](std::string_view a, std::string_view b) {
    std::vector<std::int64_t> both;
    const auto one = rows(a), other = rows(b);
    std::set_intersection(one.begin(), one.end(), other.begin(), other.end(), std::back_inserter(both));
    return both.size();
  };
  CHECK(shared("wonderful", "awesome") == 1);
  CHECK(shared("terrible", "awesome") == 0);
  CHECK(shared("stone", "table") == 0);
  CHECK(rows("").empty());
  CHECK_THROWS_AS(Features{1000}, tensair::UsageError);

  std::set<std::string_view> glad(glad_words().begin(), glad_words().end());
  for (const auto word : sad_words()) CHECK(!glad.contains(word));
}

TEST_CASE("a line of a feed is a label and a text, a text, or Sentiment140's columns", "[sentiment]") {
  CHECK(tweet_of("1\tgood day").feeling == Feeling::positive);
  CHECK(tweet_of("0\tbad\tday\r").text == "bad\tday");
  CHECK(tweet_of("\tno label").feeling == Feeling::unknown);
  CHECK(tweet_of("just this").text == "just this");
  CHECK(tweet_of("").text.empty());
  const auto sentiment140 = tweet_of("4\t17\tMon Apr 06\tNO_QUERY\tsomebody\tsuch a day");
  CHECK(sentiment140.feeling == Feeling::positive);
  CHECK(sentiment140.text == "such a day");
  CHECK_THROWS_AS(tweet_of("7\ttext"), std::invalid_argument);
  CHECK_THROWS_AS(tweet_of("good\ttext"), std::invalid_argument);
}

TEST_CASE("drift is put in where it is wanted", "[sentiment]") {
  const auto feelings = [](Injection what, std::uint64_t count) {
    Inject inject{std::move(what)};
    std::string all;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (const auto one = inject({"good", Feeling::positive})) all += one->feeling == Feeling::positive ? '+' : '-';
    }
    return all;
  };
  CHECK(feelings({}, 4) == "++++");
  CHECK(feelings({.swap_at = {2, 3}}, 5) == "++-++");
  CHECK(feelings({.swap_every = 2}, 7) == "++--++-");
  CHECK(feelings({.imbalance_at = 3}, 23) == "+++++");  // two of twenty
  CHECK(Inject{{.topic_at = 0}}({"Good", Feeling::unknown})->text == "Good");
  Inject other{{.topic_at = 1}};
  CHECK(other({"Good!", Feeling::unknown})->text == "Good!");
  CHECK(other({"Good!", Feeling::unknown})->text == "Tbbq!");
  CHECK(places({.swap_at = {9}, .swap_every = 4, .topic_at = 4}, 10) == std::vector<std::uint64_t>{4, 8, 9});
}

TEST_CASE("generated tweets follow from their seed, and change their words", "[sentiment]") {
  const auto draw = [](std::uint64_t seed, std::uint64_t count) {
    Generator generator{seed, count};
    std::vector<Tweet> tweets;
    while (auto one = generator.next()) tweets.push_back(std::move(*one));
    return tweets;
  };
  const auto tweets = draw(1, 3'000), again = draw(1, 3'000), other = draw(2, 3'000);
  REQUIRE(tweets.size() == 3'000);
  CHECK(tweets.front().text == again.front().text);
  CHECK(tweets.back().text == again.back().text);
  CHECK(tweets.front().text != other.front().text);
  CHECK(std::count_if(tweets.begin(), tweets.end(), [](const Tweet& one) { return one.feeling == Feeling::positive; }) >
        1'300);
}

TEST_CASE("a plot is whole SVG, also of nothing", "[sentiment]") {
  for (const auto& plot : {Plot{}, Plot{10, {{5, 0.5}, {10, 0.75}}, {3}, {4}, {{0, 10}}}}) {
    const auto svg = svg_of(plot);
    CHECK(svg.starts_with("<svg "));
    CHECK(svg.ends_with("</svg>\n"));
    CHECK(svg.find("nan") == svg.npos);
  }
}
