#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "catch.hpp"
#include "support/on_schedule.hpp"
#include "support/window_joins.hpp"

// What is late, and what comes out again, depends on what came before. So records come 10 ms apart, much further than a
// message's way, and a loop over them in that order says what the join does on however many nodes.

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

struct Arrival {
  bool left;
  JoinEvent event;
};

struct Shape {
  std::int64_t size, slide, lateness, bound;
};

/// The pairs, sorted, each as often as it comes out; and the numbers of late records.
struct Outcome {
  std::vector<Match> pairs;
  std::vector<int> late_left, late_right;

  friend auto operator==(const Outcome&, const Outcome&) -> bool = default;
};

/// A third of each side's records, give or take, come late for some window.
auto some_arrivals(std::uint64_t seed) -> std::vector<Arrival> {
  std::mt19937_64 random{seed};
  std::vector<Arrival> all;
  int numbers[2] = {0, 0};
  for (int i = 0; i < 60; ++i) {
    const auto draw = random();
    const bool left = draw % 2 == 0;
    const auto time = i * 3 + static_cast<std::int64_t>((draw >> 8) % 30) - ((draw >> 16) % 3 == 0 ? 50 : 0);
    all.push_back({left, {static_cast<int>((draw >> 24) % 2), numbers[left ? 0 : 1]++, time}});
  }
  return all;
}

auto naive(const std::vector<Arrival>& arrivals, const Shape& shape, bool lone_left, bool lone_right) -> Outcome {
  struct Open {
    std::vector<int> left, right;
    bool fired = false;
  };
  constexpr auto never_more = std::numeric_limits<std::int64_t>::max();
  std::map<std::pair<int, std::int64_t>, Open> windows;
  Outcome outcome;
  std::int64_t latest[2] = {-never_more, -never_more}, watermark = -never_more;
  const auto fire = [&] {
    for (auto& [where, window] : windows) {
      if (where.second + shape.size > watermark || std::exchange(window.fired, true)) continue;
      const auto last = where.second + shape.size - 1;
      for (const int a : window.left) {
        for (const int b : window.right) outcome.pairs.emplace_back(a, b, last);
        if (lone_left && window.right.empty()) outcome.pairs.emplace_back(a, -1, last);
      }
      if (!lone_right || !window.left.empty()) continue;
      for (const int b : window.right) outcome.pairs.emplace_back(-1, b, last);
    }
  };
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    const bool is_left = arrivals[i].left;
    const auto& event = arrivals[i].event;
    bool in_one = false, taken = false;
    for (std::int64_t start = -100 * shape.slide; start <= event.time; start += shape.slide) {
      if (event.time >= start + shape.size) continue;
      in_one = true;
      if (start + shape.size + shape.lateness <= watermark) continue;
      taken = true;
      auto& window = windows[{event.key, start}];
      (is_left ? window.left : window.right).push_back(event.number);
      window.fired = false;
    }
    if (in_one && !taken) (is_left ? outcome.late_left : outcome.late_right).push_back(event.number);
    fire();
    auto& own = latest[is_left ? 0 : 1];
    own = std::max(own, event.time - shape.bound);
    // A side that has ended is not waited for.
    const bool was_last = std::none_of(arrivals.begin() + static_cast<std::ptrdiff_t>(i) + 1, arrivals.end(),
                                       [&](const Arrival& other) { return other.left == is_left; });
    if (was_last) own = never_more;
    watermark = std::min(latest[0], latest[1]);
    fire();
  }
  std::sort(outcome.pairs.begin(), outcome.pairs.end());
  return outcome;
}

/// Of two streams that `streams(pipeline)` makes.
template <class Streams>
auto outcome(const Topology& topology, SlidingWindows windows, std::chrono::microseconds lateness, int kind,
             Streams streams) -> Outcome {
  Outcome outcome;
  run(topology, [&](Pipeline& pipeline) {
    auto [left, right] = streams(pipeline);
    keep_pairs(std::move(left)
                   .join(std::move(right))
                   .window(windows)
                   .allowed_lateness(lateness)
                   .late([&](const JoinEvent& event) { outcome.late_left.push_back(event.number); },
                         [&](const JoinEvent& event) { outcome.late_right.push_back(event.number); }),
               kind, [&](const std::pair<int, int>& pair, EventTime time) {
                 outcome.pairs.emplace_back(pair.first, pair.second, time.time_since_epoch().count());
               });
  });
  std::sort(outcome.pairs.begin(), outcome.pairs.end());
  return outcome;
}

auto found(const std::vector<Arrival>& arrivals, const Shape& shape, SlidingWindows windows, int kind,
           const Topology& topology) -> Outcome {
  std::vector<std::pair<std::chrono::milliseconds, JoinEvent>> sides[2];
  for (std::size_t i = 0; i < arrivals.size(); ++i)
    sides[arrivals[i].left ? 0 : 1].emplace_back(10ms * static_cast<int>(i), arrivals[i].event);
  return outcome(topology, windows, std::chrono::microseconds{shape.lateness}, kind, [&](Pipeline& pipeline) {
    const auto side = [&](int which) {
      return pipeline.source(OnSchedule{sides[which]})
          .assign_timestamps(time_of, bounded_out_of_orderness(std::chrono::microseconds{shape.bound}))
          .key_by(&JoinEvent::key);
    };
    return std::pair(side(0), side(1));
  });
}

/// Events with more disorder than is expected, so that some are late wherever they are joined.
auto unruly_inputs() -> JoinInputs {
  return {some_join_events(200, 5, 30, 5), some_join_events(150, 5, 30, 6), 0, 2, {}};
}

}  // namespace

TEST_CASE("a join's window comes out again with each record in its allowed lateness, and then records are late",
          "[operators][join][window_join]") {
  std::size_t late = 0, again = 0;
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U}) {
    const auto arrivals = some_arrivals(seed);
    for (const auto& [size, slide] : {std::pair(20, 20), std::pair(30, 10), std::pair(5, 20)}) {
      for (const int lateness : {0, 25}) {
        const Shape shape{size, slide, lateness, 5};
        for (const int kind : {0, 1, 2, 3}) {
          const auto expected = naive(arrivals, shape, keeps_lone_left(kind), keeps_lone_right(kind));
          late += expected.late_left.size() + expected.late_right.size();
          for (std::size_t i = 1; i < expected.pairs.size(); ++i)
            again += expected.pairs[i] == expected.pairs[i - 1] ? 1U : 0U;
          for (const int nodes : {1, 2, 5}) {
            INFO("seed " << seed << ", size " << size << ", slide " << slide << ", lateness " << lateness << ", kind "
                         << kind << ", " << nodes << " nodes");
            const auto windows = sliding(std::chrono::microseconds{size}, std::chrono::microseconds{slide});
            CHECK(found(arrivals, shape, windows, kind, {nodes, seed, false}) == expected);
          }
        }
      }
    }
  }
  CHECK(late > 0);
  CHECK(again > 0);
}

TEST_CASE("a join has the pairs of the records that are not late, everywhere", "[operators][join][window_join]") {
  const auto inputs = unruly_inputs();
  const auto without = [](std::vector<JoinEvent> side, const std::vector<int>& late) {
    std::erase_if(
        side, [&](const JoinEvent& event) { return std::find(late.begin(), late.end(), event.number) != late.end(); });
    return side;
  };
  std::size_t late = 0;
  for (const auto& topology : topologies()) {
    for (const int kind : {0, 1, 2, 3}) {
      INFO("kind " << kind << ", " << topology.name());
      const auto all =
          outcome(topology, tumbling(25us), 0us, kind, [&](Pipeline& pipeline) { return inputs.streams(pipeline); });
      late += all.late_left.size() + all.late_right.size();
      CHECK((all.pairs == naive_join(without(inputs.left, all.late_left), without(inputs.right, all.late_right),
                                     naive_windows(inputs, 25, 25, 0), keeps_lone_left(kind), keeps_lone_right(kind))));
    }
  }
  CHECK(late > 0);
}

TEST_CASE("with allowed lateness a join has all pairs in the end, everywhere", "[operators][join][window_join]") {
  const auto inputs = unruly_inputs();
  std::size_t again = 0;
  for (const int kind : {0, 1, 2, 3}) {
    const auto expected = naive_join(inputs.left, inputs.right, naive_windows(inputs, 25, 10, 0), keeps_lone_left(kind),
                                     keeps_lone_right(kind));
    for (const auto& topology : topologies()) {
      INFO("kind " << kind << ", " << topology.name());
      auto all = outcome(topology, sliding(25us, 10us), 1s, kind,
                         [&](Pipeline& pipeline) { return inputs.streams(pipeline); });
      CHECK(all.late_left.empty());
      CHECK(all.late_right.empty());
      const auto last = std::unique(all.pairs.begin(), all.pairs.end());
      again += static_cast<std::size_t>(all.pairs.end() - last);
      all.pairs.erase(last, all.pairs.end());
      // Who was alone at first, and then was not.
      std::set<std::pair<int, std::int64_t>> met[2];
      for (const auto& [left, right, time] : all.pairs) {
        if (left == -1 || right == -1) continue;
        met[0].emplace(left, time);
        met[1].emplace(right, time);
      }
      std::erase_if(all.pairs, [&](const Match& match) {
        const auto& [left, right, time] = match;
        return (right == -1 && met[0].contains({left, time})) || (left == -1 && met[1].contains({right, time}));
      });
      CHECK((all.pairs == expected));
    }
  }
  CHECK(again > 0);
}
