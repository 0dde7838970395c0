#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tensair/error.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/dealt.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

struct Event {
  int key = 0;
  int number = 0;  // which of its side
  long time = 0;   // µs
};

auto at(long microseconds) -> EventTime {
  return EventTime{std::chrono::microseconds{microseconds}};
}
auto time_of(const Event& event) -> EventTime {
  return at(event.time);
}

/// A pair of numbers, and the time it came with.
using Match = std::pair<int, int>;
using TimedMatch = std::tuple<int, int, long>;

/// Events whose times go up by and large: none is more than `disorder` older than one before it.
auto events(const std::vector<std::pair<int, int>>& keys_and_steps, int keys, int disorder) -> std::vector<Event> {
  std::vector<Event> all;
  long now = 0;
  for (const auto& [key, step] : keys_and_steps) {
    now += std::abs(step) % 8;
    const long back = disorder == 0 ? 0 : std::abs(step / 8) % (disorder + 1);
    all.push_back({std::abs(key) % keys, static_cast<int>(all.size()), now - back});
  }
  return all;
}

/// The nodes and instances that a property is tried with.
struct Shape {
  int nodes, parallel;
};
constexpr Shape shapes[] = {{1, 1}, {1, 3}, {2, 1}, {2, 3}, {5, 1}, {5, 3}};

}  // namespace

TEST_CASE("interval join gives the pairs of a nested loop", "[operators][join][property]") {
  const auto property = [](const std::vector<std::pair<int, int>>& left_draws,
                           const std::vector<std::pair<int, int>>& right_draws) {
    const int disorder = *rc::gen::inRange(0, 20), keys = *rc::gen::inRange(1, 6);
    const long lower = *rc::gen::inRange(-30, 30), upper = lower + *rc::gen::inRange(0, 40);
    const auto shape = *rc::gen::elementOf(std::vector<Shape>(std::begin(shapes), std::end(shapes)));
    const auto seed = static_cast<std::uint64_t>(*rc::gen::inRange(1, 1'000'000));
    const auto left = events(left_draws, keys, disorder), right = events(right_draws, keys, disorder);

    std::vector<TimedMatch> expected;
    for (const auto& a : left) {
      for (const auto& b : right) {
        if (a.key == b.key && a.time + lower <= b.time && b.time <= a.time + upper)
          expected.emplace_back(a.number, b.number, std::max(a.time, b.time));
      }
    }
    std::vector<TimedMatch> found;
    run({shape.nodes, seed, false}, [&](Pipeline& pipeline) {
      const auto strategy = [&] { return bounded_out_of_orderness(std::chrono::microseconds{disorder}); };
      auto right_keyed =
          pipeline.source(Dealt{right}).parallel(2).assign_timestamps(time_of, strategy()).key_by(&Event::key);
      pipeline.source(Dealt{left})
          .assign_timestamps(time_of, strategy())
          .key_by(&Event::key)
          .parallel(shape.parallel)
          .join(std::move(right_keyed))
          .between(std::chrono::microseconds{lower}, std::chrono::microseconds{upper})
          .with([](const Event& a, const Event& b) {
            return Match{a.number, b.number};
          })
          .sink([&](const Match& match, EventTime time) {
            found.emplace_back(match.first, match.second, time.time_since_epoch().count());
          });
    });
    std::sort(expected.begin(), expected.end());
    std::sort(found.begin(), found.end());
    RC_ASSERT(found == expected);
  };
  check_property("for any events, bounds and disorder", property);
}

TEST_CASE("a join without a window gives every pair of a key", "[operators][join][property]") {
  const auto property = [](const std::vector<int>& left, const std::vector<int>& right) {
    const auto shape = *rc::gen::elementOf(std::vector<Shape>(std::begin(shapes), std::end(shapes)));
    const auto seed = static_cast<std::uint64_t>(*rc::gen::inRange(1, 1'000'000));
    std::vector<std::pair<int, int>> expected;
    for (const int a : left) {
      for (const int b : right) {
        if (a % 3 == b % 3) expected.emplace_back(a, b);
      }
    }
    auto found = result_of<std::pair<int, int>>({shape.nodes, seed, false}, [&](Pipeline& pipeline) {
      const auto key = [](int n) { return n % 3; };
      return pipeline.source(left)
          .key_by(key)
          .join(pipeline.source(right).key_by(key).parallel(shape.parallel))
          .with([](int a, int b) { return std::pair(a, b); })
          .collect();
    });
    std::sort(expected.begin(), expected.end());
    std::sort(found.begin(), found.end());
    RC_ASSERT(found == expected);
  };
  check_property("for any records", property);
}
