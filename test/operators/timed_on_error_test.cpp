#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <tensair/error.hpp>
#include <utility>
#include <variant>

#include "catch.hpp"
#include "support/streams.hpp"

// on_error where a function fails because time has gone on, and no record has come: at the end of windows, at timers,
// at the end of the stream.

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr int count = 60, keys = 3;

auto key(int n) -> int {
  return n % keys;
}
auto time_of(int n) -> EventTime {
  return EventTime{std::chrono::microseconds{n}};
}
auto keyed(Pipeline& pipeline) {
  return pipeline.source(SharedNumbers{count}).assign_timestamps(time_of).key_by(key);
}

template <class T>
auto sorted(std::vector<T> all) -> std::vector<T> {
  std::sort(all.begin(), all.end());
  return all;
}

// Fails on the key 1.
void refuse(int of_key) {
  if (of_key == 1) throw std::invalid_argument("one");
}
template <class Of>
auto refuse_in(const Of& all) {
  if (key(all[0]) == 1) throw std::invalid_argument("one");
  return static_cast<int>(all.size());
}

using Result = std::pair<int, EventTime>;  // a window's key and start

/// The windows of ten microseconds of each key that is not 1; of key 1; all with their numbers.
auto good_windows() -> std::vector<Result> {
  std::vector<Result> all;
  for (const int of : {0, 2}) {
    for (int start = 0; start < count; start += 10) all.emplace_back(of, time_of(start));
  }
  return all;
}
auto numbers_of(int of_key, const Window& window) -> std::vector<int> {
  std::vector<int> all;
  for (int n = 0; n < count; ++n) {
    if (key(n) == of_key && window.contains(time_of(n))) all.push_back(n);
  }
  return all;
}

auto gather(Pipeline& pipeline) {
  return keyed(pipeline)
      .parallel(2)
      .window(tumbling(10us))
      .process<Result>([](int of, const Window& window, std::span<const int> all, auto emit) {
        refuse(of);
        if (sorted(std::vector<int>(all.begin(), all.end())) != numbers_of(of, window)) throw std::logic_error("lost");
        emit(Result{of, window.start});
      })
      .name("gather");
}
/// A list that fails when its result is asked for.
auto listed(Pipeline& pipeline) {
  return keyed(pipeline).parallel(2).window(tumbling(10us)).aggregate(
      std::vector<int>{}, [](auto& all, int n) { all.push_back(n); },
      [](auto& all, auto others) { all.insert(all.end(), others.begin(), others.end()); },
      [](const auto& all) { return refuse_in(all); });
}

/// Runs `build`, which returns a stream of something, on one node, and says how often something was skipped.
template <class Build>
auto skipped(Build build) -> int {
  Pipeline pipeline;
  build(pipeline).on_error(skip).sink([](const auto&) {});
  pipeline.execute();
  int sum = 0;
  const auto figures = nlohmann::json::parse(pipeline.figures());
  for (const auto& [name, number] : figures.at("counts").items()) {
    if (name.ends_with(": skipped")) sum += number.template get<int>();
  }
  return sum;
}

/// Emits a key at the times 5, 15, 25, …, for which it asks in turn; key 1 fails at each.
struct Ticker {
  using State = int;
  using Output = std::pair<int, int>;
  using Context = ProcessContext<int, Output>;

  void operator()(int n, int& ticks, Context& context) const {
    if (n < keys) context.at(time_of(5));
    static_cast<void>(ticks);
  }
  void on_event_time(EventTime time, int& ticks, Context& context) const {
    ++ticks;
    if (time + 10us < time_of(count)) context.at(time + 10us);
    refuse(context.key());
    context.emit({context.key(), ticks});
  }
};

}  // namespace

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

TEST_CASE("a key of which every record fails has no result", "[operators][window][on_error]") {
  const auto even = [](int n) { return n % 2 == 0 ? n : throw std::invalid_argument("odd"); };
  const auto itself = [](int n) { return n; };
  const auto seen = [&](auto build) {
    std::vector<int> all;
    run({}, [&](Pipeline& pipeline) {
      build(pipeline.source(SharedNumbers{6}).assign_timestamps(time_of).key_by(itself))
          .on_error(skip)
          .sink([&](const auto& one) { all.push_back(one.key); });
    });
    return sorted(all);
  };
  const std::vector<int> good{0, 2, 4};
  CHECK(seen([&](auto numbers) { return std::move(numbers).window(tumbling(10us)).max(even); }) == good);
  CHECK(seen([&](auto numbers) { return std::move(numbers).window(session(10us)).max(even); }) == good);
  CHECK(seen([&](auto numbers) { return std::move(numbers).window(tumbling(10us)).early(5).max(even); }) == good);
  CHECK(seen([&](auto numbers) { return std::move(numbers).max(even, at_end); }) == good);
}

TEST_CASE("a window whose first record fails comes in time", "[operators][window][on_error]") {
  const auto even = [](int n) { return n % 2 == 0 ? n : throw std::invalid_argument("odd"); };
  for (const int first : {0, 1}) {
    std::vector<std::pair<EventTime, EventTime>> ends;  // of windows, and the watermark in front of their results
    struct Sink {
      std::vector<std::pair<EventTime, EventTime>>* ends;
      EventTime now = beginning_of_time;
      void operator()(const WindowResult<int, std::int64_t>& one) { ends->emplace_back(one.window.end, now); }
      void watermark(EventTime time) { now = time; }
    };
    std::vector<int> numbers;
    for (int n = first; n < 40; ++n) numbers.push_back(n);
    run({}, [&](Pipeline& pipeline) {
      pipeline.source(numbers)
          .assign_timestamps(time_of)
          .key_by([](int) { return 0; })
          .window(tumbling(10us))
          .sum(even)
          .on_error(skip)
          .sink(Sink{&ends});
    });
    REQUIRE(ends.size() == 4);
    for (const auto& [end, watermark] : ends) CHECK(watermark < end);
  }
}

TEST_CASE("timers that fail are left out or become dead letters, and later ones come", "[operators][process][on_error]") {
  std::vector<std::pair<int, int>> good;
  for (const int of : {0, 2}) {
    for (int tick = 1; tick <= count / 10; ++tick) good.emplace_back(of, tick);
  }
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<std::pair<int, int>> skipping, results;
    std::vector<std::int64_t> times;
    run(topology, [&](Pipeline& pipeline) {
      keyed(pipeline).process(Ticker{}).on_error(skip).sink([&](const auto& one) { skipping.push_back(one); });
      keyed(pipeline)
          .process(Ticker{})
          .on_error(dead_letter<FailedTimer<int>>([&](const DeadLetter<FailedTimer<int>>& letter) {
            CHECK(letter.record.key == 1);
            CHECK(!letter.record.in_processing_time);
            times.push_back(letter.record.time.time_since_epoch().count());
          }))
          .sink([&](const auto& one) { results.push_back(one); });
    });
    CHECK(sorted(skipping) == good);
    CHECK(sorted(results) == good);
    CHECK(times == std::vector<std::int64_t>{5, 15, 25, 35, 45, 55});
  }
}

TEST_CASE("values that fail at the end of the stream are left out or become dead letters", "[operators][on_error]") {
  using Letter = KeyValue<int, std::vector<int>>;
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<int> skipping, results;
    std::vector<Letter> letters;
    const auto list = [](Pipeline& pipeline) {
      return keyed(pipeline).aggregate(
          std::vector<int>{}, [](auto& all, int n) { all.push_back(n); },
          [](auto& all, auto others) { all.insert(all.end(), others.begin(), others.end()); },
          [](const auto& all) { return refuse_in(all); }, at_end);
    };
    run(topology, [&](Pipeline& pipeline) {
      list(pipeline).on_error(skip).sink([&](const auto& one) { skipping.push_back(one.key); });
      list(pipeline)
          .on_error(dead_letter<Letter>([&](const DeadLetter<Letter>& letter) { letters.push_back(letter.record); }))
          .sink([&](const auto& one) { results.push_back(one.key); });
    });
    CHECK(sorted(skipping) == std::vector{0, 2});
    CHECK(sorted(results) == std::vector{0, 2});
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].key == 1);
    CHECK(sorted(letters[0].value) == numbers_of(1, {time_of(0), time_of(count)}));
  }
}

TEST_CASE("co-groups that fail are left out or become dead letters with the records of both sides",
          "[operators][co_group][on_error]") {
  using Letter = WindowResult<int, std::pair<std::vector<int>, std::vector<int>>>;
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<Result> skipping, results;
    std::vector<Letter> letters;
    const auto group = [](Pipeline& pipeline) {
      return keyed(pipeline)
          .join(keyed(pipeline))
          .window(tumbling(10us))
          .co_group<Result>([](int of, const Window& window, auto, auto, auto emit) {
            refuse(of);
            emit(Result{of, window.start});
          });
    };
    run(topology, [&](Pipeline& pipeline) {
      group(pipeline).on_error(skip).sink([&](const Result& one) { skipping.push_back(one); });
      group(pipeline)
          .on_error(dead_letter<Letter>([&](const DeadLetter<Letter>& letter) { letters.push_back(letter.record); }))
          .sink([&](const Result& one) { results.push_back(one); });
    });
    CHECK(sorted(skipping) == good_windows());
    CHECK(sorted(results) == good_windows());
    REQUIRE(letters.size() == count / 10);
    for (const auto& letter : letters) {
      CHECK(sorted(letter.value.first) == numbers_of(1, letter.window));
      CHECK(sorted(letter.value.second) == numbers_of(1, letter.window));
    }
  }
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

TEST_CASE("what fails without a record names the key and what it was called for", "[operators][on_error][error]") {
  const auto failure = [](auto build) -> std::string {
    try {
      run({}, [&](Pipeline& pipeline) { build(pipeline).sink([](const auto&) {}); });
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  };
  const std::string window = "key 1, window from 1970-01-01 00:00:00 to 1970-01-01 00:00:00.000010";
  CHECK(failure([](Pipeline& p) { return gather(p); }) ==
        "window process «gather» threw: one (node 0, " + window + ")");
  CHECK(failure([](Pipeline& p) { return gather(p).on_error(stop); }) ==
        "window process «gather» threw: one (node 0, " + window + ")");
  CHECK_THAT(failure([](Pipeline& p) { return keyed(p).process(Ticker{}).name("ticker"); }),
             ContainsSubstring("process «ticker» threw: one (node 0, key 1, timer for 1970-01-01 00:00:00.000005)"));
  const auto to_text = [](int n) { return "«" + std::to_string(n) + "»"; };
  CHECK_THAT(failure([&](Pipeline& p) {
               return p.source(numbers(3)).key_by(to_text).aggregate(
                   0, [](int& sum, int n) { sum += n; }, [](int& sum, int other) { sum += other; },
                   [](int sum) { return sum == 2 ? throw std::invalid_argument("two") : sum; }, at_end);
             }),
             ContainsSubstring("threw: two (node 0, key ««2»», at the end of the stream)"));
  // The letter's type can be made of records alone.
  CHECK_THAT(failure([](Pipeline& p) { return listed(p).on_error(dead_letter<int>([](const auto&) {})); }),
             ContainsSubstring("threw: one; dead_letter<T> has a T that cannot hold it (node 0, " + window));
}

TEST_CASE("a failure behind a window or a timer is not theirs", "[operators][on_error][error]") {
  const auto sink_fails = [](auto build) {
    run({}, [&](Pipeline& pipeline) {
      build(pipeline).on_error(skip).sink([](const auto&) { throw std::runtime_error("behind"); });
    });
  };
  CHECK_THROWS_WITH(sink_fails([](Pipeline& p) { return gather(p); }), ContainsSubstring("sink #4 threw: behind"));
  CHECK_THROWS_WITH(sink_fails([](Pipeline& p) { return listed(p); }), ContainsSubstring("sink #4 threw: behind"));
  CHECK_THROWS_WITH(sink_fails([](Pipeline& p) { return keyed(p).process(Ticker{}); }),
                    ContainsSubstring("sink #4 threw: behind"));
}
