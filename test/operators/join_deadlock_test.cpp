#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/on_schedule.hpp"
#include "support/sanitized.hpp"
#include "support/streams.hpp"

// Joins under many seeds of the simulated scheduler, which decide who is next and how long messages take. A run in
// which nothing can happen any more is an error, which names the tasks that wait. One side has more records than its
// channels hold (8 chunks of 1,024) while the other has none yet.

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t seeds = sanitized ? 100 : 2'500;  // of each of four cases

constexpr int many = 9'000;

auto key(int n) -> int {
  return n;
}
auto time_of(int n) -> EventTime {
  return EventTime{std::chrono::microseconds{n}};
}

/// Runs `build(pipeline, parallel)` for all seeds on 1 to 3 nodes with 1 or 2 instances, one node slower than the
/// others; each must end, and `counted` be what is expected.
template <class Build>
void check_seeds(const std::size_t& counted, std::size_t expected, Build build) {
  std::uint64_t wrong = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const int nodes = static_cast<int>(seed % 3) + 1, parallel = static_cast<int>(seed / 3 % 2) + 1;
    testing::Cluster cluster{{.nodes = nodes, .seed = seed, .slowness = {1, 30}}};
    const std::size_t before = counted;
    cluster.run([&](Pipeline& pipeline) { build(pipeline, parallel); });
    wrong += counted - before == expected ? 0 : 1;
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("a stream joined with itself over a longer way never blocks itself", "[operators][join][deadlock]") {
  std::size_t pairs = 0;
  check_seeds(pairs, many, [&](Pipeline& pipeline, int parallel) {
    auto stream = pipeline.source(numbers(many)).assign_timestamps(time_of);
    stream.key_by(key)
        .parallel(parallel)
        .join(stream.rebalance().map([](int n) { return n; }).key_by(key))
        .between(0us, 0us)
        .with([](int a, int) { return a; })
        .sink([&](int) { ++pairs; });
  });
}

TEST_CASE("a window join takes what one side has while the other is silent", "[operators][join][deadlock]") {
  std::size_t records = 0;
  check_seeds(records, many, [&](Pipeline& pipeline, int parallel) {
    pipeline.source(numbers(many))
        .assign_timestamps(time_of)
        .key_by(key)
        .parallel(parallel)
        .join(pipeline.source(OnSchedule<int>{{{100ms, 5}, {200ms, many}}}).assign_timestamps(time_of).key_by(key))
        .window(tumbling(1ms))
        .left_outer()
        .with([](int a, const int*) { return a; })
        .sink([&](int) { ++records; });
  });
}

TEST_CASE("a lookup as of event time takes records while the table is silent", "[operators][lookup][deadlock]") {
  std::size_t records = 0;
  check_seeds(records, many, [&](Pipeline& pipeline, int parallel) {
    pipeline.source(numbers(many))
        .assign_timestamps(time_of)
        .key_by(key)
        .parallel(parallel)
        .lookup(pipeline.source(OnSchedule<int>{{{100ms, 5}, {200ms, many}}}).assign_timestamps(time_of).key_by(key),
                as_of_event_time, [](int n, const int*) { return n; })
        .sink([&](int) { ++records; });
  });
}

TEST_CASE("a stream broadcast to itself never blocks itself", "[operators][broadcast_join][deadlock]") {
  std::size_t records = 0;
  check_seeds(records, many, [&](Pipeline& pipeline, int parallel) {
    auto stream = pipeline.source(numbers(many)).parallel(parallel);
    stream
        .broadcast_join<int>(
            stream.rebalance(), [](int& seen, int) { ++seen; }, [](int n, const int&) { return n; })
        .sink([&](int) { ++records; });
  });
}
