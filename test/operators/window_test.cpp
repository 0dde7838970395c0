#include <algorithm>
#include <map>
#include <optional>
#include <tensair/error.hpp>
#include <tuple>

#include "catch.hpp"
#include "support/dealt.hpp"
#include "support/events.hpp"
#include "support/sanitized.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

/// A small generator of one's own: the same numbers on every system.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e37'79b9'7f4a'7c15 + 1) {}
  auto below(int n) -> int {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<int>((state_ >> 33) % static_cast<std::uint64_t>(n));
  }

 private:
  std::uint64_t state_;
};

/// Events from before 1970 on, out of order by less than `disorder`, with gaps now and then.
auto events(int n, int keys, int disorder, std::uint64_t seed) -> std::vector<Event> {
  Random random{seed};
  std::vector<Event> all;
  std::int64_t now = -500;
  for (int i = 0; i < n; ++i) {
    now += random.below(50) == 0 ? random.below(400) : random.below(6);
    all.push_back({random.below(keys), random.below(100) - 20, now - (disorder > 0 ? random.below(disorder) : 0)});
  }
  return all;
}

using Sums = std::map<std::tuple<int, Window>, std::int64_t>;  // by key and window

/// Asks every possible window for its records.
auto naive_sliding(const std::vector<Event>& all, std::int64_t size, std::int64_t slide, std::int64_t offset) -> Sums {
  Sums sums;
  for (std::int64_t start = -10'000 * slide + offset; start < 200'000; start += slide) {
    if (start + size < -2'000) continue;
    for (const auto& event : all) {
      if (start <= event.time && event.time < start + size)
        sums[{event.key, Window{at(start), at(start + size)}}] += event.value;
    }
  }
  return sums;
}

/// Sorts the records of a key, and cuts where the gap is.
auto naive_sessions(std::vector<Event> all, std::int64_t gap) -> Sums {
  std::stable_sort(all.begin(), all.end(), [](const Event& a, const Event& b) { return a.time < b.time; });
  std::map<int, std::vector<std::pair<Window, std::int64_t>>> sessions;
  for (const auto& event : all) {
    auto& own = sessions[event.key];
    if (own.empty() || own.back().first.end <= at(event.time)) own.push_back({{at(event.time), at(event.time)}, 0});
    own.back().first.end = at(event.time + gap);
    own.back().second += event.value;
  }
  Sums sums;
  for (const auto& [key, own] : sessions) {
    for (const auto& [window, sum] : own) sums[{key, window}] = sum;
  }
  return sums;
}

auto timed(Pipeline& pipeline, const std::vector<Event>& all, int parallel, std::chrono::microseconds disorder) {
  return pipeline.source(Dealt{all}).parallel(parallel).assign_timestamps(time_of, bounded_out_of_orderness(disorder));
}

/// The sums by key and window that a pipeline emits; each must come once, in time, and with the right time.
template <class W>
auto sums_of(const Topology& topology, const std::vector<Event>& all, int parallel, int disorder, W windows) -> Sums {
  Sums sums;
  int twice = 0, wrong_time = 0, behind = 0;
  struct Sink {
    Sums* sums;
    int *twice, *wrong_time, *behind;
    EventTime watermark_ = beginning_of_time;
    void operator()(const WindowResult<int, std::int64_t>& result, EventTime time) {
      *twice += sums->emplace(std::tuple{result.key, result.window}, result.value).second ? 0 : 1;
      *wrong_time += time == result.window.end - 1us ? 0 : 1;
      *behind += time < watermark_ ? 1 : 0;
    }
    void watermark(EventTime time) { watermark_ = time; }
  };
  run(topology, [&](Pipeline& pipeline) {
    timed(pipeline, all, parallel, std::chrono::microseconds{disorder})
        .key_by(&Event::key)
        .parallel(parallel)
        .window(windows)
        .sum(&Event::value)
        .sink(Sink{&sums, &twice, &wrong_time, &behind});
  });
  CHECK(twice == 0);
  CHECK(wrong_time == 0);
  CHECK(behind == 0);
  return sums;
}

}  // namespace

TEST_CASE("windows of many records have the sums of a naive model, also over TCP", "[operators][window]") {
  const auto all = events(sanitized ? 600 : 3'000, 5, 80, 1);
  const auto in_tumbling = naive_sliding(all, 100, 100, -7), in_sliding = naive_sliding(all, 35, 8, 0);
  const auto in_sessions = naive_sessions(all, 9);
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      CHECK(sums_of(topology, all, parallel, 80, tumbling(100us, -7us)) == in_tumbling);
      CHECK(sums_of(topology, all, parallel, 80, sliding(35us, 8us)) == in_sliding);
      CHECK(sums_of(topology, all, parallel, 80, session(9us)) == in_sessions);
    }
  }
}

namespace {

using Emitted = std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t>>;  // start, end, sum

template <class W>
auto emitted(const std::vector<Event>& all, W windows, std::chrono::microseconds lateness, std::vector<int>& late)
    -> Emitted {
  Emitted results;
  run({}, [&](Pipeline& pipeline) {
    with_marks(pipeline, all)
        .key_by(&Event::key)
        .window(windows)
        .allowed_lateness(lateness)
        .late([&](const Event& event) { late.push_back(event.value); })
        .sum(&Event::value)
        .sink([&](const auto& result) {
          results.emplace_back(result.window.start.time_since_epoch().count(),
                               result.window.end.time_since_epoch().count(), result.value);
        });
  });
  return results;
}

}  // namespace

TEST_CASE("a window fires when the watermark reaches its end, once more for each record in time, then records are late",
          "[operators][window]") {
  std::vector<int> late;
  const auto results = emitted({{1, 1, 3},
                                mark(9),
                                {1, 2, 4},  // behind the watermark, but the window is open
                                mark(10),
                                {1, 4, 5},  // emits [0, 10) once more
                                {1, 8, 12},
                                mark(14),
                                {1, 16, 9},  // once more
                                mark(15),
                                {1, 32, 9},  // late
                                {1, 64, 14}},
                               tumbling(10us), 5us, late);
  CHECK(results == Emitted{{0, 10, 3}, {0, 10, 7}, {0, 10, 23}, {10, 20, 72}});
  CHECK(late == std::vector<int>{32});
}

TEST_CASE("a record that is too late for some of its sliding windows is in the others", "[operators][window]") {
  std::vector<int> late;
  const auto results =
      emitted({{1, 1, 12}, mark(20), {1, 2, 13}, mark(25), {1, 4, 13}, {1, 8, 19}, mark(40), {1, 16, 1}},
              sliding(20us, 10us), 0us, late);
  // [0, 20) and [10, 30) have 12; 13 came after the first had fired.
  CHECK(results == Emitted{{0, 20, 1}, {10, 30, 15}});
  CHECK(late == std::vector<int>{16});
}

TEST_CASE("a late record makes one session of two that have been emitted", "[operators][window]") {
  std::vector<int> late;
  const auto results =
      emitted({{1, 1, 0}, {1, 2, 15}, mark(28), {1, 4, 8}, mark(60), {1, 8, 8}}, session(10us), 20us, late);
  CHECK(results == Emitted{{0, 10, 1}, {15, 25, 2}, {0, 25, 7}});
  CHECK(late == std::vector<int>{8});
}

TEST_CASE("windows of a stream without keys have the records of all nodes", "[operators][window]") {
  for (const Topology& topology : {Topology{1, 1, false}, Topology{2, 1, false}, Topology{2, 2, false},
                                   Topology{5, 1, false}, Topology{5, 2, false}, Topology{2, 1, true}}) {
    INFO(topology.name());
    const auto all = events(500, 5, 30, 3);
    std::map<Window, std::uint64_t> expected, counts;
    for (const auto& [key_and_window, sum] : naive_sliding(all, 100, 100, 0)) expected[std::get<1>(key_and_window)];
    for (auto& [window, count] : expected) {
      const Window here = window;
      count = static_cast<std::uint64_t>(
          std::count_if(all.begin(), all.end(), [&](const Event& event) { return here.contains(at(event.time)); }));
    }
    run(topology, [&](Pipeline& pipeline) {
      timed(pipeline, all, 1, 30us).window(tumbling(100us)).count().sink([&](const auto& result) {
        CHECK(counts.emplace(result.window, result.value).second);
      });
    });
    CHECK(counts == expected);
  }
}

TEST_CASE("process sees all records of a window in the order in which they came", "[operators][window]") {
  std::vector<std::vector<int>> seen;
  run({}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector<Event>{{1, 1, 5}, {1, 2, 3}, {2, 3, 4}, {1, 4, 11}})
        .assign_timestamps(time_of, bounded_out_of_orderness(10us))
        .key_by(&Event::key)
        .window(tumbling(10us))
        .process<std::vector<int>>([](int key, const Window&, std::span<const Event> records, auto emit) {
          std::vector<int> values{key};
          for (const auto& event : records) values.push_back(event.value);
          emit(values);
        })
        .sink([&](const std::vector<int>& values) { seen.push_back(values); });
  });
  std::sort(seen.begin(), seen.end());
  CHECK(seen == std::vector<std::vector<int>>{{1, 1, 2}, {1, 4}, {2, 3}});
}

TEST_CASE("min, max, mean, top_k and reduce of a sliding window are those of its records", "[operators][window]") {
  const auto all = events(400, 3, 40, 21);
  std::map<std::tuple<int, Window>, std::vector<int>> naive;
  for (const auto& [where, sum] : naive_sliding(all, 50, 20, 0)) {
    for (const auto& event : all) {
      if (event.key == std::get<0>(where) && std::get<1>(where).contains(at(event.time)))
        naive[where].push_back(event.value);
    }
  }
  std::size_t results = 0;
  run({2, 3, false}, [&](Pipeline& pipeline) {
    auto keyed = timed(pipeline, all, 1, 40us).key_by(&Event::key);
    const auto check = [&](auto stream, auto expected) {
      std::move(stream).sink([&naive, &results, expected](const auto& result) {
        CHECK(result.value == expected(naive.at({result.key, result.window})));
        ++results;
      });
    };
    const auto windows = sliding(50us, 20us);
    check(keyed.window(windows).min(&Event::value),
          [](const auto& values) { return *std::min_element(values.begin(), values.end()); });
    check(keyed.window(windows).max(&Event::value),
          [](const auto& values) { return *std::max_element(values.begin(), values.end()); });
    check(keyed.window(windows).mean(&Event::value), [](const auto& values) {
      double sum = 0;
      for (const int value : values) sum += value;
      return Approx(sum / static_cast<double>(values.size()));
    });
    keyed.window(windows)
        .reduce([](const Event& a, const Event& b) {
          return Event{a.key, std::max(a.value, b.value), 0};
        })
        .sink([&](const auto& result) {
          const auto& values = naive.at({result.key, result.window});
          CHECK(result.value.value == *std::max_element(values.begin(), values.end()));
          ++results;
        });
    keyed.window(windows).top_k(2, &Event::value).sink([&](const auto& result) {
      auto values = naive.at({result.key, result.window});
      std::sort(values.begin(), values.end(), std::greater<>{});
      while (values.size() > 2) values.pop_back();
      std::vector<int> top;
      for (const auto& event : result.value) top.push_back(event.value);
      CHECK(top == values);
      ++results;
    });
  });
  CHECK(results == 5 * naive.size());
}

namespace {

/// A sum that counts what is asked of it.
struct Counted {
  std::uint64_t* adds;
  std::uint64_t* merges;
  auto init() const -> std::int64_t { return 0; }
  void add(std::int64_t& sum, const Event& event) const { ++*adds, sum += event.value; }
  void merge(std::int64_t& sum, std::int64_t other) const { ++*merges, sum += other; }
  auto result(std::int64_t sum) const -> std::int64_t { return sum; }
};

}  // namespace

TEST_CASE("a record is added to one partial result, however many windows it is in", "[operators][window]") {
  constexpr int records = 2'000, keys = 3;
  for (const int windows_of_a_record : {1, 2, 10, 100, 1'000}) {
    INFO(windows_of_a_record << " windows of each record");
    const auto size = std::chrono::microseconds{windows_of_a_record};
    std::uint64_t adds = 0, merges = 0, results = 0;
    std::int64_t sum = 0;
    run({}, [&](Pipeline& pipeline) {
      std::vector<Event> all;
      for (int i = 0; i < records; ++i) all.push_back({i % keys, 1, i});
      timed(pipeline, all, 1, 0us)
          .key_by(&Event::key)
          .window(sliding(size, 1us))
          .aggregate(Counted{&adds, &merges})
          .sink([&](const auto& result) { ++results, sum += result.value; });
    });
    CHECK(sum == std::int64_t{records} * windows_of_a_record);
    CHECK(adds == records);
    CHECK(merges <= 3 * (results + records));  // of two stacks
  }
}

TEST_CASE("windows in processing time end by the node's clock", "[operators][window]") {
  for (const int nodes : {1, 2}) {
    std::uint64_t counted = 0;
    run({nodes, 1, false}, [&](Pipeline& pipeline) {
      pipeline.source(numbers(1'000))
          .key_by([](int n) { return n % 3; })
          .window(processing_time(tumbling(1ms)))
          .count()
          .sink([&](const auto& result) {
            CHECK(result.window.end - result.window.start == 1ms);
            counted += result.value;
          });
    });
    CHECK(counted == 1'000);
  }
}

TEST_CASE("windows without a length are refused", "[operators][window]") {
  CHECK_THROWS_AS(tumbling(0us), UsageError);
  CHECK_THROWS_AS(tumbling(-1s), UsageError);
  CHECK_THROWS_AS(sliding(1s, 0us), UsageError);
  CHECK_THROWS_AS(sliding(0s, 1s), UsageError);
  CHECK_THROWS_AS(session(0us), UsageError);
}

TEST_CASE("a record further away from 1970 than windows are is an error", "[operators][window]") {
  const auto run_it = [] {
    run({}, [](Pipeline& pipeline) {
      pipeline.source(std::vector<Event>{{1, 1, INT64_MAX - 1}})
          .assign_timestamps(time_of)
          .key_by(&Event::key)
          .window(tumbling(10s))
          .count()
          .collect();
    });
  };
  CHECK_THROWS_AS(run_it(), Error);
}
