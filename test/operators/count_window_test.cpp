#include <span>
#include <tensair/error.hpp>
#include <vector>

#include "catch.hpp"
#include "support/events.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

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
