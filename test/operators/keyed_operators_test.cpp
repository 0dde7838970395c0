#include <algorithm>
#include <map>
#include <string>
#include <tensair/error.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

struct Sale {
  int shop = 0;
  int cents = 0;
  friend auto operator==(const Sale&, const Sale&) -> bool = default;
};

auto sales(int n) -> std::vector<Sale> {
  std::vector<Sale> all;
  for (int i = 0; i < n; ++i) all.push_back({i % 7, i * i % 101});
  return all;
}

template <class V>
auto by_key(const std::vector<KeyValue<int, V>>& all) -> std::map<int, V> {
  std::map<int, V> map;
  for (const auto& [key, value] : all) map.insert_or_assign(key, value);
  return map;
}

/// Numbers below n from a thread of its own: in the simulation a turn takes about a millisecond.
struct Ticking {
  using value_type = int;
  static constexpr bool occupies_thread = true;
  int n;
  int i = 0;
  auto next() -> std::optional<int> { return i < n ? std::optional(i++) : std::nullopt; }
};

/// One every 10 microseconds, n in all.
struct Paced {
  using value_type = int;
  int n;
  const Clock* clock = nullptr;
  Time due{};
  void open(runtime::Node& node) {
    clock = &node.clock();
    due = clock->now();
  }
  auto poll() -> Poll<int> {
    if (n == 0) return Poll<int>::end();
    if (clock->now() < due) return Poll<int>::wait(due);
    due += 10us;
    return --n;
  }
};

auto at(long microseconds) -> EventTime {
  return EventTime{std::chrono::microseconds{microseconds}};
}

}  // namespace

TEST_CASE("sum, min, max, mean and top_k are the naive ones, running and at the end", "[operators][keyed]") {
  const auto all = sales(1'000);
  std::map<int, std::vector<Sale>> naive;
  for (const auto& sale : all) naive[sale.shop].push_back(sale);
  for (const auto topology :
       {Topology{1, 1, false}, Topology{2, 4, false}, Topology{5, 2, false}, Topology{2, 1, true}}) {
    INFO(topology.name());
    std::map<int, std::int64_t> sums;
    std::map<int, int> least, greatest;
    std::map<int, double> means;
    std::map<int, std::vector<Sale>> tops;
    std::size_t running = 0;
    run(topology, [&](Pipeline& pipeline) {
      auto keyed = pipeline.source(all).parallel(2).key_by(&Sale::shop);
      keyed.sum(&Sale::cents).sink([&](const auto&) { ++running; });
      keyed.sum(&Sale::cents, at_end).sink([&](const auto& pair) { CHECK(sums.emplace(pair.key, pair.value).second); });
      keyed.min(&Sale::cents, at_end).sink([&](const auto& pair) { least.emplace(pair.key, pair.value); });
      keyed.max(&Sale::cents).sink([&](const auto& pair) {
        auto& value = greatest.emplace(pair.key, pair.value).first->second;
        CHECK(pair.value >= value);  // running maxima only grow
        value = pair.value;
      });
      keyed.mean(&Sale::cents, at_end).sink([&](const auto& pair) { means.emplace(pair.key, pair.value); });
      keyed.top_k(3, &Sale::cents, at_end).sink([&](const auto& pair) { tops.emplace(pair.key, pair.value); });
    });
    CHECK(running == all.size());
    for (auto& [shop, own] : naive) {
      double sum = 0;
      for (const auto& sale : own) sum += sale.cents;
      std::stable_sort(own.begin(), own.end(), [](const Sale& a, const Sale& b) { return a.cents > b.cents; });
      CHECK(sums.at(shop) == static_cast<std::int64_t>(sum));
      CHECK(least.at(shop) == own.back().cents);
      CHECK(greatest.at(shop) == own.front().cents);
      CHECK(std::abs(means.at(shop) - sum / static_cast<double>(own.size())) < 1e-9);
      CHECK(tops.at(shop) == std::vector<Sale>(own.begin(), own.begin() + 3));
    }
  }
}

TEST_CASE("counts at the end are right for more keys than are added up in front of the exchange",
          "[operators][keyed]") {
  static constexpr int keys = 40'000, times = 25;
  testing::Cluster cluster{{.nodes = 2, .seed = 2}};
  std::vector<int> counts(keys);
  cluster.run([&](Pipeline& pipeline) {
    pipeline.source(SharedNumbers{keys * times})
        .key_by([](int n) { return n / 2 % keys; })
        .count(at_end)
        .sink([&](const auto& pair) { counts[static_cast<std::size_t>(pair.key)] += static_cast<int>(pair.value); });
  });
  CHECK(std::count(counts.begin(), counts.end(), times + 1) == keys / 2);
  CHECK(std::count(counts.begin(), counts.end(), times - 1) == keys / 2);
}

TEST_CASE("sums of small integers do not overflow", "[operators][keyed]") {
  const auto sums = result_of<KeyValue<int, std::uint64_t>>({}, [](Pipeline& pipeline) {
    return pipeline.source(std::vector<std::uint8_t>(1'000, 255))
        .key_by([](std::uint8_t) { return 0; })
        .sum()
        .collect();
  });
  CHECK(sums.back().value == 255'000);
}

TEST_CASE("aggregate of lambdas: the range of each key", "[operators][keyed]") {
  struct Range {
    int low = 1'000, high = -1;
  };
  for (const auto topology : {Topology{1, 1, false}, Topology{5, 2, false}}) {
    const auto ranges = by_key(result_of<KeyValue<int, int>>(topology, [](Pipeline& pipeline) {
      return pipeline.source(SharedNumbers{1'000})
          .parallel(3)
          .key_by([](int n) { return n % 3; })
          .aggregate(
              Range{},
              [](Range& range, int n) {
                range = {std::min(range.low, n), std::max(range.high, n)};
              },
              [](Range& range, const Range& other) {
                range = {std::min(range.low, other.low), std::max(range.high, other.high)};
              },
              [](const Range& range) { return range.high - range.low; }, at_end)
          .collect();
    }));
    CHECK(ranges == std::map<int, int>{{0, 999}, {1, 996}, {2, 996}});
  }
}

TEST_CASE("distinct passes on the first record of each key", "[operators][keyed]") {
  for (const auto topology : {Topology{1, 1, false}, Topology{2, 4, false}, Topology{5, 2, false}}) {
    auto first = result_of<int>(topology, [](Pipeline& pipeline) {
      return pipeline.source(numbers(1'000)).key_by([](int n) { return n % 10; }).distinct().collect();
    });
    std::sort(first.begin(), first.end());
    CHECK(first == numbers(10));
  }
}

TEST_CASE("with_state: the difference to the key's last record", "[operators][keyed]") {
  for (const auto topology : {Topology{1, 1, false}, Topology{5, 2, false}}) {
    const auto differences = result_of<int>(topology, [](Pipeline& pipeline) {
      return pipeline.source(numbers(100))
          .key_by([](int n) { return n % 4; })
          .parallel(2)
          .with_state<int>([](int& last, int n) { return n - std::exchange(last, n); })
          .collect();
    });
    // First 0, 1, 2 and 3, then always 4.
    CHECK(std::count(differences.begin(), differences.end(), 4) == 96);
    CHECK(differences.size() == 100);
  }
}

TEST_CASE("a state is forgotten when its key has had no record for its time to live", "[operators][keyed]") {
  // Key 0 comes all the time, key 1 at the beginning and after more than its time to live.
  const auto counts_of = [](auto expire) {
    std::vector<std::uint64_t> counts;
    testing::Cluster cluster{{}};
    cluster.run([&](Pipeline& pipeline) {
      auto keyed = pipeline.source(Ticking{1'000'000}).key_by([](int n) { return n == 0 || n == 999'999 ? 1 : 0; });
      expire(std::move(keyed), [&counts](const KeyValue<int, std::uint64_t>& pair) {
        if (pair.key == 1) counts.push_back(pair.value);
      });
    });
    return counts;
  };
  // About 4,096 records a turn, a turn a millisecond: 244 ms in all.
  CHECK(counts_of([](auto keyed, auto sink) { std::move(keyed).time_to_live(50ms).count().sink(sink); }) ==
        std::vector<std::uint64_t>{1, 1});
  CHECK(counts_of([](auto keyed, auto sink) { std::move(keyed).time_to_live(10s).count().sink(sink); }) ==
        std::vector<std::uint64_t>{1, 2});
  CHECK(counts_of([](auto keyed, auto sink) { std::move(keyed).count().sink(sink); }) ==
        std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("a process function is called at the event times it asks for", "[operators][keyed][time]") {
  /// Emits for each hundred microseconds how many records of the key it had, and when it is complete.
  struct Hundreds {
    struct State {
      std::map<EventTime, int> counts;
    };
    using Output = KeyValue<int, int>;
    void operator()(int, State& state, ProcessContext<int, Output>& context) {
      const auto end = at((context.time().time_since_epoch().count() / 100 + 1) * 100);
      if (context.time() < context.watermark()) throw std::runtime_error("a late record");
      ++state.counts[end];
      context.at(end);
      context.at(end);  // twice is once
      context.at(end - 50us);
      context.cancel(end - 50us);
    }
    void on_event_time(EventTime time, State& state, ProcessContext<int, Output>& context) {
      if (context.watermark() < time || context.time() != time) throw std::runtime_error("a timer at the wrong time");
      context.emit({context.key(), state.counts.at(time)});
      state.counts.erase(time);
      if (state.counts.empty()) context.forget();
    }
  };
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    // Each key has 5 records in each of 40 hundreds.
    auto hundreds = result_of<KeyValue<int, int>>(topology, [](Pipeline& pipeline) {
      return pipeline.source(SharedNumbers{40 * 100})
          .filter([](int n) { return n % 100 < 10; })
          .assign_timestamps([](int n) { return at(n); })
          .key_by([](int n) { return n % 2; })
          .parallel(2)
          .process(Hundreds{})
          .collect();
    });
    std::sort(hundreds.begin(), hundreds.end());
    std::vector<KeyValue<int, int>> expected(40, {0, 5});
    expected.insert(expected.end(), 40, {1, 5});
    CHECK(hundreds == expected);
  }
}

TEST_CASE("a process function is called at the processing times it asks for", "[operators][keyed][time]") {
  /// Emits 20 ms after the first record how many have come.
  struct Count {
    struct State {
      int count = 0;
    };
    using Output = int;
    void operator()(int, State& state, ProcessContext<int, Output>& context) {
      if (state.count++ == 0) context.at(context.now() + 20ms);
    }
    void on_processing_time(Time time, State& state, ProcessContext<int, Output>& context) {
      CHECK(context.now() >= time);
      CHECK(context.now() < time + 5ms);
      context.emit(state.count);
    }
  };
  for (const int nodes : {1, 2}) {
    testing::Cluster cluster{{.nodes = nodes, .seed = 3}};
    std::vector<int> counts;
    cluster.run([&](Pipeline& pipeline) {
      pipeline.source(Paced{10'000}).key_by([](int) { return 0; }).process(Count{}).sink([&](int count) {
        counts.push_back(count);
      });
    });
    REQUIRE(counts.size() == 1);
    // 20 ms are 2,000 of them, and turns and messages take some time.
    CHECK(counts[0] > 1'500);
    CHECK(counts[0] < 2'500);
  }
}
