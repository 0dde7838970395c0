#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <tensair/error.hpp>
#include <utility>
#include <variant>

#include "catch.hpp"
#include "support/failing.hpp"
#include "support/on_schedule.hpp"

// on_error where a function fails because time has gone on, and no record has come: at timers, at the end of the
// stream.

using namespace tensair;
using namespace tensair::test;
using namespace tensair::test::failing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

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

/// Emits each key 10 ms after a number below 3; key 1 fails.
struct Alarm {
  using State = int;
  using Output = int;
  using Context = ProcessContext<int, Output>;

  void operator()(int n, int&, Context& context) const {
    if (n < keys) context.at(context.now() + 10ms);
  }
  void on_processing_time(Time, int&, Context& context) const {
    refuse(context.key());
    context.emit(context.key());
  }
};

}  // namespace

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

TEST_CASE("timers that fail are left out or become dead letters, and later ones come",
          "[operators][process][on_error]") {
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

TEST_CASE("timers in processing time that fail are left out or become dead letters", "[operators][process][on_error]") {
  const std::vector<std::pair<std::chrono::milliseconds, int>> all{{0ms, 0}, {0ms, 1}, {0ms, 2}, {500ms, 3}};
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<int> skipping, results;
    std::vector<FailedTimer<int>> letters;
    run(topology, [&](Pipeline& pipeline) {
      pipeline.source(OnSchedule{all}).key_by(key).process(Alarm{}).on_error(skip).sink([&](int of) {
        skipping.push_back(of);
      });
      pipeline.source(OnSchedule{all})
          .key_by(key)
          .process(Alarm{})
          .on_error(dead_letter<FailedTimer<int>>(
              [&](const DeadLetter<FailedTimer<int>>& letter) { letters.push_back(letter.record); }))
          .sink([&](int of) { results.push_back(of); });
    });
    CHECK(sorted(skipping) == std::vector{0, 2});
    CHECK(sorted(results) == std::vector{0, 2});
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].key == 1);
    CHECK(letters[0].in_processing_time);
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
               return p.source(numbers(3))
                   .key_by(to_text)
                   .aggregate(
                       0, [](int& sum, int n) { sum += n; }, [](int& sum, int other) { sum += other; },
                       [](int sum) { return sum == 2 ? throw std::invalid_argument("two") : sum; }, at_end);
             }),
             ContainsSubstring("threw: two (node 0, key ««2»», at the end of the stream)"));
  const auto meet = [](int of, const Window&, auto, auto, auto emit) {
    refuse(of);
    emit(of);
  };
  CHECK_THAT(failure([&](Pipeline& p) {
               return keyed(p).join(keyed(p)).window(tumbling(10us)).co_group<int>(meet).name("meet");
             }),
             ContainsSubstring("co_group «meet» threw: one (node 0, " + window));
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

TEST_CASE("records that cannot be added up are skipped in front of the exchange too", "[operators][on_error]") {
  const auto even = [](int n) { return n % 2 == 0 ? n : throw std::invalid_argument("odd"); };
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<std::pair<int, long>> sums, most;
    run(topology, [&](Pipeline& pipeline) {
      keyed(pipeline).sum(even, at_end).on_error(skip).sink([&](const auto& one) {
        sums.emplace_back(one.key, one.value);
      });
      // A key of its own for each number: odd ones have no value.
      pipeline.source(SharedNumbers{6})
          .key_by([](int n) { return n; })
          .max(even, at_end)
          .on_error(skip)
          .sink([&](const auto& one) { most.emplace_back(one.key, one.value); });
    });
    // 0 + 6 + … + 54, 4 + 10 + … + 58, 2 + 8 + … + 56.
    CHECK(sorted(sums) == std::vector<std::pair<int, long>>{{0, 270}, {1, 310}, {2, 290}});
    CHECK(sorted(most) == std::vector<std::pair<int, long>>{{0, 0}, {2, 2}, {4, 4}});
  }
}

TEST_CASE("records that cannot be added up become dead letters, where they are added up to the end",
          "[operators][on_error]") {
  const auto even = [](int n) { return n % 2 == 0 ? n : throw std::invalid_argument("odd"); };
  std::vector<int> odd;
  for (int n = 1; n < count; n += 2) odd.push_back(n);
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<std::pair<int, long>> sums, most;
    std::vector<int> letters, alone;
    const auto has_its_text = [](const DeadLetter<int>& letter) {
      CHECK(letter.error == "odd");
      CHECK(letter.operator_name == "sum «all»");
    };
    run(topology, [&](Pipeline& pipeline) {
      keyed(pipeline)
          .sum(even, at_end)
          .name("all")
          .on_error(dead_letter<int>([&](const DeadLetter<int>& letter) {
            has_its_text(letter);
            letters.push_back(letter.record);
          }))
          .sink([&](const auto& one) { sums.emplace_back(one.key, one.value); });
      // A key of its own for each number: odd ones have no value.
      pipeline.source(SharedNumbers{6})
          .key_by([](int n) { return n; })
          .max(even, at_end)
          .on_error(dead_letter<int>([&](const DeadLetter<int>& letter) { alone.push_back(letter.record); }))
          .sink([&](const auto& one) { most.emplace_back(one.key, one.value); });
    });
    CHECK(sorted(letters) == odd);
    CHECK(sorted(alone) == std::vector{1, 3, 5});
    // 0 + 6 + … + 54, 4 + 10 + … + 58, 2 + 8 + … + 56.
    CHECK(sorted(sums) == std::vector<std::pair<int, long>>{{0, 270}, {1, 310}, {2, 290}});
    CHECK(sorted(most) == std::vector<std::pair<int, long>>{{0, 0}, {2, 2}, {4, 4}});
  }
}

TEST_CASE("dead letters of an aggregate at the end are of records, of values, or of both", "[operators][on_error]") {
  using Value = KeyValue<int, int>;
  using Both = std::variant<int, Value>;
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<int> records, results;
    std::vector<std::pair<int, int>> values;
    const auto sum = [](Pipeline& pipeline, int bad) {
      return keyed(pipeline).aggregate(
          0, [bad](int& all, int n) { n != bad ? all += n : throw std::invalid_argument("bad"); },
          [](int& all, int others) { all += others; },
          [](int all) { return all % 3 == 0 ? all : throw std::invalid_argument("no third"); }, at_end);
    };
    run(topology, [&](Pipeline& pipeline) {
      sum(pipeline, 9)
          .on_error(dead_letter<Both>([&](const DeadLetter<Both>& letter) {
            if (const auto* const value = std::get_if<Value>(&letter.record)) {
              values.emplace_back(value->key, value->value);
            } else {
              records.push_back(std::get<int>(letter.record));
            }
          }))
          .sink([&](const auto& one) { results.push_back(one.key); });
    });
    // 0 + 3 + … + 57 without 9; 1 + 4 + … + 58 is 590; 2 + 5 + … + 59 is 610.
    CHECK(records == std::vector{9});
    CHECK(sorted(values) == std::vector<std::pair<int, int>>{{1, 590}, {2, 610}});
    CHECK(results == std::vector{0});
    // A letter that holds values alone: a record that fails stops the pipeline.
    const auto of_values = [&](Pipeline& pipeline) {
      sum(pipeline, 9).on_error(dead_letter<Value>([](const auto&) {})).sink([](const auto&) {});
    };
    CHECK_THROWS_WITH(run(topology, of_values), ContainsSubstring("threw: bad"));
  }
}

TEST_CASE("what cannot be added up names the operator, wherever that is done", "[operators][on_error][error]") {
  const auto fails = [](int) -> int { throw std::invalid_argument("no"); };
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    CHECK_THROWS_WITH(
        run(topology,
            [&](Pipeline& pipeline) { keyed(pipeline).sum(fails, at_end).name("all").sink([](const auto&) {}); }),
        ContainsSubstring("sum «all» threw: no"));
  }
}

TEST_CASE("an error names a timer of any time", "[operators][process][on_error][error]") {
  struct Remote {
    using State = int;
    using Output = int;
    EventTime when;

    void operator()(int, int&, ProcessContext<int, int>& context) const { context.at(when); }
    void on_event_time(EventTime, int&, ProcessContext<int, int>&) const { throw std::runtime_error("no"); }
  };
  using namespace std::chrono;
  const auto expect = [](EventTime when, const std::string& text) {
    CHECK_THROWS_WITH(
        run({},
            [&](Pipeline& pipeline) {
              pipeline.source(numbers(1)).assign_timestamps(time_of).key_by(key).process(Remote{when}).sink([](int) {});
            }),
        ContainsSubstring("threw: no (node 0, key 0, timer for " + text + ")"));
  };
  expect(sys_days{year{1969} / 12 / 31} + 23h + 59min + 59s + 999'999us, "1969-12-31 23:59:59.999999");
  expect(sys_days{year{2026} / 1 / 2} + 3h, "2026-01-02 03:00:00");
  expect(sys_days{year{9999} / 12 / 31}, "9999-12-31 00:00:00");  // nanoseconds in 64 bits end in 2262
}
