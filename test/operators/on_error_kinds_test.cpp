#include <map>
#include <stdexcept>
#include <string>
#include <tensair/pipeline.hpp>

#include "catch.hpp"
#include "support/skipped.hpp"
#include "support/streams.hpp"
#include "support/topologies.hpp"

// on_error behind each operator that takes a function.

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

auto even(int n) -> int {
  return n % 2 == 1 ? throw std::invalid_argument("odd: " + std::to_string(n)) : n;
}
auto time_of(int n) -> EventTime {
  return EventTime{std::chrono::microseconds{n}};
}
auto one_key(int) -> int {
  return 0;
}
auto numbers_to(Pipeline& pipeline, int last) {
  return pipeline.source(SharedNumbers{last + 1});
}
auto timed(Pipeline& pipeline) {
  return numbers_to(pipeline, 8).assign_timestamps(time_of);
}

/// A key whose hash throws where it is odd.
struct Picky {
  int n = 0;
  friend auto operator==(const Picky&, const Picky&) -> bool = default;
};

struct AddsEven {
  using State = int;
  using Output = int;
  void operator()(int n, int& sum, ProcessContext<int, int>& context) const { context.emit(sum += even(n)); }
};

}  // namespace

template <>
struct std::hash<Picky> {
  auto operator()(const Picky& key) const -> std::size_t { return static_cast<std::size_t>(even(key.n)); }
};

TEST_CASE("each operator that takes a function may skip the records on which that fails", "[on_error]") {
  // Of the numbers from 0 to 8, four are odd.
  CHECK(skipped([](Pipeline& p) { return numbers_to(p, 8).inspect([](int n) { even(n); }); }) == 4);
  CHECK(skipped([](Pipeline& p) { return numbers_to(p, 8).split([](int n) { return even(n) % 4; }).output(0); }) == 4);
  CHECK(skipped([](Pipeline& p) {
          return numbers_to(p, 8).assign_timestamps([](int n) { return time_of(even(n)); });
        }) == 4);
  CHECK(skipped([](Pipeline& p) { return numbers_to(p, 8).key_by(one_key).sum(even); }) == 4);
  CHECK(skipped([](Pipeline& p) { return numbers_to(p, 8).key_by(one_key).sum(even, at_end); }) == 4);
  CHECK(skipped([](Pipeline& p) { return numbers_to(p, 8).key_by(one_key).max(even); }) == 4);
  CHECK(skipped([](Pipeline& p) { return numbers_to(p, 8).key_by(one_key).mean(even); }) == 4);
  CHECK(skipped([](Pipeline& p) {
          return numbers_to(p, 8).key_by(one_key).reduce([](int a, int b) { return a + even(b); });
        }) == 4);
  CHECK(skipped([](Pipeline& p) {
          return numbers_to(p, 8).key_by(one_key).aggregate(
              0, [](int& sum, int n) { sum += even(n); }, [](int& sum, int other) { sum += other; },
              [](int sum) { return sum; });
        }) == 4);
  CHECK(skipped([](Pipeline& p) { return numbers_to(p, 8).key_by(one_key).process(AddsEven{}); }) == 4);
  CHECK(skipped([](Pipeline& p) { return numbers_to(p, 8).key_by(one_key).top_k(2, even); }) == 4);
  CHECK(skipped([](Pipeline& p) { return numbers_to(p, 8).key_by(one_key).top_k(2, even, at_end); }) == 4);
  CHECK(skipped([](Pipeline& p) { return timed(p).key_by(one_key).window(sliding(4us, 2us)).top_k(2, even); }) == 4);
  CHECK(skipped([](Pipeline& p) {
          return numbers_to(p, 8).assign_timestamps(
              time_of, punctuated([](int n, EventTime) { return std::optional{time_of(even(n))}; }));
        }) == 4);
  CHECK(skipped([](Pipeline& p) { return timed(p).key_by(one_key).window(tumbling(3us)).sum(even); }) == 4);
  CHECK(skipped([](Pipeline& p) { return timed(p).key_by(one_key).window(sliding(4us, 2us)).sum(even); }) == 4);
  CHECK(skipped([](Pipeline& p) { return timed(p).key_by(one_key).window(session(2us)).sum(even); }) == 4);
  CHECK(skipped([](Pipeline& p) { return timed(p).key_by(one_key).window(tumbling(9us)).early(2).sum(even); }) == 4);
  CHECK(skipped([](Pipeline& p) {
          return numbers_to(p, 8).key_by(one_key).window(processing_time(tumbling_count(2))).sum(even);
        }) == 4);
}

TEST_CASE("records whose key cannot be told are skipped or sent away, wherever their key would live", "[on_error]") {
  const auto parity = [](int n) { return even(n) % 4; };
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      std::map<int, std::uint64_t> counts, others;
      std::vector<int> letters;
      run(topology, [&](Pipeline& pipeline) {
        numbers_to(pipeline, 100)
            .key_by(parity)
            .parallel(parallel)
            .on_error(skip)
            .count(at_end)
            .sink([&](const KeyValue<int, std::uint64_t>& one) { counts[one.key] += one.value; });
        numbers_to(pipeline, 100)
            .key_by(parity)
            .on_error(dead_letter<int>([&](const DeadLetter<int>& letter) { letters.push_back(letter.record); }))
            .parallel(parallel)
            .count(at_end)
            .sink([&](const KeyValue<int, std::uint64_t>& one) { others[one.key] += one.value; });
      });
      CHECK(counts == std::map<int, std::uint64_t>{{0, 26}, {2, 25}});
      CHECK(others == counts);
      CHECK(letters.size() == 50);
    }
  }
}

TEST_CASE("a key function's failure is not that of the operator behind, wherever that is", "[on_error][error]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    CHECK_THROWS_WITH(
        run(topology,
            [](Pipeline& pipeline) {
              numbers_to(pipeline, 3).key_by(even).name("parity").count().on_error(skip).sink([](const auto&) {});
            }),
        ContainsSubstring("key_by «parity» threw: odd: "));
  }
}

TEST_CASE("a record whose key has no hash is skipped or sent away, and others are counted", "[on_error]") {
  const auto picky = [](int n) { return Picky{n % 4}; };
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::map<int, std::uint64_t> counts;
    std::vector<int> letters;
    run(topology, [&](Pipeline& pipeline) {
      numbers_to(pipeline, 100)
          .key_by(picky)
          .on_error(dead_letter<int>([&](const DeadLetter<int>& letter) { letters.push_back(letter.record % 2); }))
          .count(at_end)
          .sink([&](const KeyValue<Picky, std::uint64_t>& one) { counts[one.key.n] += one.value; });
    });
    CHECK(counts == std::map<int, std::uint64_t>{{0, 26}, {2, 25}});
    CHECK(letters == std::vector<int>(50, 1));
  }
}

TEST_CASE("what keeps up a table or a state stops the pipeline also where errors are skipped, and names its operator",
          "[on_error][error]") {
  const auto sums = [](int& sum, int n) { sum += even(n); };
  const auto deletes = [](int n) { return even(n) == 4; };
  const auto itself = [](int n, const auto&) { return n; };
  const auto stops = [](const std::string& whose, auto build) {
    for (const auto& topology : some_topologies()) {
      INFO(topology.name());
      CHECK_THROWS_WITH(run(topology, [&](Pipeline& p) { build(p).name("kept").on_error(skip).sink([](int) {}); }),
                        ContainsSubstring(whose + " «kept» threw: odd: ") && !ContainsSubstring("\n"));
    }
  };
  stops("broadcast_join",
        [&](Pipeline& p) { return numbers_to(p, 8).broadcast_join<int>(numbers_to(p, 8), sums, itself); });
  stops("lookup", [&](Pipeline& p) {
    return numbers_to(p, 8)
        .key_by(one_key)
        .lookup(numbers_to(p, 8).key_by(one_key))
        .delete_when(deletes)
        .with([](int n, const int*) { return n; });
  });
  stops("lookup_as_of", [&](Pipeline& p) {
    return timed(p)
        .key_by(one_key)
        .lookup(timed(p).key_by(one_key))
        .delete_when(deletes)
        .as_of_event_time()
        .with([](int n, const int*) { return n; });
  });
}
