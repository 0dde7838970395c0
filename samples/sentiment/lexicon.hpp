#pragma once

#include <span>
#include <string_view>

namespace sentiment {

/// English words, and tokens such as "<smile>", of which one knows beforehand how whoever writes them mostly feels.
/// They were put down from everyday English, not taken from any data.
auto glad_words() -> std::span<const std::string_view>;
auto sad_words() -> std::span<const std::string_view>;

}  // namespace sentiment
