#include <algorithm>
#include <map>
#include <string>
#include <tensair/error.hpp>

#include "catch.hpp"
#include "support/on_schedule.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

using Numbers = std::vector<std::pair<std::chrono::milliseconds, int>>;

/// Numbers that all come at one time.
auto all_at(std::chrono::milliseconds time, const std::vector<int>& numbers) -> Numbers {
  Numbers all;
  for (const int number : numbers) all.emplace_back(time, number);
  return all;
}

}  // namespace

TEST_CASE("every instance knows all records of the other stream that have come", "[operators][broadcast_join]") {
  const Numbers rules{{0ms, 1}, {0ms, 10}, {1000ms, 100}};
  const Numbers records{{500ms, 1}, {500ms, 2}, {500ms, 3}, {500ms, 4}, {1500ms, 5}, {1500ms, 6}, {1500ms, 7}};
  const std::vector<std::pair<int, int>> expected{{1, 11}, {2, 11}, {3, 11}, {4, 11}, {5, 111}, {6, 111}, {7, 111}};
  for (const auto& topology : some_topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", " << parallel << " instances");
      auto found = result_of<std::pair<int, int>>(topology, [&](Pipeline& pipeline) {
        return pipeline.source(OnSchedule{records})
            .parallel(parallel)
            .broadcast_join(pipeline.source(OnSchedule{rules}),
                            [](int n, const std::vector<int>& all) {
                              return std::pair(n, std::accumulate(all.begin(), all.end(), 0));
                            })
            .collect();
      });
      std::sort(found.begin(), found.end());
      CHECK(found == expected);
    }
  }
}

TEST_CASE("a broadcast join where there is no exchange in front keeps the order of records",
          "[operators][broadcast_join]") {
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    const auto found = result_of<int>(topology, [&](Pipeline& pipeline) {
      return pipeline.source(numbers(2'000))
          .broadcast_join(pipeline.source(SharedNumbers{50}).parallel(2),
                          [](int n, const std::vector<int>& all) { return all.size() <= 50 ? n : -1; })
          .collect();
    });
    CHECK(found == numbers(2'000));
  }
}

TEST_CASE("a state of one's own is what its updates make of it, in every instance",
          "[operators][broadcast_join][property]") {
  check_property("for any records, rules and topology",
                 [](const std::vector<int>& records, const std::vector<int>& rules) {
                   const int nodes = *rc::gen::element(1, 2, 5), parallel = *rc::gen::element(1, 3);
                   const auto seed = static_cast<std::uint64_t>(*rc::gen::inRange(1, 1'000'000));
                   using State = std::map<int, int>;  // by the last digit, the last rule
                   const auto update = [](State& state, int rule) { state[rule % 10] = rule; };
                   State state;
                   for (const int rule : rules) update(state, rule);
                   std::vector<std::pair<int, int>> expected, found;
                   for (const int record : records) {
                     const auto known = state.find(record % 10);
                     expected.emplace_back(record, known == state.end() ? 0 : known->second);
                   }
                   run({nodes, seed, false}, [&](Pipeline& pipeline) {
                     pipeline.source(OnSchedule{all_at(1'000ms, records)})
                         .parallel(parallel)
                         .broadcast_join<State>(pipeline.source(OnSchedule{all_at(0ms, rules)}), update,
                                                [](int record, const State& all) {
                                                  const auto known = all.find(record % 10);
                                                  return std::pair(record, known == all.end() ? 0 : known->second);
                                                })
                         .sink([&](const std::pair<int, int>& one) { found.push_back(one); });
                   });
                   std::sort(expected.begin(), expected.end());
                   std::sort(found.begin(), found.end());
                   RC_ASSERT(found == expected);
                 });
}

TEST_CASE("a stream may be broadcast to itself, and its event time passes", "[operators][broadcast_join]") {
  for (const auto& topology :
       {Topology{1, 1, false}, Topology{2, 2, false}, Topology{5, 3, false}, Topology{2, 1, true}}) {
    INFO(topology.name());
    std::uint64_t counted = 0;
    run(topology, [&](Pipeline& pipeline) {
      auto stream = pipeline.source(SharedNumbers{5'000}).parallel(2).assign_timestamps([](int n) {
        return EventTime{std::chrono::microseconds{n}};
      });
      stream
          .broadcast_join<int>(
              stream, [](int& greatest, int n) { greatest = std::max(greatest, n); },
              [](int n, int greatest) { return std::pair(n, greatest); })
          .key_by([](const auto& pair) { return pair.first % 3; })
          .window(tumbling(100us))
          .count()
          .sink([&](const auto& result) { counted += result.value; });
    });
    CHECK(counted == 5'000);
  }
}
