#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sentiment {

/// A part of a text that means something: a word, a run of punctuation, or a mark such as "<url>".
struct Token {
  std::string_view text;
  bool negated = false;  ///< among the four behind a "not", "never", "don't", in the same sentence

  friend auto operator==(const Token&, const Token&) -> bool = default;
};

/// Cuts texts into tokens. Made once, used for one text after the other.
///
/// - Letters are ASCII's, in lower case, and all beyond ASCII; apostrophes are left out: "Don't" is "dont".
/// - A letter that is repeated more than twice is there twice, and "<long>" follows; a word in capitals comes behind
///   "<caps>"; a hash tag is its word and "<tag>".
/// - Web addresses are "<url>", handles "<user>", numbers "<num>"; emoticons "<smile>", "<sad>", "<laugh>", "<tongue>",
///   "<doubt>", "<heart>" and "<wink>"; an emoji is a token.
/// - Of a run of one of ! ? . , three lengths are told apart: one, up to three, more.
/// - HTML's &amp; &lt; &gt; &quot; are what they stand for. Bytes that are no UTF-8 are blanks.
class Tokeniser {
 public:
  static constexpr std::size_t longest = 1 << 16;  ///< bytes of a text; what follows is not looked at

  /// Valid until the next text, and while this one is there.
  auto read(std::string_view text) -> std::span<const Token>;

 private:
  void read_token();
  void read_word();
  void read_others();
  auto take_emoticon() -> bool;
  void push(std::string_view text) { tokens_.push_back({text, negated_ > 0}); }
  auto at(std::size_t i) const -> char { return i < text_.size() ? text_[i] : ' '; }
  auto starts_with(std::string_view lower_case) const -> bool;

  std::string_view text_;
  std::size_t next_ = 0;
  int negated_ = 0;  // so many tokens more
  std::string unescaped_, letters_;
  std::vector<Token> tokens_;
};

}  // namespace sentiment
