#include <map>
#include <optional>
#include <tensair/error.hpp>
#include <tensair/io/at_rate.hpp>
#include <tuple>

#include "catch.hpp"
#include "support/dealt.hpp"
#include "support/events.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

using Emitted = std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t>>;  // start, end, sum

/// What `windows(keyed stream)` emits of events.
template <class MakeWindows>
auto emitted(const std::vector<Event>& all, MakeWindows windows) -> Emitted {
  Emitted results;
  run({}, [&](Pipeline& pipeline) {
    windows(with_marks(pipeline, all).key_by(&Event::key)).sum(&Event::value).sink([&](const auto& result) {
      results.emplace_back(result.window.start.time_since_epoch().count(), result.window.end.time_since_epoch().count(),
                           result.value);
    });
  });
  return results;
}

const std::vector<Event> some = {{1, 1, 3}, {1, 2, 4}, {2, 100, 5}, {1, 4, 6}, mark(10), {1, 8, 12}, mark(20)};

}  // namespace

TEST_CASE("a window emits early after so many records, and its result at its end", "[operators][window]") {
  CHECK(emitted(some, [](auto keyed) { return std::move(keyed).window(tumbling(10us)).early(2); }) ==
        Emitted{{0, 10, 3}, {0, 10, 7}, {0, 10, 100}, {10, 20, 8}});
  CHECK(emitted(some, [](auto keyed) { return std::move(keyed).window(tumbling(10us)).early(2).discarding(); }) ==
        Emitted{{0, 10, 3}, {0, 10, 4}, {0, 10, 100}, {10, 20, 8}});
  CHECK(emitted(some, [](auto keyed) { return std::move(keyed).window(tumbling(10us)).early(each_record); }) ==
        Emitted{{0, 10, 1}, {0, 10, 3}, {0, 10, 100}, {0, 10, 7}, {0, 10, 7}, {0, 10, 100}, {10, 20, 8}, {10, 20, 8}});
  CHECK(emitted(some, [](auto keyed) {
          return std::move(keyed).window(tumbling(10us)).early(each_record).discarding();
        }) == Emitted{{0, 10, 1}, {0, 10, 2}, {0, 10, 100}, {0, 10, 4}, {10, 20, 8}});
}

TEST_CASE("overlapping windows and sessions emit early, each for itself", "[operators][window]") {
  const std::vector<Event> all = {{1, 1, 12}, {1, 2, 13}, {1, 4, 27}, mark(50)};
  CHECK(emitted(all, [](auto keyed) { return std::move(keyed).window(sliding(20us, 10us)).early(2); }) ==
        Emitted{{0, 20, 3}, {10, 30, 3}, {0, 20, 3}, {10, 30, 7}, {20, 40, 4}});
  // Two sessions become one, which has as many records as it takes.
  const std::vector<Event> two = {{1, 1, 0}, {1, 2, 15}, {1, 4, 8}, mark(50)};
  CHECK(emitted(two, [](auto keyed) { return std::move(keyed).window(session(10us)).early(3).discarding(); }) ==
        Emitted{{0, 25, 7}});
}

TEST_CASE("a record that comes in the allowed lateness is emitted at once, early results or not",
          "[operators][window]") {
  const std::vector<Event> all = {{1, 1, 3}, mark(10), {1, 2, 4}, {1, 4, 5}, mark(15), {1, 8, 6}};
  CHECK(emitted(all, [](auto keyed) {
          return std::move(keyed).window(tumbling(10us)).early(5).allowed_lateness(5us);
        }) == Emitted{{0, 10, 1}, {0, 10, 3}, {0, 10, 7}});
  CHECK(emitted(all, [](auto keyed) {
          return std::move(keyed).window(tumbling(10us)).allowed_lateness(5us).early(5).discarding();
        }) == Emitted{{0, 10, 1}, {0, 10, 2}, {0, 10, 4}});
}

TEST_CASE("early results add up to a window's, or the last one is it, on any topology", "[operators][window]") {
  std::vector<Event> all;
  for (int i = 0; i < 600; ++i) all.push_back({i % 4, (i * 31) % 17 - 5, 3 * i - (i * 7919) % 60});
  using Key = std::tuple<int, Window>;
  const auto results_of = [&](const Topology& topology, auto windows, auto early, bool discards) {
    std::map<Key, std::int64_t> sums;
    run(topology, [&](Pipeline& pipeline) {
      auto windowed = pipeline.source(Dealt{all})
                          .parallel(2)
                          .assign_timestamps(time_of, bounded_out_of_orderness(60us))
                          .key_by(&Event::key)
                          .parallel(topology.nodes == 2 ? 3 : 1)
                          .window(windows);
      const auto collect = [&sums, discards](auto stream) {
        std::move(stream).sum(&Event::value).sink([&sums, discards](const auto& result) {
          auto& sum = sums[{result.key, result.window}];
          sum = discards ? sum + result.value : result.value;
        });
      };
      if constexpr (std::same_as<decltype(early), int>) {
        collect(std::move(windowed));
      } else if (discards) {
        collect(std::move(windowed).early(early).discarding());
      } else {
        collect(std::move(windowed).early(early));
      }
    });
    return sums;
  };
  const auto check = [&](auto windows, bool discards) {
    const auto expected = results_of({1, 1, false}, windows, 0, false);
    for (const Topology& topology : {Topology{1, 1, false}, Topology{2, 1, false}, Topology{5, 2, false}}) {
      INFO(topology.name() << (discards ? ", discarding" : ", accumulating"));
      CHECK(results_of(topology, windows, std::uint64_t{3}, discards) == expected);
      CHECK(results_of(topology, windows, 1us, discards) == expected);
    }
  };
  check(tumbling(50us), false);
  check(tumbling(50us), true);
  check(sliding(50us, 20us), false);
  check(sliding(50us, 20us), true);
}

TEST_CASE("a session's last result is the same with early ones before it", "[operators][window]") {
  std::vector<Event> all;
  for (int i = 0; i < 600; ++i) all.push_back({i % 4, i % 17, 3 * i + i / 50 * 100 - (i * 7919) % 60});
  const auto results_of = [&](const Topology& topology, auto make) {
    std::map<std::tuple<int, Window>, std::int64_t> sums;
    run(topology, [&](Pipeline& pipeline) {
      make(pipeline.source(all).assign_timestamps(time_of, bounded_out_of_orderness(60us)).key_by(&Event::key))
          .sum(&Event::value)
          .sink([&](const auto& result) {
            sums[{result.key, result.window}] = result.value;
          });
    });
    return sums;
  };
  const auto expected = results_of({}, [](auto keyed) { return std::move(keyed).window(session(13us)); });
  REQUIRE(expected.size() > 8);
  for (const int nodes : {1, 2, 5}) {
    const auto found =
        results_of({nodes, 1, false}, [](auto keyed) { return std::move(keyed).window(session(13us)).early(2); });
    for (const auto& [where, sum] : expected) {
      REQUIRE(found.count(where) == 1);
      CHECK(found.at(where) == sum);
    }
  }
}

TEST_CASE("a window emits early when some time has passed", "[operators][window]") {
  for (const int nodes : {1, 2}) {
    std::vector<std::uint64_t> counts;
    run({nodes, 1, false}, [&](Pipeline& pipeline) {
      const auto hundred = [](std::uint64_t i, Time) {
        return i < 100 ? std::optional{static_cast<int>(i)} : std::nullopt;
      };
      pipeline.source(at_rate(1'000, hundred))
          .assign_timestamps([](int n) { return at(n); })
          .window(tumbling(1h))
          .early(10ms)
          .count()
          .sink([&](const auto& result) { counts.push_back(result.value); });
    });
    REQUIRE(counts.size() >= 2);
    CHECK(std::is_sorted(counts.begin(), counts.end()));
    CHECK(counts.back() == 100);
    // The 100 records take 99 ms of virtual time, so at most nine results are due before the one at the end.
    CHECK(counts.size() >= 6);
    CHECK(counts.size() <= 11);
  }
}

TEST_CASE("early results of no records or no time are refused", "[operators][window]") {
  const auto make = [](auto early) {
    Pipeline pipeline{Options{}};
    static_cast<void>(pipeline.source(numbers(1)).window(processing_time(tumbling(1s))).early(early));
  };
  CHECK_THROWS_AS(make(std::uint64_t{0}), UsageError);
  CHECK_THROWS_AS(make(0us), UsageError);
  CHECK_THROWS_AS(make(-1s), UsageError);
}
