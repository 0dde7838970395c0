#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tweet.hpp"

namespace sentiment {

/// Drift that is put into a stream, at places counted in tweets.
struct Injection {
  std::vector<std::uint64_t> swap_at{};  ///< from each of them on, positive is negative and negative is positive
  std::uint64_t swap_every = 0;          ///< the same after so many more, again and again; 0: never
  std::uint64_t topic_at = 0;      ///< from there on every ASCII letter is another one, so no word is known; 0: never
  std::uint64_t imbalance_at = 0;  ///< from there on nine of ten positive ones are left out; 0: never
};

/// Puts it in, one tweet after the other.
class Inject {
 public:
  explicit Inject(Injection what) : what_(std::move(what)) {}

  /// The tweet as it is from now on; nothing if it is left out, which then does not count.
  auto operator()(Tweet tweet) -> std::optional<Tweet>;

 private:
  auto is_swapped() const -> bool;

  Injection what_;
  std::uint64_t index_ = 0, positive_ = 0;
};

/// The places before `end` where something changes.
auto places(const Injection& what, std::uint64_t end) -> std::vector<std::uint64_t>;

}  // namespace sentiment
