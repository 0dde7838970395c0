#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sentiment {

/// What somebody felt. The numbers are class numbers; `unknown` is a label that has not come.
enum class Feeling : std::int8_t { unknown = -1, negative = 0, positive = 1 };

struct Tweet {
  std::string text;
  Feeling feeling = Feeling::unknown;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& text& feeling;
  }
};

/// Sentiment140's polarities (0 negative, 2 neutral, 4 positive) and labels (0, 1). Neutral, and nothing at all, are
/// `unknown`: such a tweet is predicted, and nothing is learnt from it. False: it is none of these.
inline auto from_text(std::string_view text, Feeling& feeling) -> bool {
  if (text == "0") {
    feeling = Feeling::negative;
  } else if (text == "1" || text == "4") {
    feeling = Feeling::positive;
  } else if (text == "2" || text.empty()) {
    feeling = Feeling::unknown;
  } else {
    return false;
  }
  return true;
}
inline void to_text(Feeling feeling, std::string& text) {
  if (feeling != Feeling::unknown) text += feeling == Feeling::positive ? '1' : '0';
}

}  // namespace sentiment
