#include <map>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/events.hpp"
#include "support/on_schedule.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

/// `records` events come one after the other, each in a turn of its own, spread over 400 ms and four windows. Returns
/// what the nodes send; the windows' sums must be right, and come when the window is over.
auto bytes_for(int nodes, int records) -> std::uint64_t {
  std::vector<std::pair<std::chrono::milliseconds, Event>> schedule;
  std::map<std::int64_t, std::int64_t> expected;
  for (int i = 0; i < records; ++i) {
    const std::int64_t time = std::int64_t{i} * 4'000 / records;
    schedule.emplace_back(400ms * i / records, Event{i % 7, i, time});
    expected[time / 1'000 * 1'000] += i;
  }
  std::map<std::int64_t, std::int64_t> sums;
  std::map<std::int64_t, Duration> when;
  testing::Cluster cluster{{.nodes = nodes}};
  cluster.run([&](Pipeline& pipeline) {
    pipeline.source(OnSchedule{schedule})
        .assign_timestamps(time_of)
        .key_by(&Event::key)
        .window(tumbling(1'000us))
        .sum(&Event::value)
        .sink([&](const auto& result) {
          const auto start = result.window.start.time_since_epoch().count();
          sums[start] += result.value;
          when[start] = cluster.elapsed();
        });
  });
  CHECK(sums == expected);
  for (const auto& [start, time] : when) {
    const auto over = std::chrono::milliseconds{start / 10 + 100};
    CHECK(time > over - 15ms);  // the last one ends with the stream, a record sooner
    CHECK(time < over + 15ms);
  }
  return cluster.bytes_sent();
}

/// Timed records come in turns of their own, those that the filter leaves are gathered in a sink: what the nodes send.
template <class Sink>
auto bytes_to(Sink sink) -> std::uint64_t {
  std::vector<std::pair<std::chrono::milliseconds, Event>> schedule;
  for (int i = 0; i < 400; ++i) schedule.emplace_back(1ms * i, Event{i % 7, i, i});
  testing::Cluster cluster{{.nodes = 2}};
  cluster.run([&](Pipeline& pipeline) {
    pipeline.source(OnSchedule{schedule})
        .assign_timestamps(time_of)
        .key_by(&Event::key)
        .with_state<int>([](int&, const Event& event) { return event.value; })
        .filter([](int value) { return value % 100 == 0; })
        .sink(sink);
  });
  return cluster.bytes_sent();
}

}  // namespace

TEST_CASE("a window's watermarks cross to other nodes when it ends, not with each record", "[operators][time]") {
  // A watermark takes some 40 bytes, and there would be one a record to each node.
  for (const int nodes : {2, 5}) {
    INFO(nodes << " nodes");
    CHECK(bytes_for(nodes, 400) < bytes_for(nodes, 40) + 2'000);
  }
}

TEST_CASE("a sink that asks for no watermarks is sent none, and one that asks is", "[operators][time]") {
  struct Watching {
    EventTime* latest;
    void operator()(int) {}
    void watermark(EventTime time) { *latest = time; }
  };
  EventTime latest = beginning_of_time;
  int taken = 0;
  const auto watched = bytes_to(Watching{&latest});
  const auto unwatched = bytes_to([&](int) { ++taken; });
  CHECK(taken == 4);
  CHECK(latest == end_of_time);
  CHECK(watched > unwatched + 2'000);
}

TEST_CASE("windows of several nodes fire again for late records until their lateness is over", "[operators][time]") {
  // Times whose watermarks pass no window's end but the end of a lateness are among them: 25 is 10 + 15.
  const std::vector<Event> all{{1, 1, 1}, {1, 0, 12}, {1, 2, 3}, {1, 0, 24}, {1, 4, 4}, {1, 0, 25}, {1, 8, 5}};
  for (const int nodes : {1, 2, 5}) {
    INFO(nodes << " nodes");
    std::vector<std::pair<std::chrono::milliseconds, Event>> schedule;
    for (std::size_t i = 0; i < all.size(); ++i) schedule.emplace_back(10ms * static_cast<int>(i), all[i]);
    std::vector<std::int64_t> sums;
    testing::Cluster cluster{{.nodes = nodes}};
    cluster.run([&](Pipeline& pipeline) {
      pipeline.source(OnSchedule{schedule})
          .assign_timestamps(time_of)
          .key_by(&Event::key)
          .window(tumbling(10us))
          .allowed_lateness(15us)
          .sum(&Event::value)
          .sink([&](const auto& result) {
            if (result.window.start == at(0)) sums.push_back(result.value);
          });
    });
    CHECK(sums == std::vector<std::int64_t>{1, 3, 7});
  }
}
