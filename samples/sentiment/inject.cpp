#include "inject.hpp"

#include <algorithm>
#include <utility>

namespace sentiment {
namespace {

// Half the alphabet further, so that what is changed twice is as it was.
auto other_letter(char c) -> char {
  const auto turned = [&](char first) { return static_cast<char>(first + (c - first + 13) % 26); };
  if (c >= 'a' && c <= 'z') return turned('a');
  if (c >= 'A' && c <= 'Z') return turned('A');
  return c;
}

}  // namespace

auto Inject::is_swapped() const -> bool {
  const auto swaps =
      std::count_if(what_.swap_at.begin(), what_.swap_at.end(), [this](auto at) { return at <= index_; });
  const auto regular = what_.swap_every > 0 ? index_ / what_.swap_every : 0;
  return (static_cast<std::uint64_t>(swaps) + regular) % 2 == 1;
}

auto Inject::operator()(Tweet tweet) -> std::optional<Tweet> {
  constexpr std::uint64_t kept = 10;  // one of so many
  if (what_.imbalance_at > 0 && index_ >= what_.imbalance_at && tweet.feeling == Feeling::positive) {
    if (positive_++ % kept != 0) return std::nullopt;
  }
  if (tweet.feeling != Feeling::unknown && is_swapped())
    tweet.feeling = tweet.feeling == Feeling::positive ? Feeling::negative : Feeling::positive;
  if (what_.topic_at > 0 && index_ >= what_.topic_at)
    std::transform(tweet.text.begin(), tweet.text.end(), tweet.text.begin(), other_letter);
  ++index_;
  return tweet;
}

auto places(const Injection& what, std::uint64_t end) -> std::vector<std::uint64_t> {
  auto all = what.swap_at;
  if (what.topic_at > 0) all.push_back(what.topic_at);
  if (what.imbalance_at > 0) all.push_back(what.imbalance_at);
  for (auto at = what.swap_every; at > 0 && at < end; at += what.swap_every) all.push_back(at);
  std::erase_if(all, [end](auto at) { return at >= end; });
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace sentiment
