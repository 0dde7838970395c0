#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "lexicon.hpp"
#include "text.hpp"

namespace word2vec {

/// How often each word came.
template <class Count>
using Tally = boost::unordered_flat_map<std::string, Count, TextHash, std::equal_to<>>;

/// Adds a text's words. No string is made for a word that is there.
template <class Count>
void add_words(Tally<Count>& counts, std::string_view text) {
  const auto add = [&](std::string_view word) {
    const auto found = counts.find(word);
    if (found == counts.end()) {
      counts.emplace(word, 1);
    } else {
      ++found->second;
    }
  };
  for_each_word(text, add, [] {});
}

}  // namespace word2vec
