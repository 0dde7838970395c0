#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "catch.hpp"
#include "support/dealt.hpp"
#include "support/join_events.hpp"
#include "support/streams.hpp"

// Joins with so many keys that what comes next is fetched ahead, and with so much to drop that it takes several turns.

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

using Match = std::pair<int, int>;

/// Events a microsecond apart, each with a key below `keys` (by a small generator), out of order by `disorder`.
auto many_events(int n, int keys, int disorder, std::uint64_t seed) -> std::vector<JoinEvent> {
  std::uint64_t state = seed * 0x9e37'79b9'7f4a'7c15 + 1;
  const auto below = [&](int limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<int>((state >> 33) % static_cast<std::uint64_t>(limit));
  };
  std::vector<JoinEvent> all;
  for (int i = 0; i < n; ++i) all.push_back({below(keys), i, i - (disorder > 0 ? below(disorder) : 0)});
  return all;
}

/// The pairs whose times differ by -lower to upper, found by key.
auto naive_pairs(const std::vector<JoinEvent>& left, const std::vector<JoinEvent>& right, std::int64_t lower,
                 std::int64_t upper) -> std::vector<Match> {
  std::multimap<int, const JoinEvent*> by_key;
  for (const auto& one : right) by_key.emplace(one.key, &one);
  std::vector<Match> all;
  for (const auto& one : left) {
    const auto [first, last] = by_key.equal_range(one.key);
    for (auto other = first; other != last; ++other) {
      const auto apart = other->second->time - one.time;
      if (lower <= apart && apart <= upper) all.emplace_back(one.number, other->second->number);
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

auto found_pairs(const Topology& topology, const std::vector<JoinEvent>& left, const std::vector<JoinEvent>& right,
                 std::int64_t lower, std::int64_t upper, int disorder) -> std::vector<Match> {
  std::vector<Match> all;
  run(topology, [&](Pipeline& pipeline) {
    const auto strategy = [&] { return bounded_out_of_orderness(std::chrono::microseconds{disorder}); };
    pipeline.source(Dealt{left})
        .assign_timestamps(time_of, strategy())
        .key_by(&JoinEvent::key)
        .join(pipeline.source(Dealt{right}).assign_timestamps(time_of, strategy()).key_by(&JoinEvent::key))
        .between(std::chrono::microseconds{lower}, std::chrono::microseconds{upper})
        .with([](const JoinEvent& a, const JoinEvent& b) {
          return Match{a.number, b.number};
        })
        .sink([&](const Match& match) { all.push_back(match); });
  });
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("an interval join of many keys gives the pairs of a look-up by key", "[operators][join]") {
  struct Shape {
    int keys;
    std::int64_t lower, upper;
    int disorder;
  };
  for (const auto shape :
       {Shape{30'000, -15'000, 15'000, 0}, Shape{20'000, 0, 20'000, 500}, Shape{50'000, -40'000, -9, 50}}) {
    for (const int nodes : {1, 2}) {
      INFO(shape.keys << " keys, " << nodes << " nodes");
      const auto left = many_events(60'000, shape.keys, shape.disorder, 1);
      const auto right = many_events(60'000, shape.keys, shape.disorder, 2);
      const auto expected = naive_pairs(left, right, shape.lower, shape.upper);
      CHECK(expected.size() > 10'000);
      CHECK(found_pairs({nodes, 1, false}, left, right, shape.lower, shape.upper, shape.disorder) == expected);
    }
  }
}

TEST_CASE("an interval join of few keys drops much at once, and what comes then meets only what it should",
          "[operators][join]") {
  // After 6,000 records a pause in which all of them fall due.
  for (const int keys : {1, 3, 700}) {
    INFO(keys << " keys");
    auto left = many_events(6'000, keys, 0, 3), right = many_events(6'000, keys, 0, 4);
    const auto add_later = [&](std::vector<JoinEvent>& all, std::uint64_t seed) {
      for (auto event : many_events(2'000, keys, 0, seed)) {
        event.number += 6'000;
        event.time += 1'000'000;
        all.push_back(event);
      }
    };
    add_later(left, 5);
    add_later(right, 6);
    CHECK(found_pairs({1, 1, false}, left, right, -2, 3, 0) == naive_pairs(left, right, -2, 3));
  }
}

TEST_CASE("a join without a window of many keys, also of texts, gives every pair of a key", "[operators][join]") {
  const auto left = many_events(30'000, 20'000, 0, 7), right = many_events(30'000, 20'000, 0, 8);
  const auto expected = naive_pairs(left, right, -100'000, 100'000);
  for (const int nodes : {1, 2}) {
    INFO(nodes << " nodes");
    for (const bool expires : {false, true}) {
      std::vector<Match> all;
      run({nodes, 1, false}, [&](Pipeline& pipeline) {
        const auto text = [](const JoinEvent& event) { return "key " + std::to_string(event.key); };
        const auto combine = [](const JoinEvent& a, const JoinEvent& b) { return Match{a.number, b.number}; };
        const auto keep = [&](const Match& match) { all.push_back(match); };
        auto a = pipeline.source(Dealt{left}).key_by(text), b = pipeline.source(Dealt{right}).key_by(text);
        if (expires) {
          std::move(a).time_to_live(24h).join(std::move(b).time_to_live(24h)).with(combine).sink(keep);
        } else {
          std::move(a).join(std::move(b)).with(combine).sink(keep);
        }
      });
      std::sort(all.begin(), all.end());
      CHECK(all == expected);
    }
  }
}
