#include <memory>
#include <tensair/error.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

auto usage_error_of(const std::function<void(Pipeline&)>& build) -> std::string {
  try {
    run({}, build);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a source that can be split is read once in all by parallel instances", "[operators][parallel]") {
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      const auto records = result_of<int>(topology, [&](Pipeline& pipeline) {
        return pipeline.source(SharedNumbers{5'000}).parallel(parallel).map([](int n) { return n; }).collect();
      });
      // Each instance's order is kept.
      const int instances = topology.nodes * parallel;
      std::vector<int> last(static_cast<std::size_t>(instances), -1);
      for (const int n : records) {
        auto& before = last[static_cast<std::size_t>(n % instances)];
        CHECK(before < n);
        before = n;
      }
      CHECK(sorted(records) == numbers(5'000));
    }
  }
}

TEST_CASE("records of a source on one node are shared out among instances on all", "[operators][parallel]") {
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      CHECK(sorted(result_of<int>(topology, [&](Pipeline& pipeline) {
              return pipeline.source(numbers(5'000))
                  .map([](int n) { return n; })
                  .parallel(parallel)
                  .filter([](int n) { return n >= 0; })
                  .collect();
            })) == numbers(5'000));
    }
  }
}

TEST_CASE("instances are copies of the operators, each with a state of its own", "[operators][parallel]") {
  for (const int nodes : {1, 2, 5}) {
    // 12 records an instance: three batches of 5, 5 and 2 each, and counters that count to 12.
    const int instances = nodes * 3;
    Collected<Batch<int>> batches;
    testing::Cluster cluster{{.nodes = nodes, .seed = 3}};
    cluster.run([&](Pipeline& pipeline) {
      auto here = pipeline.source(SharedNumbers{12 * instances})
                      .parallel(3)
                      .map([count = 0](int) mutable { return ++count; })
                      .batch(5)
                      .collect();
      if (pipeline.options().rank == 0) batches = here;
    });
    CHECK(batches.size() == static_cast<std::size_t>(3 * instances));
    std::map<std::vector<int>, int> counts;
    for (const auto& batch : batches) ++counts[batch.records];
    CHECK(counts == std::map<std::vector<int>, int>{
                        {{1, 2, 3, 4, 5}, instances}, {{6, 7, 8, 9, 10}, instances}, {{11, 12}, instances}});
  }
}

TEST_CASE("every use of a named stream gets the records of all its instances", "[operators][parallel]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    Collected<int> odd, even;
    run(topology, [&](Pipeline& pipeline) {
      auto stream = pipeline.source(SharedNumbers{3'000}).parallel(3).map([](int n) { return n; });
      auto here = std::pair{stream.filter([](int n) { return n % 2 == 1; }).collect(),
                            stream.filter([](int n) { return n % 2 == 0; }).collect()};
      if (pipeline.options().rank == 0) std::tie(odd, even) = here;
    });
    auto all = odd.records();
    CHECK(all.size() == 1'500);
    all.insert(all.end(), even.begin(), even.end());
    CHECK(sorted(all) == numbers(3'000));
  }
}

TEST_CASE("a lambda that cannot be copied has one instance, or is refused before anything starts",
          "[operators][parallel][error]") {
  const auto build = [](int parallel) {
    return [parallel](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{3})
          .parallel(parallel)
          .map([own = std::make_unique<int>(1)](int n) { return n + *own; })
          .collect();
    };
  };
  CHECK(usage_error_of(build(1)).empty());
  CHECK(usage_error_of(build(2)).find("parallel instances are copies") == 0);
  CHECK(usage_error_of([](Pipeline& pipeline) {
          auto stream = pipeline.source(SharedNumbers{3}).parallel(2).map([](int n) { return n; });
          stream.map([own = std::make_unique<int>(1)](int n) { return n + *own; }).collect();
        }).find("parallel instances are copies") == 0);
}

TEST_CASE("parallel takes 1 or more", "[operators][parallel][error]") {
  CHECK(usage_error_of([](Pipeline& pipeline) {
          pipeline.source(SharedNumbers{3}).parallel(0).collect();
        }).find("parallel(0)") == 0);
}

TEST_CASE("a lambda that throws in one of several instances is named with its node", "[operators][parallel][error]") {
  try {
    run({2, 1, false}, [](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{6'000})
          .parallel(3)
          .map([](int n) {
            if (n == 6 * 41 + 4) throw std::runtime_error("no such luck");  // part 4 of 6: node 1
            return n;
          })
          .collect();
    });
    FAIL("nothing was thrown");
  } catch (const UserError& error) {
    CHECK(error.node() == 1);
    CHECK(error.record() == 42);
  }
}

TEST_CASE("explain shows parallel instances and what goes from one to another", "[operators][parallel][plan]") {
  Pipeline pipeline;
  pipeline.source(numbers(3))
      .parallel(4)
      .map([](int n) { return n; })
      .key_by([](int n) { return n; })
      .count()
      .sink([](const KeyValue<int, std::uint64_t>&) {});
  const auto text = explained(pipeline, 2);
  CHECK(text.find("task 1 on nodes 0–1, 4 instances each") != std::string::npos);
  CHECK(text.find("rebalance from source #0") != std::string::npos);
  CHECK(text.find("key hash from map #2") != std::string::npos);
  CHECK(text.find("gather from count #4") != std::string::npos);
}

TEST_CASE("explain shows one task where nothing is exchanged", "[operators][parallel][plan]") {
  Pipeline pipeline;
  pipeline.source(SharedNumbers{3}).key_by([](int n) { return n; }).count().sink([](const auto&) {});
  CHECK(explained(pipeline, 1).find("task 1") == std::string::npos);
  CHECK(explained(pipeline, 2).find("task 2") != std::string::npos);
}

TEST_CASE("forward keeps instances and order, and makes a task of what is behind", "[operators][parallel]") {
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      const auto records = result_of<std::pair<int, int>>(topology, [&](Pipeline& pipeline) {
        return pipeline.source(SharedNumbers{5'000})
            .parallel(parallel)
            .map([](int n) { return n; })
            .forward()
            .map([instance = -1, instances = topology.nodes * parallel](int n) mutable {
              if (instance < 0) instance = n % instances;
              return std::pair(instance, n);
            })
            .collect();
      });
      const int instances = topology.nodes * parallel;
      std::vector<int> last(static_cast<std::size_t>(instances), -1);
      std::vector<int> all;
      for (const auto& [instance, n] : records) {
        CHECK(instance == n % instances);
        CHECK(last[static_cast<std::size_t>(instance)] < n);
        last[static_cast<std::size_t>(instance)] = n;
        all.push_back(n);
      }
      CHECK(sorted(all) == numbers(5'000));
    }
  }
}

TEST_CASE("without forward each record passes both operators before the next one comes", "[operators][parallel]") {
  const auto calls = [](bool apart, std::uint64_t seed) {
    std::vector<std::string> seen;
    testing::Cluster cluster{{.nodes = 1, .seed = seed}};
    cluster.run([&](Pipeline& pipeline) {
      const auto front = [&](int n) { return seen.push_back("front"), n; };
      const auto back = [&](int) { seen.push_back("back"); };
      auto stream = pipeline.source(numbers(3)).map(front);
      if (apart) {
        std::move(stream).forward().sink(back);
      } else {
        std::move(stream).sink(back);
      }
    });
    return seen;
  };
  const auto in_turn = std::vector<std::string>{"front", "back", "front", "back", "front", "back"};
  int out_of_turn = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CHECK(calls(false, seed) == in_turn);
    out_of_turn += calls(true, seed) != in_turn ? 1 : 0;
  }
  CHECK(out_of_turn > 0);
}

TEST_CASE("explain shows the task behind forward", "[operators][parallel][plan]") {
  Pipeline pipeline;
  pipeline.source(numbers(3)).forward().map([](int n) { return n; }).sink([](int) {});
  const auto text = explained(pipeline, 1);
  CHECK(text.find("forward #1                   forward from source #0") != std::string::npos);
  CHECK(text.find("task 1") != std::string::npos);
}
