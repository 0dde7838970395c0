#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <tensair/runtime/node.hpp>

#include "catch.hpp"
#include "support/events.hpp"
#include "support/on_schedule.hpp"

// Late records that go nowhere are counted.

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

using Schedule = std::vector<std::pair<std::chrono::milliseconds, Event>>;

/// How many late records the figures of a run of `compose(events with marks and keys)` count, and the sum of what it
/// emits.
template <class Compose>
auto late_and_sum(const std::vector<Event>& all, Compose compose) -> std::pair<int, int> {
  int sum = 0;
  Pipeline pipeline;
  compose(with_marks(pipeline, all).key_by(&Event::key)).name("here").sink([&](const auto& result) {
    sum += static_cast<int>(result.value);
  });
  pipeline.execute();
  int late = 0;
  const auto figures = nlohmann::json::parse(pipeline.figures());
  for (const auto& [name, number] : figures.at("counts").items()) {
    CHECK(name.ends_with("«here»: late records"));
    late += number.template get<int>();
  }
  return {late, sum};
}

/// Two streams of events that come when a schedule says, with one key.
auto streams(Pipeline& pipeline, const Schedule& left, const Schedule& right) {
  const auto one = [&](const Schedule& schedule) {
    return pipeline.source(OnSchedule{schedule}).assign_timestamps(time_of).key_by(&Event::key);
  };
  return std::pair(one(left), one(right));
}

/// A sink that knows a counter of its node: the figures of a simulated run cannot be asked for.
struct Watch {
  std::string name;
  std::shared_ptr<runtime::Counter>* counter;

  void open(runtime::Node& node) { *counter = node.counter(name); }
  void operator()(int) {}
};

/// The same of two streams, in virtual time.
template <class Compose>
auto late_and_sum_of_two(const Schedule& left, const Schedule& right, const std::string& counter, Compose compose)
    -> std::pair<int, int> {
  int sum = 0;
  std::shared_ptr<runtime::Counter> late;
  run({}, [&](Pipeline& pipeline) {
    auto [a, b] = streams(pipeline, left, right);
    compose(std::move(a).join(std::move(b)))
        .name("here")
        .inspect([&](int value) { sum += value; })
        .sink(Watch{counter, &late});
  });
  return {static_cast<int>(late->value()), sum};
}

}  // namespace

TEST_CASE("late records of windows of any kind are counted", "[operators][window][late]") {
  const std::vector<Event> all{{1, 1, 3},   mark(10),    {1, 2, 4}, {1, 4, 9},   {2, 8, 8},
                               {1, 16, 12}, {1, 32, 19}, mark(40),  {1, 64, 39}, {1, 128, 41}};
  using Found = std::pair<int, int>;
  CHECK(late_and_sum(all, [](auto keyed) { return std::move(keyed).window(tumbling(10us)).sum(&Event::value); }) ==
        Found{4, 1 + 16 + 32 + 128});
  CHECK(late_and_sum(all, [](auto keyed) {
          return std::move(keyed)
              .window(tumbling(10us))
              .template process<KeyValue<int, int>>(
                  [](int key, const Window&, std::span<const Event> records, auto emit) {
                    for (const auto& event : records) emit(KeyValue<int, int>{key, event.value});
                  });
        }) == Found{4, 1 + 16 + 32 + 128});
  // With allowed lateness the last result of a window has all that came in it; 39 came behind its end and 20 more.
  CHECK(late_and_sum(all, [](auto keyed) {
          return std::move(keyed).window(tumbling(10us)).allowed_lateness(20us).sum(&Event::value);
        }) == Found{0, 1 + 3 + 7 + 8 + 48 + 64 + 128});
  // In [0, 20) they are in time, and 39 in [30, 50).
  CHECK(late_and_sum(all, [](auto keyed) { return std::move(keyed).window(sliding(20us, 10us)).sum(&Event::value); }) ==
        Found{0, 1 + (1 + 2 + 4 + 16 + 32 + 8) + 48 + (64 + 128) + 128});
  // The session of 4 has ended at 9; that of 9 has not.
  CHECK(late_and_sum(all, [](auto keyed) { return std::move(keyed).window(session(5us)).sum(&Event::value); }) ==
        Found{1, 1 + 4 + 8 + 16 + 32 + 64 + 128});
  CHECK(late_and_sum(all, [](auto keyed) {
          return std::move(keyed).window(tumbling(10us)).early(100).sum(&Event::value);
        }) == Found{4, 1 + 16 + 32 + 128});
}

TEST_CASE("late records of both sides of a window join are counted", "[operators][join][late]") {
  // When the right one has come as far as 30, the watermark is the left one's 20: what ends until then is over.
  const Schedule left{{0ms, {1, 1, 5}}, {10ms, {1, 2, 20}}, {30ms, {1, 4, 6}}, {40ms, {1, 8, 12}}, {60ms, {1, 16, 50}}};
  const Schedule right{{0ms, {1, 100, 6}}, {20ms, {1, 200, 30}}, {50ms, {1, 400, 9}}, {60ms, {1, 800, 50}}};
  using Found = std::pair<int, int>;
  const auto sums = [](const Event& a, const Event& b) { return a.value + b.value; };
  CHECK(late_and_sum_of_two(left, right, "window_join «here»: late records", [&](auto joined) {
          return std::move(joined).window(tumbling(10us)).with(sums);
        }) == Found{3, 101 + 816});
  CHECK(late_and_sum_of_two(left, right, "co_group «here»: late records", [&](auto joined) {
          return std::move(joined)
              .window(tumbling(10us))
              .template co_group<int>([](int, const Window&, auto some, auto others, auto emit) {
                for (const auto& one : some) emit(one.value);
                for (const auto& one : others) emit(one.value);
              });
        }) == Found{3, 1 + 2 + 16 + 100 + 200 + 800});
}

TEST_CASE("late records of both sides of an interval join are counted", "[operators][join][late]") {
  const Schedule left{{0ms, {1, 1, 5}}, {10ms, {1, 2, 20}}, {30ms, {1, 4, 19}}, {40ms, {1, 8, 20}}};
  const Schedule right{{0ms, {1, 100, 6}}, {20ms, {1, 200, 30}}, {50ms, {1, 400, 9}}, {60ms, {1, 800, 50}}};
  CHECK(late_and_sum_of_two(left, right, "interval_join «here», late records", [](auto joined) {
          return std::move(joined).between(-1s, 1s).with(
              [](const Event& a, const Event& b) { return a.value * b.value; });
        }) == std::pair{2, (1 + 2 + 8) * (100 + 200 + 800)});
}

TEST_CASE("late records of a lookup as of event time are counted, and late rows are not", "[operators][lookup][late]") {
  const Schedule records{{0ms, {1, 1, 5}}, {10ms, {1, 2, 20}}, {30ms, {1, 4, 19}}, {40ms, {1, 8, 20}}};
  const Schedule rows{{0ms, {1, 100, 5}}, {20ms, {1, 200, 30}}, {25ms, {1, 300, 18}}, {60ms, {1, 400, 50}}};
  int sum = 0;
  std::shared_ptr<runtime::Counter> late;
  run({}, [&](Pipeline& pipeline) {
    auto [a, b] = streams(pipeline, records, rows);
    std::move(a)
        .lookup(std::move(b), as_of_event_time,
                [](const Event& record, const Event* row) { return record.value * (row == nullptr ? 0 : row->value); })
        .name("here")
        .inspect([&](int value) { sum += value; })
        .sink(Watch{"lookup_as_of «here», late records", &late});
  });
  CHECK(late->value() == 1);
  CHECK(sum == 1 * 100 + (2 + 8) * 300);
}
