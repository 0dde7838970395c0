#include <fmt/format.h>

#include <algorithm>
#include <boost/range/irange.hpp>
#include <map>
#include <set>
#include <string>
#include <tensair/error.hpp>
#include <tensair/pipeline.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using tensair::test::numbers;
using tensair::test::result_of;
using tensair::test::run;
using tensair::test::SharedNumbers;
using tensair::test::topologies;
using tensair::test::Topology;

namespace {

struct Word {
  std::string text;
  std::vector<int> places;
  std::optional<double> weight;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& text& places& weight;
  }
};

}  // namespace

TEST_CASE("map, filter and flat_map give what a naive loop gives, in order, on any topology", "[integration]") {
  std::vector<std::string> expected;
  for (int i = 0; i < 5'000; ++i) {
    if (i * 3 % 2 == 0) {
      for (int copy = 0; copy < i % 3; ++copy) expected.push_back(std::to_string(i * 3));
    }
  }
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    CHECK(result_of<std::string>(topology, [](Pipeline& pipeline) {
            return pipeline.source(numbers(5'000))
                .map([](int n) {
                  return std::pair{n, n * 3};
                })
                .filter([](const auto& pair) { return pair.second % 2 == 0; })
                .flat_map([](const auto& pair) {
                  return std::vector(static_cast<std::size_t>(pair.first % 3), std::to_string(pair.second));
                })
                .collect();
          }) == expected);
  }
}

TEST_CASE("a source that can be split is read once in all, and its records meet at the sink", "[integration]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    auto records = result_of<int>(topology, [](Pipeline& pipeline) {
      return pipeline.source(SharedNumbers{3'000}).map([](int n) { return n * 2; }).collect();
    });
    std::map<int, std::vector<int>> by_node;
    for (const int record : records) by_node[record / 2 % topology.nodes].push_back(record);
    for (const auto& [node, own] : by_node) CHECK(std::is_sorted(own.begin(), own.end()));  // each node's order is kept
    std::sort(records.begin(), records.end());
    auto expected = numbers(3'000);
    for (int& n : expected) n *= 2;
    CHECK(records == expected);
  }
}

TEST_CASE("batches hold n records in order, and the last one what is left", "[integration]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    const auto batches = result_of<Batch<int>>(
        topology, [](Pipeline& pipeline) { return pipeline.source(numbers(10)).batch(4).collect(); });
    CHECK(batches == std::vector<Batch<int>>{{{0, 1, 2, 3}}, {{4, 5, 6, 7}}, {{8, 9}}});
  }
}

TEST_CASE("an empty stream ends, and makes no batch", "[integration]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    CHECK(result_of<Batch<int>>(topology, [](Pipeline& pipeline) {
            return pipeline.source(std::vector<int>{}).batch(4).collect();
          }).empty());
  }
}

TEST_CASE("a stream with a name gives every use all its records", "[integration]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    Collected<int> squares, odd;
    Collected<Batch<int>> batches;
    run(topology, [&](Pipeline& pipeline) {
      auto stream = pipeline.source(numbers(1'000));
      auto here = std::tuple{stream.map([](int n) { return n * n; }).collect(),
                             stream.filter([](int n) { return n % 2 == 1; }).collect(), stream.batch(300).collect()};
      if (pipeline.options().rank == 0) std::tie(squares, odd, batches) = here;
    });
    CHECK(squares.size() == 1'000);
    CHECK(squares[999] == 999 * 999);
    CHECK(odd.size() == 500);
    CHECK(odd[499] == 999);
    CHECK(batches.size() == 4);
    CHECK(batches[3].records.back() == 999);
  }
}

TEST_CASE("a generator is asked until it gives nothing", "[integration]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    CHECK(result_of<int>(topology, [](Pipeline& pipeline) {
            return pipeline
                .source([n = 0]() mutable -> std::optional<int> { return n < 100 ? std::optional(n++) : std::nullopt; })
                .collect();
          }) == numbers(100));
  }
}

TEST_CASE("flat_map with an emitter makes no container", "[integration]") {
  CHECK(result_of<char>({}, [](Pipeline& pipeline) {
          return pipeline.source(std::vector<std::string>{"ab", "", "c"})
              .flat_map<char>([](const std::string& word, auto emit) {
                for (const char c : word) emit(c);
              })
              .collect();
        }) == std::vector{'a', 'b', 'c'});
}

TEST_CASE("flat_map takes whatever a range-based for loop takes", "[integration]") {
  static const int array[] = {7, 8};
  const auto result = result_of<int>({}, [](Pipeline& pipeline) {
    return pipeline.source(std::vector{3})
        .flat_map([](int n) { return boost::irange(0, n); })
        .flat_map([](int) -> const int(&)[2] { return array; })
        .collect();
  });
  CHECK(result == std::vector{7, 8, 7, 8, 7, 8});
}

TEST_CASE("flat_map leaves a range that belongs to somebody else as it was", "[integration]") {
  const std::vector<std::string> shared{"a long string that would be moved from, were it ours to move", "b"};
  CHECK(result_of<std::string>({}, [&](Pipeline& pipeline) {
          return pipeline.source(numbers(2))
              .flat_map([&](int) -> const std::vector<std::string>& { return shared; })
              .collect();
        }).size() == 4);
  CHECK(shared[0].size() > 1);
}

TEST_CASE("a lambda that throws stops the pipeline with operator, node and record number", "[integration][error]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    try {
      run(topology, [](Pipeline& pipeline) {
        pipeline.source(numbers(1'000))
            .map([](int n) {
              if (n == 41) throw std::runtime_error("no such luck");
              return n;
            })
            .name("halve")
            .sink([](int) {});
      });
      FAIL("nothing was thrown");
    } catch (const UserError& error) {
      CHECK(error.operator_name() == "map «halve»");
      CHECK(error.node() == 0);
      CHECK(error.record() == 42);
      CHECK(std::string(error.what()) == "map «halve» threw: no such luck (node 0, record 42)");
    }
  }
}

TEST_CASE("when a node fails, the others are told why", "[integration][error]") {
  try {
    test::run_tcp(
        3,
        [](Pipeline& pipeline) {
          pipeline.source(SharedNumbers{1'000})
              .filter([](int n) {
                if (n == 500) throw std::runtime_error("broken");  // node 2 reads it
                return true;
              })
              .sink([](int) {});
        },
        0);
    FAIL("nothing was thrown");
  } catch (const NodeError& error) {
    INFO(error.what());
    // Node 1 gives up as well, and its word may be the first that node 0 hears: with node 2's reason in it.
    CHECK((error.node() == 2 || error.node() == 1));
    CHECK(error.failed().find("node 2 gave up: filter #1 threw: broken") != std::string::npos);
  }
}

TEST_CASE("graphs that cannot run are refused before anything starts", "[integration][error]") {
  const auto error_of = [](const std::function<void(Pipeline&)>& build) -> std::string {
    try {
      run({}, build);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(error_of([](Pipeline&) {}).find("the pipeline is empty") == 0);
  CHECK(error_of([](Pipeline& pipeline) {
          pipeline.source(numbers(3)).map([](int n) { return n; });
        }).find("the stream of map #1 goes nowhere") == 0);
  CHECK(error_of([](Pipeline& pipeline) { pipeline.source(numbers(3)).batch(0).collect(); }).find("batch(0)") == 0);
  CHECK(error_of([](Pipeline& pipeline) {
          auto used = pipeline.source(numbers(3));
          used.collect();
          std::move(used).collect();
        }).find("a stream that has been used is moved into another use (after source #0)") == 0);
}

TEST_CASE("records with serialize() cross nodes", "[integration]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    auto words = result_of<Word>(topology, [](Pipeline& pipeline) {
      return pipeline.source(SharedNumbers{50})
          .map([](int n) {
            return Word{std::to_string(n), numbers(n), n % 2 == 0 ? std::optional(n / 2.0) : std::nullopt};
          })
          .collect();
    });
    std::sort(words.begin(), words.end(),
              [](const Word& a, const Word& b) { return a.places.size() < b.places.size(); });
    REQUIRE(words.size() == 50);
    for (std::size_t n = 0; n < words.size(); ++n) {
      CHECK(words[n].text == std::to_string(n));
      CHECK(words[n].places == numbers(static_cast<int>(n)));
      CHECK(words[n].weight.has_value() == (n % 2 == 0));
    }
  }
}

TEST_CASE("a slow sink slows the sources of all nodes, and what waits stays bounded", "[integration][backpressure]") {
  for (const int nodes : {1, 2, 5}) {
    // Each node's chunks under way: those with credit, one being filled, one beyond the last credit.
    const int bound = nodes * static_cast<int>((operators::chunk_credits_between_nodes<std::vector<int>> + 2) *
                                                   operators::chunk_size<int> +
                                               runtime::TurnSize::most);
    int emitted = 0, received = 0, ahead = 0;
    testing::Cluster cluster{{.nodes = nodes, .seed = 7}};
    cluster.run([&](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{400'000})
          .map([&](int n) {
            ++emitted;
            return n;
          })
          .sink([&](int) { ahead = std::max(ahead, emitted - ++received); });
    });
    CHECK(received == 400'000);
    CHECK(ahead <= bound);
  }
}

TEST_CASE("a seed runs the same way again, and another one another way", "[testing]") {
  const auto order_of = [](std::uint64_t seed) {
    return result_of<int>({5, seed, false}, [](Pipeline& p) { return p.source(SharedNumbers{5'000}).collect(); });
  };
  CHECK(order_of(3) == order_of(3));
  CHECK(order_of(3) != order_of(4));
}

TEST_CASE("a node that dies is an error that names it", "[testing][error]") {
  testing::Cluster cluster{{.nodes = 3}};
  cluster.kill(2, std::chrono::microseconds{50});
  try {
    cluster.run([](Pipeline& pipeline) { pipeline.source(SharedNumbers{100'000}).collect(); });
    FAIL("nothing was thrown");
  } catch (const NodeError& error) {
    CHECK(error.node() == 2);
  }
}

TEST_CASE("run() reports an error as one line and an exit status", "[integration][error]") {
  Pipeline pipeline;
  CHECK(pipeline.run() == static_cast<int>(ExitCode::usage));
  Pipeline throwing;
  CHECK(throwing.run([&] { throw Error("the table is empty"); }) == static_cast<int>(ExitCode::failure));
}

TEST_CASE("explain shows tasks, the operators fused in them, edges and nodes", "[plan]") {
  Pipeline pipeline;
  pipeline.source(SharedNumbers{10}).map([](int n) { return n; }).name("double").batch(2).sink([](const Batch<int>&) {
  });
  const auto text = test::explained(pipeline, 4);
  CHECK(text.find("task 0 on nodes 0–3") != std::string::npos);
  CHECK(text.find("map «double»") != std::string::npos);
  CHECK(text.find("fused from source #0") != std::string::npos);
  CHECK(text.find("gather from batch #2") != std::string::npos);
  CHECK(text.find("Stream<Batch<int>>") != std::string::npos);
  CHECK(pipeline.graph()->explain_dot().find("digraph tensair {") == 0);
}
