#include <algorithm>
#include <map>
#include <span>

#include "catch.hpp"
#include "support/everywhere.hpp"
#include "support/everywhere_windows.hpp"

// Windows of numbers of records are the same on 1, 2 and 5 nodes, with 1 and 3 workers, in the simulation and over TCP.

using namespace tensair;
using namespace tensair::test;
using namespace tensair::test::windows_everywhere;
using namespace std::chrono_literals;

namespace {

using Result = std::pair<int, std::int64_t>;  // key and sum
constexpr int any_key = -1;

/// The sums of the last `size` events of each key, or of all, whenever `slide` more have come, and at the end.
auto naive(const std::vector<Event>& all, std::size_t size, std::size_t slide, bool with_keys) -> std::vector<Result> {
  std::map<int, std::vector<int>> values;
  for (const auto& event : all) values[with_keys ? event.key : any_key].push_back(event.value);
  std::vector<Result> sums;
  for (const auto& [key, own] : values) {
    for (std::size_t end = slide; end < own.size() + slide; end += slide) {
      std::int64_t sum = 0;
      for (std::size_t i = end > size ? end - size : 0; i < std::min(end, own.size()); ++i) sum += own[i];
      sums.emplace_back(key, sum);
    }
  }
  return sums;
}

/// The times of each key's events, in order.
using Times = KeyValue<int, std::vector<int>>;
auto times_by_key() -> std::map<int, std::vector<int>> {
  std::map<int, std::vector<int>> times;
  for (const auto& event : in_time_order()) times[event.key].push_back(static_cast<int>(event.time));
  return times;
}
constexpr auto times_of_window = [](int key, std::span<const Event> records, auto emit) {
  Times window{key, {}};
  for (const auto& event : records) window.value.push_back(static_cast<int>(event.time));
  emit(std::move(window));
};

constexpr auto with_key = [](const auto& result) { return Result{result.key, result.value}; };
constexpr auto without_key = [](const auto& result) { return Result{any_key, result.value}; };

}  // namespace

TEST_CASE("windows of numbers of records have those that follow in event time, everywhere",
          "[operators][window][everywhere]") {
  const auto ordered = in_time_order();
  for (const std::size_t slide : {4U, 3U}) {
    check_everywhere(naive(ordered, 4, slide, true), [&](Pipeline& pipeline, int parallel) {
      auto keyed = timed(pipeline, parallel).key_by(&Event::key).parallel(parallel);
      return std::move(keyed).window(sliding_count(4, slide)).sum(&Event::value).map(with_key);
    });
    check_everywhere(naive(ordered, 4, slide, false), [&](Pipeline& pipeline, int parallel) {
      return timed(pipeline, parallel).window(sliding_count(4, slide)).sum(&Event::value).map(without_key);
    });
  }
}

TEST_CASE(
    "in processing time windows of numbers of records have those that follow as one source gives them, everywhere",
    "[operators][window][everywhere]") {
  for (const std::size_t slide : {7U, 2U}) {
    check_everywhere(naive(events, 7, slide, true), [&](Pipeline& pipeline, int parallel) {
      auto keyed = pipeline.source(events).key_by(&Event::key).parallel(parallel);
      return std::move(keyed).window(processing_time(sliding_count(7, slide))).sum(&Event::value).map(with_key);
    });
    check_everywhere(naive(events, 7, slide, false), [&](Pipeline& pipeline, int) {
      return pipeline.source(events)
          .window(processing_time(sliding_count(7, slide)))
          .sum(&Event::value)
          .map(without_key);
    });
  }
}

TEST_CASE("in processing time windows of numbers of records from several sources have all of them once, everywhere",
          "[operators][window][everywhere]") {
  const auto expected = times_by_key();
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::map<int, std::vector<int>> times;
    std::map<int, std::size_t> windows;
    run(topology, [&](Pipeline& pipeline) {
      source(pipeline, 3)
          .key_by(&Event::key)
          .parallel(2)
          .window(processing_time(tumbling_count(7)))
          .process<Times>(times_of_window)
          .sink([&](const Times& window) {
            ++windows[window.key];
            auto& own = times[window.key];
            own.insert(own.end(), window.value.begin(), window.value.end());
          });
    });
    for (auto& [key, own] : times) {
      CHECK(windows[key] == (own.size() + 6) / 7);
      std::sort(own.begin(), own.end());
    }
    CHECK(times == expected);
  }
}

TEST_CASE("a record is counted in the order of time or late, never both, everywhere",
          "[operators][window][everywhere]") {
  const auto expected = times_by_key();
  std::size_t late = 0;
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::map<int, std::vector<std::vector<int>>> windows;
    std::map<int, std::vector<int>> all;
    run(topology, [&](Pipeline& pipeline) {
      timed(pipeline, 2, 0us)  // expects no disorder
          .key_by(&Event::key)
          .window(tumbling_count(4))
          .late([&](const Event& event) {
            all[event.key].push_back(static_cast<int>(event.time));
            ++late;
          })
          .process<Times>(times_of_window)
          .sink([&](const Times& window) { windows[window.key].push_back(window.value); });
    });
    for (auto& [key, own] : windows) {
      std::sort(own.begin(), own.end());
      std::vector<int> counted;
      for (const auto& window : own) {
        CHECK((window.size() == 4 || window == own.back()));
        counted.insert(counted.end(), window.begin(), window.end());
      }
      CHECK(std::is_sorted(counted.begin(), counted.end()));  // also from window to window
      all[key].insert(all[key].end(), counted.begin(), counted.end());
    }
    for (auto& [key, own] : all) std::sort(own.begin(), own.end());
    CHECK(all == expected);
  }
  CHECK(late > 0);
  CHECK(late < topologies().size() * events.size());
}
