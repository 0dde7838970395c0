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

TEST_CASE("a time far ahead moves the watermark by the bound at most and is counted", "[operators][time]") {
  CHECK(seen_of({10, 1'000'000, 30, 40}, monotonous().at_most_ahead(15us)) == std::vector<Seen>{{false, at(10)},
                                                                                                {true, at(10)},
                                                                                                {false, at(1'000'000)},
                                                                                                {true, at(25)},
                                                                                                {false, at(30)},
                                                                                                {true, at(30)},
                                                                                                {false, at(40)},
                                                                                                {true, at(40)},
                                                                                                {true, end_of_time}});
  CHECK(
      seen_of({10, 20}, punctuated([](int, EventTime) { return std::optional(at(1'000'000)); }).at_most_ahead(15us)) ==
      std::vector<Seen>{{false, at(10)}, {true, at(25)}, {false, at(20)}, {true, at(35)}, {true, end_of_time}});
  Pipeline pipeline;
  pipeline.source(std::vector{10, 1'000'000, 30, 2'000'000})
      .assign_timestamps([](int n) { return at(n); }, monotonous().at_most_ahead(15us))
      .name("when")
      .sink([](int) {});
  pipeline.execute();
  CHECK(
      nlohmann::json::parse(pipeline.figures()).at("counts").at("assign_timestamps «when», timestamps too far ahead") ==
      2);
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
