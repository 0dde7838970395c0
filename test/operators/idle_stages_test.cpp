// Stages between a stream that is idle at times and the merge behind it: what they do must not wake it up, nor keep it
// from being back.

#include <deque>
#include <tensair/io/at_rate.hpp>
#include <tensair/io/discard.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/events.hpp"
#include "support/on_schedule.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

using Schedule = std::vector<std::pair<std::chrono::milliseconds, Event>>;
using Sums = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// Sums of windows of 100 µs of two merged streams, what was late, and when the first window ended.
struct Found {
  Sums sums;  // by start, in order
  std::vector<int> late;
  Duration first{};
};

/// Aside when it has had nothing for 50 ms.
auto fitful(Pipeline& pipeline, const Schedule& schedule) {
  return pipeline.source(OnSchedule{schedule}).assign_timestamps(time_of, monotonous().idle_after(50ms));
}

/// `other(pipeline)` makes the stream that is merged with the steady one.
template <class Other>
auto merged(int nodes, std::uint64_t seed, const Schedule& steady, Other other) -> Found {
  Found all;
  testing::Cluster cluster{{.nodes = nodes, .seed = seed}};
  cluster.run([&](Pipeline& pipeline) {
    auto stream = other(pipeline);
    pipeline.source(OnSchedule{steady})
        .assign_timestamps(time_of)
        .merge(std::move(stream))
        .key_by(&Event::key)
        .window(tumbling(100us))
        .late([&](const Event& event) { all.late.push_back(event.value); })
        .sum(&Event::value)
        .sink([&](const auto& result) {
          if (all.sums.empty()) all.first = cluster.elapsed();
          all.sums.emplace_back(result.window.start.time_since_epoch().count(), result.value);
        });
  });
  return all;
}

template <class Check>
void for_topologies(Check check) {
  for (const int nodes : {1, 2, 5}) {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
      INFO(nodes << " nodes, seed " << seed);
      check(nodes, seed);
    }
  }
}

const Schedule steady{{0ms, {1, 1, 10}}, {100ms, {1, 2, 500}}, {300ms, {1, 4, 5'000}}, {800ms, {1, 8, 6'000}}};

/// What a window's result is as an event, at the window's last moment.
constexpr auto to_event = [](const auto& result) {
  return Event{1, static_cast<int>(result.value), result.window.last().time_since_epoch().count()};
};

/// Asks somebody who answers one question every 10 ms.
class Service {
 public:
  void ask(const Event& question, Reply<Event> reply) { waiting_.emplace_back(question, std::move(reply)); }
  auto answers(Pipeline& pipeline, std::uint64_t n) {
    return pipeline.source(at_rate(100, [this, n](std::uint64_t i, Time) -> std::optional<int> {
      if (i == n) return std::nullopt;
      if (!waiting_.empty()) {
        auto [question, reply] = std::move(waiting_.front());
        waiting_.pop_front();
        reply(question);
      }
      return 0;
    }));
  }

 private:
  std::deque<std::pair<Event, Reply<Event>>> waiting_;
};

/// Passes on what has a value.
struct Passes {
  struct State {};
  using Output = Event;
  void operator()(const Event& event, State&, ProcessContext<int, Event>& context) {
    if (event.value != 0) context.emit(event);
  }
};

constexpr auto has_value = [](const Event& event) { return event.value != 0; };

/// What is between the stream that is aside at times and the merge: each drops events without value in its own way.
enum class Way { filter, rebalance, process, other_times, fork, count_window };

template <Way way>
void check_back() {
  const auto without_zeros = [](auto stream) {
    if constexpr (way == Way::filter) {
      return std::move(stream).filter(has_value);
    } else if constexpr (way == Way::rebalance) {
      return std::move(stream).rebalance().filter(has_value);
    } else if constexpr (way == Way::process) {
      return std::move(stream).key_by(&Event::key).process(Passes{});
    } else if constexpr (way == Way::other_times) {
      return std::move(stream).assign_timestamps(time_of).filter(has_value);
    } else if constexpr (way == Way::fork) {
      auto kept = std::move(stream).filter(has_value);
      kept.sink(discard());
      return kept.filter(has_value);
    } else {
      return std::move(stream)
          .key_by(&Event::key)
          .window(tumbling_count(1))
          .reduce([](const Event& first, const Event&) { return first; })
          .map([](const auto& result) { return result.value; })
          .filter(has_value);
    }
  };
  Schedule back{{0ms, {1, 16, 15}}, {0ms, {1, 0, 20}}};
  for (int i = 0; i < 10; ++i) back.emplace_back(200ms + 20ms * i, Event{1, 0, 20});
  back.emplace_back(400ms, Event{1, 64, 700});
  for_topologies([&](int nodes, std::uint64_t seed) {
    const auto all =
        merged(nodes, seed, steady, [&](Pipeline& pipeline) { return without_zeros(fitful(pipeline, back)); });
    CHECK(all.late.empty());
    CHECK(all.sums == Sums{{0, 17}, {500, 2}, {700, 64}, {5'000, 4}, {6'000, 8}});
    CHECK(all.first >= 100ms);  // it had been aside
    CHECK(all.first < 120ms);
  });
}

}  // namespace

TEST_CASE("an idle stream is back with its first record, though neither that nor a watermark comes through",
          "[operators][time]") {
  SECTION("dropped by a filter") {
    check_back<Way::filter>();
  }
  SECTION("dropped behind another edge") {
    check_back<Way::rebalance>();
  }
  SECTION("dropped by a process function") {
    check_back<Way::process>();
  }
  SECTION("dropped behind other times") {
    check_back<Way::other_times>();
  }
  SECTION("dropped in front of two uses") {
    check_back<Way::fork>();
  }
  SECTION("dropped behind a count window") {
    check_back<Way::count_window>();
  }
}

TEST_CASE("an idle stream stays aside whatever the timers of stages do", "[operators][time]") {
  const Schedule aside{{0ms, {1, 16, 15}}, {700ms, {1, 64, 5'500}}};
  const auto check = [&](auto stages) {
    for_topologies([&](int nodes, std::uint64_t seed) {
      const auto all = merged(nodes, seed, steady, [&](Pipeline& pipeline) { return stages(fitful(pipeline, aside)); });
      CHECK(all.first >= 100ms);
      CHECK(all.first < 120ms);
    });
  };
  SECTION("states that expire") {
    check([](auto stream) { return std::move(stream).key_by(&Event::key).time_to_live(80ms).process(Passes{}); });
  }
  SECTION("early results that are dropped") {
    check([](auto stream) {
      return std::move(stream)
          .key_by(&Event::key)
          .window(tumbling(100us))
          .early(80ms)
          .sum(&Event::value)
          .map(to_event)
          .filter([](const Event& event) { return event.value > 1'000; });
    });
  }
  SECTION("early results that pass") {
    check([](auto stream) {
      return std::move(stream).key_by(&Event::key).window(tumbling(100us)).early(60ms).sum(&Event::value).map(to_event);
    });
  }
  SECTION("batches within a time") {
    check([](auto stream) {
      return std::move(stream).batch({.within = 70ms}).flat_map([](const auto& batch) { return batch.records; });
    });
  }
}

TEST_CASE("a stream that is back while its windows still fire is waited for", "[operators][time]") {
  Schedule back;
  for (int key = 0; key < 30; ++key) back.emplace_back(0ms, Event{key, 1, 10});
  back.emplace_back(0ms, Event{0, 1, 200});
  for (int i = 0; i < 19; ++i) back.emplace_back(120ms + 20ms * i, Event{0, 0, 200});
  back.emplace_back(500ms, Event{0, 1'000, 210});
  back.emplace_back(510ms, Event{0, 1, 9'000});
  const Schedule others{{0ms, {1, 1, 10}}, {400ms, {1, 4, 5'000}}, {800ms, {1, 8, 9'000}}};
  for_topologies([&](int nodes, std::uint64_t seed) {
    Service service;  // which takes 300 ms for the results of the first windows
    const auto all = merged(nodes, seed, others, [&](Pipeline& pipeline) {
      service.answers(pipeline, 120).sink([](int) {});
      auto kept = fitful(pipeline, back).filter(has_value);
      kept.sink(discard());
      return kept.map([](const Event& event) { return event; })
          .key_by(&Event::key)
          .window(tumbling(100us))
          .sum(&Event::value)
          .map(to_event)
          .template async_map<Event>([&](Event event, Reply<Event> reply) { service.ask(event, std::move(reply)); },
                                     {.concurrency = 1});
    });
    CHECK(all.late.empty());
    CHECK(all.sums == Sums{{0, 31}, {200, 1'001}, {5'000, 4}, {9'000, 9}});
  });
}

TEST_CASE("a stream is back before its records are answered", "[operators][time]") {
  const Schedule back{{0ms, {1, 16, 15}}, {0ms, {1, 1, 20}}, {290ms, {1, 64, 700}}, {292ms, {1, 32, 710}}};
  for_topologies([&](int nodes, std::uint64_t seed) {
    Service service;
    const auto all = merged(nodes, seed, steady, [&](Pipeline& pipeline) {
      service.answers(pipeline, 100).sink([](int) {});
      return fitful(pipeline, back).template async_map<Event>([&](Event event, Reply<Event> reply) {
        service.ask(event, std::move(reply));
      });
    });
    CHECK(all.late.empty());
    CHECK(all.sums == Sums{{0, 18}, {500, 2}, {700, 96}, {5'000, 4}, {6'000, 8}});
  });
}

TEST_CASE("a stream that becomes idle while its windows still fire is aside when they are through",
          "[operators][time]") {
  // More results at a time than an edge takes, at a watermark that holds only because both are idle.
  Schedule many{{0ms, {-1, 1, 200}}};
  for (int key = 0; key < 20'000; ++key) many.emplace_back(0ms, Event{key, 1, 10});
  std::swap(many.front(), many.back());
  many.emplace_back(900ms, Event{-1, 1, 5'000});
  const Schedule few{{0ms, {-1, 1, 20}}, {20ms, {-1, 1, 20}}, {900ms, {-1, 1, 5'000}}};
  const Schedule others{{0ms, {1, 1, 10}}, {200ms, {1, 1, 1'500}}, {800ms, {1, 1, 5'000}}};
  for (const int nodes : {1, 2}) {
    INFO(nodes << " nodes");
    std::vector<std::tuple<std::int64_t, std::int64_t, bool>> sums;
    testing::Cluster cluster{{.nodes = nodes, .seed = 1}};
    cluster.run([&](Pipeline& pipeline) {
      auto results = fitful(pipeline, many)
                         .merge(fitful(pipeline, few))
                         .key_by(&Event::key)
                         .window(tumbling(100us))
                         .sum(&Event::value)
                         .map(to_event);
      pipeline.source(OnSchedule{others})
          .assign_timestamps(time_of)
          .merge(std::move(results))
          .key_by(&Event::key)
          .window(tumbling(1ms))
          .sum(&Event::value)
          .sink([&](const auto& result) {
            sums.emplace_back(result.window.start.time_since_epoch().count(), result.value, cluster.elapsed() < 300ms);
          });
    });
    REQUIRE(!sums.empty());
    CHECK(sums.front() == std::tuple<std::int64_t, std::int64_t, bool>{0, 20'003, true});
  }
}
