#include <algorithm>
#include <tuple>

#include "catch.hpp"
#include "support/events.hpp"
#include "support/on_schedule.hpp"

// Windows and times to live by the node's clock, which in the simulation stands at 0 when a run begins. One node alone
// has one task, and a number is seen at the very time it is due; between nodes a message takes a tenth of a
// millisecond, more or less.

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

using Schedule = std::vector<std::pair<std::chrono::milliseconds, int>>;
/// Start, end and sum of a window; microseconds.
using Sums = std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t>>;

auto simulated() -> std::vector<Topology> {
  auto all = topologies();
  std::erase_if(all, [](const Topology& one) { return one.tcp; });
  return all;
}

/// Of numbers with one key, or without keys.
template <class W>
auto sums_of(const Topology& topology, const Schedule& schedule, W windows, bool with_keys) -> Sums {
  Sums sums;
  run(topology, [&](Pipeline& pipeline) {
    const auto keep = [&](const auto& result) {
      sums.emplace_back(result.window.start.time_since_epoch().count(), result.window.end.time_since_epoch().count(),
                        result.value);
    };
    auto all = pipeline.source(OnSchedule{schedule});
    if (with_keys) {
      std::move(all).key_by([](int) { return 7; }).window(processing_time(windows)).sum().sink(keep);
    } else {
      std::move(all).window(processing_time(windows)).sum().sink(keep);
    }
  });
  std::sort(sums.begin(), sums.end());
  return sums;
}

}  // namespace

TEST_CASE("at an edge of tumbling windows in processing time the next one begins, and after a pause it is the clock's",
          "[operators][window][time]") {
  const Schedule all{{0ms, 1}, {9ms, 2}, {10ms, 4}, {19ms, 8}, {20ms, 16}, {3'600'000ms, 32}, {3'600'009ms, 64}};
  for (const bool with_keys : {true, false}) {
    CHECK(sums_of({}, all, tumbling(10ms), with_keys) ==
          Sums{{0, 10'000, 3}, {10'000, 20'000, 12}, {20'000, 30'000, 16}, {3'600'000'000, 3'600'010'000, 96}});
    CHECK(sums_of({}, all, tumbling(10ms, 5ms), with_keys) == Sums{{-5'000, 5'000, 1},
                                                                   {5'000, 15'000, 6},
                                                                   {15'000, 25'000, 24},
                                                                   {3'599'995'000, 3'600'005'000, 32},
                                                                   {3'600'005'000, 3'600'015'000, 64}});
  }
}

TEST_CASE("a number is in all sliding windows in processing time that its time is in", "[operators][window][time]") {
  const Schedule all{{0ms, 1}, {9ms, 2}, {10ms, 4}, {19ms, 8}, {20ms, 16}, {100ms, 32}};
  for (const bool with_keys : {true, false}) {
    CHECK(sums_of({}, all, sliding(20ms, 10ms), with_keys) == Sums{{-10'000, 10'000, 3},
                                                                   {0, 20'000, 15},
                                                                   {10'000, 30'000, 28},
                                                                   {20'000, 40'000, 16},
                                                                   {90'000, 110'000, 32},
                                                                   {100'000, 120'000, 32}});
    // Between windows that do not touch a number is in none.
    CHECK(sums_of({}, all, sliding(5ms, 10ms), with_keys) ==
          Sums{{0, 5'000, 1}, {10'000, 15'000, 4}, {20'000, 25'000, 16}, {100'000, 105'000, 32}});
  }
}

TEST_CASE("a session in processing time ends when nothing has come for its gap, and at the gap the next one begins",
          "[operators][window][time]") {
  const Schedule all{{0ms, 1}, {9ms, 2}, {18ms, 4}, {28ms, 8}, {500ms, 16}, {509ms, 32}};
  for (const bool with_keys : {true, false}) {
    CHECK(sums_of({}, all, session(10ms), with_keys) ==
          Sums{{0, 28'000, 7}, {28'000, 38'000, 8}, {500'000, 519'000, 48}});
  }
}

TEST_CASE("windows in processing time are the same on any number of nodes, away from their edges",
          "[operators][window][time]") {
  const Schedule all{{5ms, 1}, {25ms, 2}, {26ms, 4}, {48ms, 8}, {112ms, 16}, {114ms, 32}};
  for (const auto& topology : simulated()) {
    for (const bool with_keys : {true, false}) {
      INFO(topology.name() << (with_keys ? ", by key" : ""));
      CHECK(sums_of(topology, all, tumbling(10ms), with_keys) ==
            Sums{{0, 10'000, 1}, {20'000, 30'000, 6}, {40'000, 50'000, 8}, {110'000, 120'000, 48}});
      CHECK(sums_of(topology, all, sliding(20ms, 10ms), with_keys) == Sums{{-10'000, 10'000, 1},
                                                                           {0, 20'000, 1},
                                                                           {10'000, 30'000, 6},
                                                                           {20'000, 40'000, 6},
                                                                           {30'000, 50'000, 8},
                                                                           {40'000, 60'000, 8},
                                                                           {100'000, 120'000, 48},
                                                                           {110'000, 130'000, 48}});
      std::vector<std::int64_t> sessions;
      for (const auto& [start, end, sum] : sums_of(topology, all, session(10ms), with_keys)) {
        CHECK(end - start >= 10'000);
        CHECK(end - start < 15'000);
        sessions.push_back(sum);
      }
      CHECK(sessions == std::vector<std::int64_t>{1, 6, 8, 48});
    }
  }
}

namespace {

/// What windows in processing time of numbers emit, which `windows(stream, with keys or without)` makes.
template <class Windows>
void check_early(const Schedule& schedule, const Sums& expected, Windows windows) {
  for (const auto& topology : simulated()) {
    for (const bool with_keys : {true, false}) {
      INFO(topology.name() << (with_keys ? ", by key" : ""));
      Sums sums;
      run(topology, [&](Pipeline& pipeline) {
        const auto keep = [&](const auto& result) {
          sums.emplace_back(result.window.start.time_since_epoch().count(),
                            result.window.end.time_since_epoch().count(), result.value);
        };
        auto all = pipeline.source(OnSchedule{schedule});
        if (with_keys) {
          windows(std::move(all).key_by([](int) { return 7; })).sum().sink(keep);
        } else {
          windows(std::move(all)).sum().sink(keep);
        }
      });
      CHECK(sums == expected);
    }
  }
}

}  // namespace

TEST_CASE("windows in processing time emit early after so many numbers or some time, on any number of nodes",
          "[operators][window][time]") {
  const Schedule all{{3ms, 1}, {500ms, 2}, {505ms, 4}, {600ms, 8}};
  constexpr std::int64_t hour = 3'600'000'000;
  const auto in_hour = [](auto stream) { return std::move(stream).window(processing_time(tumbling(1h))); };
  const auto check = [&](const std::vector<std::int64_t>& sums, auto windows) {
    Sums expected;
    for (const auto sum : sums) expected.emplace_back(0, hour, sum);
    check_early(all, expected, windows);
  };
  check({3, 15, 15}, [&](auto stream) { return in_hour(std::move(stream)).early(2); });
  check({3, 12}, [&](auto stream) { return in_hour(std::move(stream)).early(2).discarding(); });
  check({1, 7, 15}, [&](auto stream) { return in_hour(std::move(stream)).early(10ms); });
  check({1, 6, 8}, [&](auto stream) { return in_hour(std::move(stream)).early(10ms).discarding(); });
}

TEST_CASE("overlapping windows in processing time emit early, each for itself, on any number of nodes",
          "[operators][window][time]") {
  check_early(
      {{5ms, 1}, {16ms, 2}, {105ms, 4}},
      {{-10'000, 10'000, 1},
       {0, 20'000, 1},
       {-10'000, 10'000, 1},
       {0, 20'000, 3},
       {10'000, 30'000, 2},
       {0, 20'000, 3},
       {10'000, 30'000, 2},
       {90'000, 110'000, 4},
       {100'000, 120'000, 4},
       {90'000, 110'000, 4},
       {100'000, 120'000, 4}},
      [](auto stream) { return std::move(stream).window(processing_time(sliding(20ms, 10ms))).early(each_record); });
}

TEST_CASE("sessions in processing time emit early, on any number of nodes", "[operators][window][time]") {
  for (const auto& topology : simulated()) {
    INFO(topology.name());
    std::vector<std::int64_t> sums, apart;
    run(topology, [&](Pipeline& pipeline) {
      const auto sessions = [&] {
        return pipeline.source(OnSchedule{Schedule{{5ms, 1}, {11ms, 2}, {112ms, 4}, {117ms, 8}}})
            .key_by([](int) { return 7; })
            .window(processing_time(session(10ms)))
            .early(each_record);
      };
      sessions().sum().sink([&](const auto& result) { sums.push_back(result.value); });
      sessions().discarding().sum().sink([&](const auto& result) { apart.push_back(result.value); });
    });
    CHECK(sums == std::vector<std::int64_t>{1, 3, 3, 4, 12, 12});
    CHECK(apart == std::vector<std::int64_t>{1, 2, 4, 8});
  }
}

// Over TCP nobody knows which window a number is in.

TEST_CASE("over TCP windows in processing time have each number once, or as often as they overlap",
          "[operators][window][time]") {
  constexpr int count = 2'000;
  constexpr std::int64_t total = std::int64_t{count} * (count - 1) / 2;
  for (const auto& topology : tcp_topologies()) {
    INFO(topology.name());
    std::int64_t alone = 0, early = 0, overlapping = 0, in_sessions = 0;
    run(topology, [&](Pipeline& pipeline) {
      const auto add_to = [](std::int64_t& sum) { return [&sum](const auto& result) { sum += result.value; }; };
      auto all = pipeline.source(SharedNumbers{count}).parallel(2);
      const auto keyed = [&] { return all.key_by([](int n) { return n % 5; }).parallel(2); };
      keyed().window(processing_time(tumbling(1ms))).sum().sink(add_to(alone));
      keyed().window(processing_time(tumbling(1ms))).early(3).discarding().sum().sink(add_to(early));
      keyed().window(processing_time(sliding(2ms, 1ms))).early(1ms).discarding().sum().sink(add_to(overlapping));
      all.window(processing_time(session(1ms))).early(100).discarding().sum().sink(add_to(in_sessions));
    });
    CHECK(alone == total);
    CHECK(early == total);
    CHECK(overlapping == 2 * total);
    CHECK(in_sessions == total);
  }
}

TEST_CASE("an early result of some time is due from its first record on, though nothing had come for long",
          "[operators][window][time]") {
  std::vector<std::int64_t> sums;
  run({}, [&](Pipeline& pipeline) {
    pipeline.source(OnSchedule{Schedule{{0ms, 1}, {500ms, 2}, {505ms, 4}, {600ms, 8}}})
        .assign_timestamps([](int n) { return at(n); })
        .window(tumbling(1h))
        .early(10ms)
        .sum()
        .sink([&](const auto& result) { sums.push_back(result.value); });
  });
  CHECK(sums == std::vector<std::int64_t>{1, 7, 15});  // the last one is the window's own
}

namespace {

using Seen = std::vector<std::pair<int, int>>;  // a key, and how many of it have come in its life

/// Of each number the tens are its key.
auto tens(int n) -> int {
  return n / 10;
}

struct CountAll {
  using State = int;
  using Output = std::pair<int, int>;
  void operator()(int, int& count, ProcessContext<int, Output>& context) const {
    context.emit({context.key(), ++count});
  }
};

// The key 1 comes at 0, 900, 1,800 and 3,000 ms: its state outlives a time to live of a second twice, not the third
// time. The key 2 comes once more after 1,001 ms. The key 3 comes after an hour, when there is no state left at all,
// and again: that it came is not forgotten at once.
const Schedule visits{{0ms, 10},     {1ms, 20},     {900ms, 11},       {1'002ms, 21},
                      {1'800ms, 12}, {3'000ms, 13}, {3'600'000ms, 30}, {3'600'900ms, 31}};

/// What `make(stream with keys and a time to live)` emits, for any number of nodes.
template <class T, class Make>
void check_lives(const std::vector<T>& expected, Make make) {
  for (const auto& topology : simulated()) {
    INFO(topology.name());
    auto all = result_of<T>(topology, [&](Pipeline& pipeline) {
      return make(pipeline.source(OnSchedule{visits}).key_by(tens).time_to_live(1s)).collect();
    });
    std::sort(all.begin(), all.end());
    CHECK(all == expected);
  }
}

}  // namespace

TEST_CASE("with_state, process, reduce, distinct and sum begin anew when a key's time to live is over",
          "[operators][keyed][time]") {
  const Seen counts{{1, 1}, {1, 1}, {1, 2}, {1, 3}, {2, 1}, {2, 1}, {3, 1}, {3, 2}};
  check_lives<std::pair<int, int>>(counts, [](auto keyed) {
    return std::move(keyed).template with_state<int>([](int& count, int n) { return std::pair(tens(n), ++count); });
  });
  check_lives<std::pair<int, int>>(counts, [](auto keyed) { return std::move(keyed).process(CountAll{}); });
  check_lives<int>({10, 13, 20, 21, 30}, [](auto keyed) { return std::move(keyed).distinct(); });
  check_lives<KeyValue<int, int>>({{1, 10}, {1, 13}, {1, 21}, {1, 33}, {2, 20}, {2, 21}, {3, 30}, {3, 61}},
                                  [](auto keyed) { return std::move(keyed).reduce(std::plus<>{}); });
  check_lives<KeyValue<int, std::int64_t>>({{1, 10}, {1, 13}, {1, 21}, {1, 33}, {2, 20}, {2, 21}, {3, 30}, {3, 61}},
                                           [](auto keyed) { return std::move(keyed).sum(); });
}

TEST_CASE("in a join without a window a record meets those that came within their side's time to live",
          "[operators][join][time]") {
  // The left ones live for a second, the right ones for ten (and up to a 64th more).
  const Schedule left{{0ms, 10}, {5'000ms, 11}, {20'000ms, 12}};
  const Schedule right{{900ms, 13}, {1'100ms, 14}, {5'500ms, 15}, {3'600'000ms, 16}};
  const Seen expected{{10, 13}, {11, 13}, {11, 14}, {11, 15}};
  for (const auto& topology : simulated()) {
    INFO(topology.name());
    auto all = result_of<std::pair<int, int>>(topology, [&](Pipeline& pipeline) {
      return pipeline.source(OnSchedule{left})
          .key_by(tens)
          .time_to_live(1s)
          .join(pipeline.source(OnSchedule{right}).key_by(tens).time_to_live(10s))
          .with([](int a, int b) { return std::pair(a, b); })
          .collect();
    });
    std::sort(all.begin(), all.end());
    CHECK(all == expected);
  }
}
