#include <algorithm>
#include <map>
#include <tensair/error.hpp>
#include <tuple>

#include "catch.hpp"
#include "support/dealt.hpp"
#include "support/events.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

/// The sums of each key in the order of its windows.
using Sums = std::map<int, std::vector<std::int64_t>>;

/// Looks back from every slide-th record of a key, and from where the next one would be at the end.
auto naive(const std::vector<Event>& all, std::size_t size, std::size_t slide) -> Sums {
  std::map<int, std::vector<int>> values;
  for (const auto& event : all) values[event.key].push_back(event.value);
  Sums sums;
  for (const auto& [key, own] : values) {
    for (std::size_t end = slide; end < own.size() + slide; end += slide) {
      std::int64_t sum = 0;
      for (std::size_t i = end - std::min(end, size); i < std::min(end, own.size()); ++i) sum += own[i];
      sums[key].push_back(sum);
    }
  }
  return sums;
}

auto windows_of(int size, int slide) -> CountWindows {
  const auto records = static_cast<std::uint64_t>(size);
  return size == slide ? tumbling_count(records) : sliding_count(records, static_cast<std::uint64_t>(slide));
}

/// The nodes and instances that a property is tried with.
struct Shape {
  int nodes, parallel;
};
const std::vector<Shape> shapes = {{1, 1}, {1, 3}, {2, 1}, {2, 3}, {5, 1}, {5, 3}};

}  // namespace

TEST_CASE("windows of a number of records have the last ones of their key", "[operators][window][property]") {
  const auto property = [](const std::vector<std::pair<int, int>>& draws) {
    const int slide = *rc::gen::inRange(1, 8), size = slide + *rc::gen::elementOf(std::vector<int>{0, 0, 1, 3, 8, 20});
    const auto shape = *rc::gen::elementOf(shapes);
    std::vector<Event> all;
    for (const auto& [key, value] : draws) all.push_back({std::abs(key) % 3, value % 1'000, 0});

    Sums sums;
    run({shape.nodes, static_cast<std::uint64_t>(*rc::gen::inRange(1, 1'000'000)), false}, [&](Pipeline& pipeline) {
      pipeline.source(all)
          .key_by(&Event::key)
          .parallel(shape.parallel)
          .window(windows_of(size, slide))
          .sum(&Event::value)
          .sink([&](const KeyValue<int, std::int64_t>& result) { sums[result.key].push_back(result.value); });
    });
    RC_ASSERT(sums == naive(all, static_cast<std::size_t>(size), static_cast<std::size_t>(slide)));
  };
  check_property("for any records, size and slide", property);
}

TEST_CASE("with event time, windows of a number of records have those that follow in time", "[operators][window]") {
  for (const auto& shape : shapes) {
    for (const std::uint64_t seed : {1, 2, 3}) {
      INFO(shape.nodes << " nodes, " << shape.parallel << " instances, seed " << seed);
      std::vector<Event> all;
      for (int i = 0; i < 700; ++i) all.push_back({i * i % 5, i, 40 * i - (i * 7919) % 1'000 * 40 - i % 40});
      auto in_order = all;
      std::sort(in_order.begin(), in_order.end(), [](const Event& a, const Event& b) { return a.time < b.time; });
      std::map<int, std::vector<std::int64_t>> times;
      for (const auto& event : in_order) times[event.key].push_back(event.time);

      Sums sums, stamps;
      int behind = 0;
      struct Sink {
        Sums *sums, *stamps;
        int* behind;
        EventTime watermark_ = beginning_of_time;
        void operator()(const KeyValue<int, std::int64_t>& result, EventTime time) {
          (*sums)[result.key].push_back(result.value);
          (*stamps)[result.key].push_back(time.time_since_epoch().count());
          *behind += time < watermark_ ? 1 : 0;
        }
        void watermark(EventTime time) { watermark_ = time; }
      };
      run({shape.nodes, seed, false}, [&](Pipeline& pipeline) {
        pipeline.source(Dealt{all})
            .parallel(2)
            .assign_timestamps(time_of, bounded_out_of_orderness(40ms))
            .key_by(&Event::key)
            .parallel(shape.parallel)
            .window(sliding_count(10, 4))
            .sum(&Event::value)
            .sink(Sink{&sums, &stamps, &behind});
      });
      CHECK(sums == naive(in_order, 10, 4));
      CHECK(behind == 0);
      for (const auto& [key, own] : stamps) {
        for (std::size_t i = 0; i < own.size(); ++i)
          CHECK(own[i] == times[key][std::min((i + 1) * 4, times[key].size()) - 1]);
      }
    }
  }
}

TEST_CASE("in processing time, windows of a number of records have those that follow as they come",
          "[operators][window]") {
  std::vector<std::int64_t> sums;
  run({}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector<Event>{{1, 1, 30}, {1, 2, 10}, {1, 4, 20}, {1, 8, 5}, {1, 16, 40}})
        .assign_timestamps(time_of, bounded_out_of_orderness(100us))
        .key_by(&Event::key)
        .window(processing_time(tumbling_count(2)))
        .sum(&Event::value)
        .sink([&](const KeyValue<int, std::int64_t>& result) { sums.push_back(result.value); });
  });
  CHECK(sums == std::vector<std::int64_t>{3, 12, 16});
}

TEST_CASE("a record that comes too late to be counted in its place is late", "[operators][window]") {
  std::vector<std::int64_t> sums, late;
  run({}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector<Event>{{1, 1, 10}, {1, 2, 20}, {1, 4, 15}, {1, 8, 30}})
        .assign_timestamps(time_of)  // expects no earlier time
        .key_by(&Event::key)
        .window(tumbling_count(2))
        .late([&](const Event& event) { late.push_back(event.value); })
        .sum(&Event::value)
        .sink([&](const auto& result) { sums.push_back(result.value); });
  });
  CHECK(sums == std::vector<std::int64_t>{3, 8});
  CHECK(late == std::vector<std::int64_t>{4});
}

TEST_CASE("process sees the records of a window of a number of them", "[operators][window]") {
  std::vector<std::vector<int>> seen;
  run({2, 1, false}, [&](Pipeline& pipeline) {
    pipeline.source(numbers(7))
        .window(sliding_count(3, 2))
        .process<std::vector<int>>([](AllKeys, std::span<const int> records, auto emit) {
          emit(std::vector<int>(records.begin(), records.end()));
        })
        .sink([&](const std::vector<int>& records) { seen.push_back(records); });
  });
  CHECK(seen == std::vector<std::vector<int>>{{0, 1}, {1, 2, 3}, {3, 4, 5}, {5, 6}});
}

TEST_CASE("windows of no records are refused", "[operators][window]") {
  CHECK_THROWS_AS(tumbling_count(0), UsageError);
  CHECK_THROWS_AS(sliding_count(0, 1), UsageError);
  CHECK_THROWS_AS(sliding_count(3, 0), UsageError);
  CHECK_THROWS_AS(sliding_count(3, 4), UsageError);
}
