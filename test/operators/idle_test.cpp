#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/events.hpp"
#include "support/on_schedule.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

using Schedule = std::vector<std::pair<std::chrono::milliseconds, Event>>;

/// Windows of two merged streams: the sum of each, when it came, and what was late.
struct Found {
  std::vector<std::pair<std::int64_t, std::int64_t>> sums;  // by start, in order
  std::vector<Duration> when;
  std::vector<int> late;
};

/// The second stream steps aside when it has had nothing for 50 ms. Late records are seen, or dropped: then windows are
/// filled in two steps.
template <bool sees_late = true>
auto found(int nodes, std::uint64_t seed, const Schedule& steady, const Schedule& fitful) -> Found {
  Found all;
  testing::Cluster cluster{{.nodes = nodes, .seed = seed}};
  cluster.run([&](Pipeline& pipeline) {
    const auto keep = [&](const auto& result) {
      all.sums.emplace_back(result.window.start.time_since_epoch().count(), result.value);
      all.when.push_back(cluster.elapsed());
    };
    auto windows =
        pipeline.source(OnSchedule{steady})
            .assign_timestamps(time_of)
            .merge(pipeline.source(OnSchedule{fitful}).assign_timestamps(time_of, monotonous().idle_after(50ms)))
            .key_by(&Event::key)
            .window(tumbling(100us));
    if constexpr (sees_late) {
      std::move(windows)
          .late([&](const Event& event) { all.late.push_back(event.value); })
          .sum(&Event::value)
          .sink(keep);
    } else {
      std::move(windows).sum(&Event::value).sink(keep);
    }
  });
  return all;
}

}  // namespace

TEST_CASE("an idle stream that came back is waited for again: what it promised is not late", "[operators][time]") {
  const Schedule steady{{0ms, {1, 1, 10}}, {100ms, {1, 2, 500}}, {300ms, {1, 4, 5'000}}, {800ms, {1, 8, 6'000}}};
  Schedule fitful{{0ms, {1, 16, 20}}, {200ms, {1, 32, 600}}};
  for (int i = 1; i < 10; ++i) fitful.emplace_back(200ms + 20ms * i, Event{1, 0, 600});  // it stays awake
  fitful.emplace_back(400ms, Event{1, 64, 700});
  for (const int nodes : {1, 2, 5}) {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
      INFO(nodes << " nodes, seed " << seed);
      for (const bool sees_late : {true, false}) {
        INFO((sees_late ? "late records are seen" : "in two steps"));
        const auto all = sees_late ? found(nodes, seed, steady, fitful) : found<false>(nodes, seed, steady, fitful);
        CHECK(all.late.empty());
        using Sums = decltype(all.sums);
        REQUIRE(all.sums == Sums{{0, 17}, {500, 2}, {600, 32}, {700, 64}, {5'000, 4}, {6'000, 8}});
        // While it was aside, the other one's 500 ended the first window; 600 and 700 waited for it.
        CHECK(all.when[0] >= 100ms);
        CHECK(all.when[0] < 110ms);
        CHECK(all.when[2] >= 400ms);
      }
    }
  }
}

TEST_CASE("an idle stream that has not come back is not waited for: what comes then is late", "[operators][time]") {
  const Schedule steady{{0ms, {1, 1, 10}}, {100ms, {1, 2, 500}}, {300ms, {1, 4, 5'000}}, {800ms, {1, 8, 6'000}}};
  const Schedule fitful{{0ms, {1, 16, 20}}, {400ms, {1, 64, 700}}};
  for (const int nodes : {1, 2, 5}) {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
      INFO(nodes << " nodes, seed " << seed);
      const auto all = found(nodes, seed, steady, fitful);
      CHECK(all.late == std::vector<int>{64});
      CHECK(all.sums == decltype(all.sums){{0, 17}, {500, 2}, {5'000, 4}, {6'000, 8}});
    }
  }
}

TEST_CASE("an idle instance of a source that came back is waited for, though it has passed no window's end",
          "[operators][time]") {
  /// Node 0 has the first schedule, node 1 the second.
  struct Schedules : OnSchedule<Event> {
    Schedules(Schedule steady, Schedule fitful) : OnSchedule<Event>(steady), other_(std::move(fitful)) {}
    void split(int part, int) {
      if (part == 1) static_cast<OnSchedule<Event>&>(*this) = other_;
    }

   private:
    OnSchedule<Event> other_;
  };
  const Schedule steady{{0ms, {1, 1, 10}}, {300ms, {1, 2, 500}}, {800ms, {1, 4, 600}}};
  Schedule fitful{{0ms, {1, 8, 20}}};
  for (int i = 0; i < 10; ++i) fitful.emplace_back(200ms + 20ms * i, Event{1, 16, 30});
  fitful.emplace_back(400ms, Event{1, 1'000, 700});
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    INFO("seed " << seed);
    std::vector<std::pair<std::int64_t, std::int64_t>> sums;
    testing::Cluster cluster{{.nodes = 2, .seed = seed}};
    cluster.run([&](Pipeline& pipeline) {
      pipeline.source(Schedules{steady, fitful})
          .assign_timestamps(time_of, monotonous().idle_after(50ms))
          .key_by(&Event::key)
          .window(tumbling(100us))
          .sum(&Event::value)
          .sink([&](const auto& result) {
            sums.emplace_back(result.window.start.time_since_epoch().count(), result.value);
          });
    });
    using Sums = decltype(sums);
    CHECK(sums == Sums{{0, 9 + 160}, {500, 2}, {600, 4}, {700, 1'000}});
  }
}
