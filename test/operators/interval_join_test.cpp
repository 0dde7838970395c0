#include <algorithm>
#include <tuple>
#include <vector>

#include "catch.hpp"
#include "support/join_events.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

/// The numbers of a pair, and the time it came with.
using Match = std::tuple<int, int, std::int64_t>;

auto naive_pairs(const JoinInputs& inputs, std::int64_t lower, std::int64_t upper) -> std::vector<Match> {
  std::vector<Match> all;
  for (const auto& a : inputs.left) {
    for (const auto& b : inputs.right) {
      if (a.key == b.key && a.time + lower <= b.time && b.time <= a.time + upper)
        all.emplace_back(a.number, b.number, std::max(a.time, b.time));
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("an interval join gives on any topology what nested loops give", "[operators][join]") {
  auto inputs = JoinInputs{some_join_events(700, 7, 30, 1), some_join_events(900, 7, 30, 2), 30, 1, {}};
  const auto expected = naive_pairs(inputs, -13, 40);
  CHECK(expected.size() > 1'000);
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      inputs.topology = topology;
      inputs.parallel = parallel;
      INFO(topology.name() << ", parallel " << parallel);
      std::vector<Match> found;
      run(topology, [&](Pipeline& pipeline) {
        auto [left, right] = inputs.streams(pipeline);
        std::move(left)
            .join(std::move(right))
            .between(-13us, 40us)
            .with([](const JoinEvent& a, const JoinEvent& b) { return std::pair(a.number, b.number); })
            .sink([&](const std::pair<int, int>& pair, EventTime time) {
              found.emplace_back(pair.first, pair.second, time.time_since_epoch().count());
            });
      });
      std::sort(found.begin(), found.end());
      CHECK(found == expected);
    }
  }
}
