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

struct AddsEven {
  using State = int;
  using Output = int;
  void operator()(int n, int& sum, ProcessContext<int, int>& context) const { context.emit(sum += even(n)); }
};

}  // namespace

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
