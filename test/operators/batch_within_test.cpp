#include <optional>
#include <tensair/error.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/on_schedule.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

struct Seen {
  std::chrono::milliseconds at;
  std::vector<int> records;
};

/// The batches of a stream whose records are the milliseconds at which they come.
auto batches(const std::vector<int>& times, BatchOptions options) -> std::vector<Seen> {
  std::vector<std::pair<std::chrono::milliseconds, int>> schedule;
  for (const int time : times) schedule.emplace_back(time, time);
  std::vector<Seen> seen;
  testing::Cluster cluster{{.nodes = 1}};
  std::optional<Duration> start;
  cluster.run([&](Pipeline& pipeline) {
    pipeline.source(OnSchedule<int>(schedule))
        .inspect([&](int time) {
          if (!start) start = cluster.elapsed() - std::chrono::milliseconds{time};
        })
        .batch(options)
        .sink([&](const Batch<int>& batch) {
          seen.push_back({std::chrono::floor<std::chrono::milliseconds>(cluster.elapsed() - *start), batch.records});
        });
  });
  return seen;
}

auto records_of(const std::vector<Seen>& seen) -> std::vector<std::vector<int>> {
  std::vector<std::vector<int>> all;
  for (const auto& one : seen) all.push_back(one.records);
  return all;
}

using Lists = std::vector<std::vector<int>>;

}  // namespace

TEST_CASE("a batch is full by size, by time, or by whichever comes first", "[batch]") {
  const std::vector<int> times{0, 10, 20, 30, 200, 300, 310};
  CHECK(records_of(batches(times, {.size = 2})) == Lists{{0, 10}, {20, 30}, {200, 300}, {310}});
  CHECK(records_of(batches(times, {.within = 50ms})) == Lists{{0, 10, 20, 30}, {200}, {300, 310}});
  CHECK(records_of(batches(times, {.size = 3, .within = 50ms})) == Lists{{0, 10, 20}, {30}, {200}, {300, 310}});
}

TEST_CASE("a batch comes when its first record has waited for so long, though nothing else comes", "[batch]") {
  const auto seen = batches({0, 10, 500}, {.within = 50ms});
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].at >= 50ms);
  CHECK(seen[0].at < 60ms);
  CHECK(seen[1].records == std::vector{500});  // at the end of the stream
  CHECK(seen[1].at < 510ms);
}

TEST_CASE("what is left at the end is a shorter batch, or is left out", "[batch]") {
  CHECK(records_of(batches({0, 1, 2}, {.size = 2})) == Lists{{0, 1}, {2}});
  CHECK(records_of(batches({0, 1, 2}, {.size = 2, .drop_last = true})) == Lists{{0, 1}});
  // A full one is no rest.
  CHECK(records_of(batches({0, 1, 2, 3}, {.size = 2, .drop_last = true})) == Lists{{0, 1}, {2, 3}});
}

TEST_CASE("batches that cannot be are refused", "[batch][error]") {
  const auto build = [](BatchOptions options) {
    return [options] {
      test::run({}, [&](Pipeline& pipeline) {
        pipeline.source(std::vector{1}).batch(options).sink([](const Batch<int>&) {});
      });
    };
  };
  CHECK_THROWS_AS(build({.size = 0})(), UsageError);
  CHECK_THROWS_AS((build({.size = 1, .within = 0ms})()), UsageError);
  CHECK_THROWS_AS(build({})(), UsageError);
}
