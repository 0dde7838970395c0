#include <algorithm>
#include <chrono>
#include <functional>

#include "catch.hpp"
#include "support/bools.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

TEST_CASE("streams of bool flow through exchanges, forks, merges and batches", "[operators][bool]") {
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    const auto found = result_of<bool>(topology, [](Pipeline& pipeline) {
      auto stream = divisible(pipeline).parallel(3);
      auto yes = stream.filter(std::identity{});
      return stream.filter(std::logical_not<>{}).merge(std::move(yes)).rebalance().broadcast().collect();
    });
    const auto copies = static_cast<std::size_t>(3 * topology.nodes);
    CHECK(found.size() == 100 * copies);
    CHECK(static_cast<std::size_t>(std::count(found.begin(), found.end(), true)) == 34 * copies);

    std::size_t records = 0, yes = 0;
    run(topology, [&](Pipeline& pipeline) {
      divisible(pipeline).batch(7).sink([&](const Batch<bool>& batch) {
        for (std::size_t i = 0; i < batch.size(); ++i) yes += batch[i] ? 1 : 0;
        records += batch.size();
      });
    });
    CHECK(records == 100);
    CHECK(yes == 34);
  }
  const auto of_a_vector = result_of<bool>({}, [](Pipeline& pipeline) {
    return pipeline.source(std::vector<bool>{true, false, true}).collect();
  });
  CHECK(of_a_vector == std::vector<bool>{true, false, true});
}

TEST_CASE("bools are keys, and are counted, remembered and put into windows", "[operators][bool]") {
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<std::pair<bool, std::uint64_t>> counts;
    std::size_t distinct = 0, in_windows = 0, most = 0;
    run(topology, [&](Pipeline& pipeline) {
      auto keyed = timed(pipeline).key_by(std::identity{}).parallel(2);
      keyed.count(at_end).sink([&](const auto& one) { counts.emplace_back(one.key, one.value); });
      keyed.distinct().sink([&](bool) { ++distinct; });
      keyed.window(tumbling(10us))
          .process<std::size_t>(
              [](bool, const Window&, std::span<const bool> records, auto emit) { emit(records.size()); })
          .sink([&](std::size_t n) { in_windows += n; });
      keyed.window(tumbling(1s)).max().sink([&](const auto& one) { most += one.value ? 1 : 0; });
    });
    std::sort(counts.begin(), counts.end());
    CHECK(counts == std::vector<std::pair<bool, std::uint64_t>>{{false, 66}, {true, 34}});
    CHECK(distinct == 2);
    CHECK(in_windows == 100);
    CHECK(most == 1);
  }
}
