#include <algorithm>
#include <stdexcept>
#include <utility>
#include <variant>

#include "catch.hpp"
#include "support/failing.hpp"
#include "support/skipped.hpp"

// on_error where a window's function fails at the end of the window.

using namespace tensair;
using namespace tensair::test;
using namespace tensair::test::failing;
using namespace std::chrono_literals;

TEST_CASE("windows whose function fails are left out, and the others come", "[operators][window][on_error]") {
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<Result> results, lists;
    run(topology, [&](Pipeline& pipeline) {
      gather(pipeline).on_error(skip).sink([&](const Result& one) { results.push_back(one); });
      listed(pipeline).on_error(skip).sink(
          [&](const WindowResult<int, int>& one) { lists.emplace_back(one.key, one.window.start); });
    });
    CHECK(sorted(results) == good_windows());
    CHECK(sorted(lists) == good_windows());
  }
}

TEST_CASE("windows whose function fails become dead letters with their key, window and records",
          "[operators][window][on_error]") {
  using All = WindowResult<int, std::vector<int>>;
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<Result> results;
    std::vector<All> letters, lists;
    const auto into = [](std::vector<All>& to) {
      return [&to](const DeadLetter<All>& letter) {
        CHECK(letter.error == "one");
        to.push_back(letter.record);
      };
    };
    run(topology, [&](Pipeline& pipeline) {
      gather(pipeline).on_error(dead_letter<All>(into(letters))).sink([&](const Result& one) {
        results.push_back(one);
      });
      listed(pipeline).on_error(dead_letter<All>(into(lists))).sink([](const auto&) {});
    });
    CHECK(sorted(results) == good_windows());
    for (auto* some : {&letters, &lists}) {
      REQUIRE(some->size() == count / 10);
      std::sort(some->begin(), some->end());
      for (int i = 0; i < count / 10; ++i) {
        auto& one = (*some)[static_cast<std::size_t>(i)];
        CHECK(one.window == Window{time_of(i * 10), time_of(i * 10 + 10)});
        CHECK(one.key == 1);
        CHECK(sorted(one.value) == numbers_of(1, one.window));
      }
    }
  }
}

TEST_CASE("each kind of window leaves out results that fail", "[operators][window][on_error]") {
  const auto list = [](auto windowed) {
    return std::move(windowed).aggregate(
        std::vector<int>{}, [](auto& all, int n) { all.push_back(n); },
        [](auto& all, auto others) { all.insert(all.end(), others.begin(), others.end()); },
        [](const auto& all) { return refuse_in(all); });
  };
  CHECK(skipped([&](Pipeline& p) { return list(keyed(p).window(tumbling(10us))); }) == 6);
  CHECK(skipped([&](Pipeline& p) { return list(keyed(p).window(sliding(20us, 10us))); }) == 7);
  CHECK(skipped([&](Pipeline& p) { return list(keyed(p).window(session(4us))); }) == 1);
  CHECK(skipped([&](Pipeline& p) { return list(keyed(p).window(tumbling(10us)).early(100)); }) == 6);
  CHECK(skipped([&](Pipeline& p) { return list(keyed(p).window(processing_time(tumbling(1h)))); }) == 1);
  // Twenty numbers of key 1: windows of 7, 7 and 6.
  CHECK(skipped([&](Pipeline& p) { return list(keyed(p).window(tumbling_count(7))); }) == 3);
  CHECK(skipped([&](Pipeline& p) { return list(keyed(p).window(processing_time(tumbling_count(7)))); }) == 3);
  CHECK(skipped([&](Pipeline& p) { return list(keyed(p).window(sliding_count(10, 5))); }) == 4);
}

TEST_CASE("a window's slices that cannot be merged leave the window out", "[operators][window][on_error]") {
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<Result> results;
    run(topology, [&](Pipeline& pipeline) {
      keyed(pipeline)
          .window(sliding(20us, 10us))
          .aggregate(
              -1, [](int& last, int n) { last = std::max(last, n); },
              [](int& last, int other) {
                refuse(key(other));
                last = std::max(last, other);
              },
              [](int last) { return last; })
          .on_error(skip)
          .sink([&](const WindowResult<int, int>& one) { results.emplace_back(one.key, one.window.start); });
    });
    for (const int of : {0, 2}) {
      for (int start = -10; start < count; start += 10)
        CHECK(std::count(results.begin(), results.end(), Result{of, time_of(start)}) == 1);
    }
    CHECK(results.size() < 3 * 7);
  }
}

TEST_CASE("the next window of a number of records does not have those of one that failed",
          "[operators][count_window][on_error]") {
  std::vector<int> sums;
  run({}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector{1, 2, 30, 40, 5, 6})
        .key_by([](int) { return 0; })
        .window(tumbling_count(2))
        .aggregate(
            0, [](int& sum, int n) { sum += n; }, [](int& sum, int other) { sum += other; },
            [](int sum) { return sum == 70 ? throw std::invalid_argument("seventy") : sum; })
        .on_error(skip)
        .sink([&](const KeyValue<int, int>& one) { sums.push_back(one.value); });
  });
  CHECK(sums == std::vector{3, 11});
}

TEST_CASE("records that fail when windows of a number of records take them in the order of time",
          "[operators][count_window][on_error]") {
  const auto even = [](int n) { return n % 2 == 0 ? n : throw std::invalid_argument("odd"); };
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<int> sums, letters;
    run(topology, [&](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{10})
          .assign_timestamps(time_of)
          .key_by([](int) { return 0; })
          .window(tumbling_count(2))
          .sum(even)
          .on_error(dead_letter<int>([&](const DeadLetter<int>& letter) { letters.push_back(letter.record); }))
          .sink([&](const auto& one) { sums.push_back(static_cast<int>(one.value)); });
    });
    CHECK(sums == std::vector{2, 10, 8});
    CHECK(letters == std::vector{1, 3, 5, 7, 9});
  }
}

TEST_CASE("a window whose first record fails comes in time", "[operators][window][on_error]") {
  const auto even = [](int n) { return n % 2 == 0 ? n : throw std::invalid_argument("odd"); };
  std::vector<std::pair<EventTime, EventTime>> ends;  // of windows, and the watermark in front of their results
  struct Sink {
    std::vector<std::pair<EventTime, EventTime>>* ends;
    EventTime now = beginning_of_time;
    void operator()(const WindowResult<int, std::int64_t>& one) { ends->emplace_back(one.window.end, now); }
    void watermark(EventTime time) { now = time; }
  };
  run({}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector{1, 2, 20, 26})
        .assign_timestamps(time_of)
        .filter([](int n) { return n != 20; })  // only the watermark is left of it
        .key_by([](int) { return 0; })
        .window(tumbling(10us))
        .sum(even)
        .on_error(skip)
        .sink(Sink{&ends});
  });
  REQUIRE(ends.size() == 2);
  for (const auto& [end, watermark] : ends) CHECK(watermark < end);
}

TEST_CASE("letters of windows and of records come to one sink as a variant", "[operators][window][on_error]") {
  using Letter = std::variant<int, WindowResult<int, std::vector<int>>>;
  int records = 0, windows = 0;
  run({}, [&](Pipeline& pipeline) {
    keyed(pipeline)
        .window(tumbling(10us))
        .aggregate(
            std::vector<int>{},
            [](auto& all, int n) { n == 2 ? throw std::invalid_argument("two") : all.push_back(n); },
            [](auto& all, auto others) { all.insert(all.end(), others.begin(), others.end()); },
            [](const auto& all) { return refuse_in(all); })
        .on_error(dead_letter<Letter>([&](const DeadLetter<Letter>& letter) {
          (std::holds_alternative<int>(letter.record) ? records : windows) += 1;
        }))
        .sink([](const auto&) {});
  });
  CHECK(records == 1);
  CHECK(windows == count / 10);
}

TEST_CASE("more letters than a channel holds come from one watermark, the last one", "[operators][window][on_error]") {
  using All = WindowResult<int, std::vector<int>>;
  constexpr int many = 20'000;
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<int> letters;
    run(topology, [&](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{many})
          .assign_timestamps(time_of)
          .key_by([](int n) { return n; })
          .window(tumbling(1s))
          .process<int>([](int, const Window&, std::span<const int>, auto) { throw std::invalid_argument("no"); })
          .on_error(
              dead_letter<All>([&](const DeadLetter<All>& letter) { letters.push_back(letter.record.value.at(0)); }))
          .sink([](int) {});
    });
    CHECK(sorted(letters) == numbers(many));
  }
}
