#include <algorithm>
#include <numeric>
#include <string>
#include <tensair/testing/cluster.hpp>
#include <tuple>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

struct Point {
  std::string name;
  int x = 0, y = 0;
};

}  // namespace

TEST_CASE("merge holds all records of its inputs, each input's in order", "[operators][merge]") {
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      const auto merged = result_of<int>(topology, [&](Pipeline& pipeline) {
        auto everywhere = pipeline.source(SharedNumbers{1'000}).parallel(parallel);
        auto first_node = pipeline.source(numbers(500)).map([](int n) { return n + 10'000; });
        auto once_more = pipeline.source(numbers(10)).map([](int n) { return n + 20'000; });
        return std::move(everywhere).merge(std::move(first_node), std::move(once_more)).collect();
      });
      auto expected = numbers(1'000);
      for (int n = 0; n < 500; ++n) expected.push_back(n + 10'000);
      for (int n = 0; n < 10; ++n) expected.push_back(n + 20'000);
      CHECK(sorted(merged) == expected);
      std::vector<int> of_first;
      std::copy_if(merged.begin(), merged.end(), std::back_inserter(of_first), [](int n) { return n >= 10'000; });
      of_first.erase(std::remove_if(of_first.begin(), of_first.end(), [](int n) { return n >= 20'000; }),
                     of_first.end());
      CHECK(std::is_sorted(of_first.begin(), of_first.end()));
    }
  }
}

TEST_CASE("a stream merges with a part of itself, and the watermark is the slower one's", "[operators][merge][time]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    struct Watch {
      EventTime* latest;
      int* records;
      bool* late;
      void operator()(int, EventTime time) {
        ++*records;
        *late = *late || time < *latest;
      }
      void watermark(EventTime time) { *latest = time; }
    };
    EventTime latest = beginning_of_time;
    int records = 0;
    bool late = false;
    run(topology, [&](Pipeline& pipeline) {
      auto stream = pipeline.source(SharedNumbers{2'000}).assign_timestamps([](int n) {
        return EventTime{std::chrono::microseconds{n}};
      });
      stream.merge(stream.filter([](int n) { return n % 10 == 0; })).sink(Watch{&latest, &records, &late});
    });
    CHECK(records == 2'200);
    CHECK(latest == end_of_time);
    CHECK(!late);
  }
}

TEST_CASE("rebalance keeps every record, broadcast gives every instance each", "[operators]") {
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      CHECK(sorted(result_of<int>(topology, [&](Pipeline& pipeline) {
              return pipeline.source(SharedNumbers{1'000}).parallel(parallel).rebalance().collect();
            })) == numbers(1'000));
      const auto all = sorted(result_of<int>(topology, [&](Pipeline& pipeline) {
        return pipeline.source(numbers(100)).parallel(parallel).broadcast().collect();
      }));
      const auto copies = static_cast<std::size_t>(topology.nodes * parallel);
      REQUIRE(all.size() == 100 * copies);
      for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i] == static_cast<int>(i / copies));
    }
  }
}

TEST_CASE("split sorts records by their tag", "[operators]") {
  for (const auto topology : {Topology{1, 1, false}, Topology{2, 1, false}}) {
    Collected<int> zero, two;
    run(topology, [&](Pipeline& pipeline) {
      auto by_rest = pipeline.source(SharedNumbers{300}).split([](int n) { return n % 3; });
      auto here = std::pair{by_rest.output(0).collect(), by_rest.output(2).collect()};
      if (pipeline.options().rank == 0) std::tie(zero, two) = here;
    });
    CHECK(zero.size() == 100);
    CHECK(two.size() == 100);
    CHECK(std::all_of(zero.begin(), zero.end(), [](int n) { return n % 3 == 0; }));
    CHECK(std::all_of(two.begin(), two.end(), [](int n) { return n % 3 == 2; }));
  }
}

TEST_CASE("inspect looks at records and leaves them and project takes members", "[operators]") {
  int seen = 0;
  Collected<std::tuple<std::string, int>> pairs;
  Collected<int> values;
  run({}, [&](Pipeline& pipeline) {
    auto points = pipeline.source(std::vector<Point>{{"a", 1, 2}, {"b", 3, 4}}).inspect([&](const Point& point) {
      seen += point.x;
    });
    pairs = points.project(&Point::name, &Point::y).collect();
    values = points.project(&Point::y).collect();
  });
  CHECK(seen == 4);
  CHECK(pairs.records() == std::vector<std::tuple<std::string, int>>{{"a", 2}, {"b", 4}});
  CHECK(values.records() == std::vector{2, 4});
}
