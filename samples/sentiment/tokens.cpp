#include "tokens.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace sentiment {
namespace {

auto is_digit(char c) -> bool {
  return c >= '0' && c <= '9';
}
auto is_ascii_letter(char c) -> bool {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
auto is_blank(char c) -> bool {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
auto lower(char c) -> char {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 0;  // 0: no UTF-8
};

/// The character that begins at `i`, beyond ASCII.
auto character_at(std::string_view text, std::size_t i) -> Character {
  const auto byte = [&](std::size_t k) { return static_cast<std::uint8_t>(text[k]); };
  const auto first = byte(i);
  const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || i + bytes > text.size()) return {};
  auto code = static_cast<std::uint32_t>(first & (0xFF >> (bytes + 1)));
  for (std::size_t k = 1; k < bytes; ++k) {
    if ((byte(i + k) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i + k) & 0x3FU);
  }
  constexpr std::array<std::uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  if (code < least[bytes] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {};
  return {code, bytes};
}

auto is_apostrophe(Character c) -> bool {
  return c.code == 0x2019;
}
auto is_emoji(Character c) -> bool {
  return c.code >= 0x1F000 || (c.code >= 0x2600 && c.code < 0x27C0);
}
auto is_letter(Character c) -> bool {
  const bool punctuation =
      c.code < 0xC0 || (c.code >= 0x2000 && c.code < 0x2070) || (c.code >= 0x3000 && c.code < 0x3040);
  return c.bytes > 0 && !punctuation && !is_emoji(c);
}

auto unescape(std::string_view text, std::string& out) -> std::string_view {
  if (text.find('&') == text.npos) return text;
  using Entity = std::pair<std::string_view, char>;
  constexpr std::array entities{Entity{"&amp;", '&'}, Entity{"&lt;", '<'}, Entity{"&gt;", '>'}, Entity{"&quot;", '"'}};
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto found = text[i] != '&' ? entities.end()
                                      : std::find_if(entities.begin(), entities.end(),
                                                     [&](Entity one) { return text.substr(i).starts_with(one.first); });
    out += found == entities.end() ? text[i] : found->second;
    if (found != entities.end()) i += found->first.size() - 1;
  }
  return out;
}

auto negates(std::string_view word) -> bool {
  constexpr std::array words{std::string_view{"not"},    std::string_view{"no"},      std::string_view{"never"},
                             std::string_view{"aint"},   std::string_view{"without"}, std::string_view{"cannot"},
                             std::string_view{"nothing"}};
  constexpr std::array verbs{std::string_view{"ca"},     std::string_view{"do"},    std::string_view{"does"},
                             std::string_view{"did"},    std::string_view{"is"},    std::string_view{"was"},
                             std::string_view{"wo"},     std::string_view{"would"}, std::string_view{"could"},
                             std::string_view{"should"}, std::string_view{"have"},  std::string_view{"has"},
                             std::string_view{"had"},    std::string_view{"are"},   std::string_view{"were"}};
  if (std::find(words.begin(), words.end(), word) != words.end()) return true;
  if (!word.ends_with("nt")) return false;
  word.remove_suffix(2);
  return std::find(verbs.begin(), verbs.end(), word) != verbs.end();
}

constexpr int reach_of_negation = 4;  // tokens

}  // namespace

auto Tokeniser::read(std::string_view text) -> std::span<const Token> {
  text_ = unescape(text.substr(0, longest), unescaped_);
  next_ = 0;
  negated_ = 0;
  tokens_.clear();
  letters_.clear();
  letters_.reserve(text_.size());  // tokens are views of it, and of no more letters than the text has
  while (next_ < text_.size()) read_token();
  return tokens_;
}

auto Tokeniser::starts_with(std::string_view lower_case) const -> bool {
  if (text_.size() - next_ < lower_case.size()) return false;
  for (std::size_t i = 0; i < lower_case.size(); ++i) {
    if (lower(text_[next_ + i]) != lower_case[i]) return false;
  }
  return true;
}

void Tokeniser::read_token() {
  const char c = text_[next_];
  const auto is_name = [](char one) { return is_ascii_letter(one) || is_digit(one) || one == '_'; };
  if (is_blank(c)) {
    ++next_;
  } else if (starts_with("http://") || starts_with("https://") || starts_with("www.")) {
    while (next_ < text_.size() && !is_blank(text_[next_])) ++next_;
    push("<url>");
  } else if (c == '@' && is_name(at(next_ + 1))) {
    ++next_;
    while (is_name(at(next_))) ++next_;
    push("<user>");
  } else if (take_emoticon()) {
    return;
  } else if (is_ascii_letter(c) || (c == '#' && is_ascii_letter(at(next_ + 1)))) {
    read_word();
  } else if (is_digit(c)) {
    while (is_digit(at(next_)) || at(next_) == ':' || at(next_) == '.' || at(next_) == ',') ++next_;
    push("<num>");
  } else {
    read_others();
  }
}

// What is beyond ASCII, and punctuation.
void Tokeniser::read_others() {
  const char c = text_[next_];
  if (static_cast<std::uint8_t>(c) >= 0x80) {
    const auto character = character_at(text_, next_);
    if (is_letter(character)) return read_word();
    if (is_emoji(character)) push(text_.substr(next_, character.bytes));
    next_ += std::max<std::size_t>(character.bytes, 1);
  } else if (c == '!' || c == '?' || c == '.' || c == ',') {
    const auto first = next_;
    while (at(next_) == c) ++next_;
    const auto length = next_ - first;
    negated_ = 0;
    push(text_.substr(first, length > 3 ? 3 : std::min<std::size_t>(length, 2)));
  } else {
    if (static_cast<std::uint8_t>(c) > ' ') push(text_.substr(next_, 1));
    if (c == ';' || c == ':') negated_ = 0;
    ++next_;
  }
}

void Tokeniser::read_word() {
  const bool tag = text_[next_] == '#';
  if (tag) ++next_;
  const auto begin = letters_.size();
  std::size_t run = 0, length = 0;
  bool longer = false, capitals = true;
  while (next_ < text_.size()) {
    const char c = text_[next_];
    if (static_cast<std::uint8_t>(c) >= 0x80) {
      const auto character = character_at(text_, next_);
      if (!is_letter(character) && !is_apostrophe(character)) break;
      if (is_letter(character)) {
        letters_.append(text_.substr(next_, character.bytes));
        capitals = false;
      }
      next_ += character.bytes;
    } else if (is_ascii_letter(c) || is_digit(c)) {
      capitals = capitals && !(c >= 'a' && c <= 'z');
      const char letter = lower(c);
      run = letters_.size() > begin && letters_.back() == letter ? run + 1 : 1;
      if (run <= 2) letters_ += letter;
      longer = longer || run > 2;
      ++length;
      ++next_;
    } else if ((c == '\'' || c == '`') && is_ascii_letter(at(next_ + 1))) {
      ++next_;
    } else {
      break;
    }
  }
  const auto word = std::string_view{letters_}.substr(begin);
  if (word.empty()) return;
  if (capitals && length > 2) push("<caps>");
  push(word);
  if (longer) push("<long>");
  if (tag) push("<tag>");
  if (negates(word)) {
    negated_ = reach_of_negation;
  } else if (negated_ > 0) {
    --negated_;
  }
}

auto Tokeniser::take_emoticon() -> bool {
  const auto take = [this](std::size_t end, std::string_view mark) {
    push(mark);
    next_ = end;
    return true;
  };
  const char eyes = at(next_);
  if (eyes == '<' && at(next_ + 1) == '3') {
    auto end = next_ + 2;
    while (at(end) == '3') ++end;
    return take(end, "<heart>");
  }
  if (eyes != ':' && eyes != ';' && eyes != '=') return false;
  auto place = next_ + 1;
  if (at(place) == '\'') ++place;
  if (at(place) == '-' || at(place) == 'o' || at(place) == '^') ++place;
  const char mouth = at(place);
  if (mouth == ' ') return false;
  auto end = place + 1;
  while (at(end) == mouth) ++end;
  if (mouth == ')' || mouth == ']' || mouth == '}') return take(end, eyes == ';' ? "<wink>" : "<smile>");
  if (mouth == '(' || mouth == '[' || mouth == '{') return take(end, "<sad>");
  // The others may begin something else: ":Paris", ":/" of an address.
  if (is_ascii_letter(at(end)) || is_digit(at(end))) return false;
  if (mouth == 'D') return take(end, "<laugh>");
  if (mouth == 'p' || mouth == 'P') return take(end, "<tongue>");
  const bool slanted = (mouth == '/' || mouth == '\\' || mouth == '|') && end == place + 1;
  return (slanted || mouth == 's' || mouth == 'S') && take(end, "<doubt>");
}

}  // namespace sentiment
