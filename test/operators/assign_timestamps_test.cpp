#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/sanitized.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

auto at(long microseconds) -> EventTime {
  return EventTime{std::chrono::microseconds{microseconds}};
}

/// What a sink saw: a record's time, or a watermark.
struct Seen {
  bool is_watermark;
  EventTime time;
  friend auto operator==(const Seen&, const Seen&) -> bool = default;
};

/// A sink that takes down times and watermarks.
struct Watch {
  std::vector<Seen>* seen;
  void operator()(int, EventTime time) { seen->push_back({false, time}); }
  void watermark(EventTime time) { seen->push_back({true, time}); }
};

template <class Strategy>
auto seen_of(const std::vector<int>& records, Strategy strategy) -> std::vector<Seen> {
  std::vector<Seen> seen;
  testing::Cluster cluster{{}};
  cluster.run([&](Pipeline& pipeline) {
    pipeline.source(records).assign_timestamps([](int n) { return at(n); }, strategy).sink(Watch{&seen});
  });
  return seen;
}

/// What a stream tells of its times: after how many records the watermark is raised, the end left out; and how many are
/// counted as too far ahead.
struct Told {
  std::vector<std::pair<std::size_t, EventTime>> watermarks;
  int too_far;
  friend auto operator==(const Told&, const Told&) -> bool = default;
};
auto operator<<(std::ostream& out, const Told& told) -> std::ostream& {
  for (const auto& [records, time] : told.watermarks) out << records << ": " << time.time_since_epoch().count() << ", ";
  return out << told.too_far << " too far";
}

template <class Strategy>
auto told_of(const std::vector<int>& times, Strategy strategy) -> Told {
  std::vector<Seen> seen;
  Pipeline pipeline;
  pipeline.source(times).assign_timestamps([](int n) { return at(n); }, strategy).name("when").sink(Watch{&seen});
  pipeline.execute();
  Told told{{}, 0};
  std::size_t records = 0;
  for (const auto& one : seen) {
    if (!one.is_watermark) {
      ++records;
    } else if (one.time != end_of_time) {
      told.watermarks.emplace_back(records, one.time);
    }
  }
  const auto counts = nlohmann::json::parse(pipeline.figures()).at("counts");
  told.too_far = counts.value("assign_timestamps «when», timestamps too far ahead", 0);
  return told;
}

/// Like SharedNumbers, on a thread of its own: in the simulation a turn takes a millisecond.
struct SlowNumbers : SharedNumbers {
  using SharedNumbers::SharedNumbers;
  static constexpr bool occupies_thread = true;
};

}  // namespace

TEST_CASE("times never go back: the watermark is the latest time", "[operators][time]") {
  CHECK(seen_of({3, 5, 5, 4, 9}, monotonous()) == std::vector<Seen>{{false, at(3)},
                                                                    {true, at(3)},
                                                                    {false, at(5)},
                                                                    {true, at(5)},
                                                                    {false, at(5)},
                                                                    {false, at(4)},
                                                                    {false, at(9)},
                                                                    {true, at(9)},
                                                                    {true, end_of_time}});
}

TEST_CASE("bounded out of orderness: the watermark stays behind the latest time", "[operators][time]") {
  CHECK(seen_of({30, 50, 45}, bounded_out_of_orderness(10us)) ==
        std::vector<Seen>{
            {false, at(30)}, {true, at(20)}, {false, at(50)}, {true, at(40)}, {false, at(45)}, {true, end_of_time}});
}

TEST_CASE("punctuated: records say the watermark", "[operators][time]") {
  const auto strategy = punctuated([](int n, EventTime time) {
    return n % 10 == 0 ? std::optional(time + std::chrono::microseconds{1}) : std::nullopt;
  });
  CHECK(seen_of({7, 10, 13, 5, 20}, strategy) == std::vector<Seen>{{false, at(7)},
                                                                   {false, at(10)},
                                                                   {true, at(11)},
                                                                   {false, at(13)},
                                                                   {false, at(5)},
                                                                   {false, at(20)},
                                                                   {true, at(21)},
                                                                   {true, end_of_time}});
}

TEST_CASE("an empty stream with event time ends with the end of time", "[operators][time]") {
  CHECK(seen_of({}, monotonous()) == std::vector<Seen>{{true, end_of_time}});
}

TEST_CASE("times far ahead do not move the watermark and are counted", "[operators][time]") {
  const auto limited = monotonous().at_most_ahead(20us, 2);
  SECTION("one by one") {
    const auto end = told_of({10, 12, 1'000'000, 30, 2'000'000, 3, 40}, limited);
    CHECK(end == Told{{{2, at(12)}, {4, at(30)}, {7, at(40)}}, 2});
  }
  SECTION("however many there are") {
    std::vector<int> times{0, 1};
    std::vector<std::pair<std::size_t, EventTime>> watermarks{{2, at(1)}};
    for (int good = 2; good < 52; ++good) {
      times.push_back(1'000'000 * good);
      times.push_back(good);
      watermarks.emplace_back(times.size(), at(good));
    }
    CHECK(told_of(times, limited) == Told{watermarks, 50});
  }
  SECTION("of records that say the watermark themselves") {
    const auto eager = punctuated([](int, EventTime) { return std::optional(at(1'000'000)); });
    auto strategy = eager;
    CHECK(told_of({10, 20, 500, 30}, std::move(strategy).at_most_ahead(15us, 2)) ==
          Told{{{2, at(35)}, {4, at(45)}}, 1});
  }
}

TEST_CASE("a first time far ahead makes no other late", "[operators][time]") {
  CHECK(told_of({1'000'000'000, 10, 20, 35, 50}, monotonous().at_most_ahead(20us, 3)) ==
        Told{{{3, at(20)}, {4, at(35)}, {5, at(50)}}, 1});
  // Too few to believe any: the end is told, and what is broken counted.
  CHECK(told_of({1'000'000'000, 10, 20}, monotonous().at_most_ahead(20us)) == Told{{}, 1});
  CHECK(told_of({10}, monotonous().at_most_ahead(20us)) == Told{{}, 0});
}

TEST_CASE("a stream that has had a gap goes on at its own time", "[operators][time]") {
  CHECK(told_of({10, 12, 1'000, 1'005, 1'010, 1'012}, monotonous().at_most_ahead(20us, 2)) ==
        Told{{{2, at(12)}, {4, at(1'005)}, {5, at(1'010)}, {6, at(1'012)}}, 0});
  // With one among them that is not of it.
  CHECK(told_of({10, 11, 12, 1'005, 9'999, 1'000, 1'007}, monotonous().at_most_ahead(20us, 3)) ==
        Told{{{3, at(12)}, {6, at(1'005)}, {7, at(1'007)}}, 1});
}

TEST_CASE("a limit of times ahead that says nothing is refused", "[operators][time]") {
  CHECK_THROWS_WITH(monotonous().at_most_ahead(-1us), Catch::Contains("at_most_ahead") && Catch::Contains("negative"));
  CHECK_THROWS_WITH(monotonous().at_most_ahead(1us, 1), Catch::Contains("at_most_ahead") && Catch::Contains("2"));
}

TEST_CASE("times far ahead make no record late on any topology", "[operators][time]") {
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      long counted = 0, late = 0;
      const auto time_of = [](int n) { return n % 97 == 0 ? at(1'000'000'000 + 1'000'000L * n) : at(n); };
      run(topology, [&](Pipeline& pipeline) {
        pipeline.source(SharedNumbers{3'000})
            .parallel(parallel)
            .assign_timestamps(time_of, monotonous().at_most_ahead(3'000us))
            .key_by([](int n) { return n % 5; })
            .window(tumbling(100us))
            .late([&](int) { ++late; })
            .count()
            .sink([&](const auto& window) { counted += static_cast<long>(window.value); });
      });
      CHECK(counted == 3'000);
      CHECK(late == 0);
    }
  }
}

TEST_CASE("times and watermarks pass operators and channels in order on any topology", "[operators][time]") {
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      std::vector<Seen> seen;
      run(topology, [&](Pipeline& pipeline) {
        pipeline.source(SharedNumbers{3'000})
            .parallel(parallel)
            .assign_timestamps([](int n) { return at(n); })
            .map([](int n) { return n * 2; })
            .filter([](int n) { return n % 3 != 0; })
            .key_by([](int n) { return n % 5; })
            .parallel(parallel)
            .reduce([](int, int n) { return n; })
            .flat_map([](const KeyValue<int, int>& pair) { return std::vector{pair.value}; })
            .sink(Watch{&seen});
      });
      EventTime watermark = beginning_of_time;
      std::vector<int> times;
      for (const auto& one : seen) {
        if (one.is_watermark) {
          CHECK(one.time > watermark);
          watermark = one.time;
        } else {
          CHECK(one.time >= watermark);  // nothing is late: each instance's times go up
          times.push_back(static_cast<int>(one.time.time_since_epoch().count()));
        }
      }
      CHECK(watermark == end_of_time);
      std::sort(times.begin(), times.end());
      std::vector<int> expected;
      for (int n = 0; n < 3'000; ++n) {
        if (n * 2 % 3 != 0) expected.push_back(n);
      }
      CHECK(times == expected);
    }
  }
}

TEST_CASE("watermarks reach the uses of a named stream and batches wait for none of their records",
          "[operators][time]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::vector<Seen> seen;
    EventTime watermark = beginning_of_time;
    bool late = false;
    run(topology, [&](Pipeline& pipeline) {
      auto stream = pipeline.source(numbers(1'000)).assign_timestamps([](int n) { return at(n); });
      stream.sink(Watch{&seen});
      struct Batches {
        EventTime* latest;
        bool* late;
        void operator()(const Batch<int>& batch, EventTime time) {
          *late = *late || at(batch.records.front()) < *latest || time != at(batch.records.back());
        }
        void watermark(EventTime time) { *latest = time; }
      };
      stream.batch(7).sink(Batches{&watermark, &late});
    });
    CHECK(std::count_if(seen.begin(), seen.end(), [](const Seen& one) { return !one.is_watermark; }) == 1'000);
    CHECK(seen.back() == Seen{true, end_of_time});
    CHECK(!late);
  }
}

TEST_CASE("an idle sender is not waited for", "[operators][time]") {
  constexpr int many = sanitized ? 400'000 : 2'000'000;
  for (const bool stands_aside : {false, true}) {
    for (const int nodes : {2, 5}) {
      std::vector<Seen> seen;
      testing::Cluster cluster{{.nodes = nodes, .seed = 5}};
      cluster.run([&](Pipeline& pipeline) {
        // Node 0 has records all the time; the others read as many, and drop all but the first.
        auto strategy = stands_aside ? monotonous().idle_after(1ms) : monotonous();
        pipeline.source(SlowNumbers{many * nodes})
            .filter([nodes](int n) { return n % nodes == 0 || n < nodes; })
            .assign_timestamps([](int n) { return at(n); }, std::move(strategy))
            .sink(Watch{&seen});
      });
      // The watermark when node 0 was half through.
      EventTime watermark = beginning_of_time;
      for (const auto& one : seen) {
        if (!one.is_watermark && one.time >= at(many / 2 * nodes)) break;
        if (one.is_watermark) watermark = one.time;
      }
      if (stands_aside) {
        CHECK(watermark > at(many / 20 * nodes));
      } else {
        CHECK(watermark <= at(nodes));
      }
    }
  }
}
