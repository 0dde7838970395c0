#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tensair/error.hpp>
#include <tensair/runtime/key_slots.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using Catch::Matchers::ContainsSubstring;

namespace {

// What nodes with these workers and labels collect on node 0.
template <class T, class Compose>
auto result_on(const std::vector<NodeSpec>& specs, Compose compose) -> std::vector<T> {
  Collected<T> collected;
  testing::Cluster cluster{{.nodes = static_cast<int>(specs.size()), .seed = 7, .specs = specs}};
  cluster.run([&](Pipeline& pipeline) {
    auto here = compose(pipeline);
    if (pipeline.options().rank == 0) collected = here;
  });
  return collected.records();
}

auto sorted(std::vector<int> all) -> std::vector<int> {
  std::sort(all.begin(), all.end());
  return all;
}

auto plan_on(const std::vector<NodeSpec>& specs, const std::function<void(Pipeline&)>& compose) -> std::string {
  Pipeline pipeline;
  compose(pipeline);
  pipeline.graph()->place(specs);
  return pipeline.graph()->explain();
}

const std::vector<NodeSpec> three = {
    {.workers = 2}, {.workers = 8, .labels = {"strong", "berlin"}}, {.labels = {"berlin"}}};

}  // namespace

TEST_CASE("a source runs on the node that it is told", "[plan]") {
  for (const int node : {0, 1, 2}) {
    INFO("on node " << node);
    const auto ranks = result_on<int>(three, [&](Pipeline& pipeline) {
      const int rank = pipeline.options().rank;
      return pipeline
          .source([rank, n = 0](std::stop_token) mutable { return n++ < 100 ? std::optional(rank) : std::nullopt; })
          .on(node)
          .map([](int r) { return r; })
          .collect();
    });
    CHECK(ranks == std::vector<int>(100, node));
  }
}

TEST_CASE("a source that can be split is read by the nodes with a label", "[plan]") {
  const auto from = result_on<std::pair<int, int>>(three, [&](Pipeline& pipeline) {
    const int rank = pipeline.options().rank;
    return pipeline.source(SharedNumbers{1'000})
        .on("berlin")
        .map([rank](int n) { return std::pair(n, rank); })
        .collect();
  });
  std::vector<int> all;
  std::map<int, int> by_rank;
  for (const auto& [n, rank] : from) {
    all.push_back(n);
    ++by_rank[rank];
  }
  CHECK(sorted(all) == numbers(1'000));
  CHECK(by_rank == std::map<int, int>{{1, 500}, {2, 500}});
}

TEST_CASE("a source that cannot be split is read by each node with a label", "[plan]") {
  auto from = result_on<std::pair<int, int>>(three, [&](Pipeline& pipeline) {
    const int rank = pipeline.options().rank;
    return pipeline.source(numbers(100)).on("berlin").map([rank](int n) { return std::pair(rank, n); }).collect();
  });
  std::stable_sort(from.begin(), from.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::pair<int, int>> expected;
  for (const int rank : {1, 2}) {
    for (int n = 0; n < 100; ++n) expected.emplace_back(rank, n);
  }
  CHECK(from == expected);
}

TEST_CASE("operators behind on run there, and sinks too, one on each node", "[plan]") {
  std::map<int, std::vector<int>> sunk;  // by rank
  testing::Cluster cluster{{.nodes = 3, .seed = 7, .specs = three}};
  cluster.run([&](Pipeline& pipeline) {
    const int rank = pipeline.options().rank;
    pipeline.source(numbers(1'000))
        .map([](int n) { return n; })
        .parallel(2)
        .on("berlin")
        .filter([](int n) { return n % 2 == 0; })
        .sink([&sunk, rank](int n) { sunk[rank].push_back(n); });
  });
  CHECK(sunk.size() == 2);
  CHECK(sunk[1].size() + sunk[2].size() == 500);
  CHECK(!sunk[1].empty());
  CHECK(!sunk[2].empty());
  auto all = sunk[1];
  all.insert(all.end(), sunk[2].begin(), sunk[2].end());
  std::vector<int> even;
  for (int n = 0; n < 1'000; n += 2) even.push_back(n);
  CHECK(sorted(all) == even);
}

TEST_CASE("keys are kept on the nodes that key_by is told", "[plan]") {
  std::set<int> ranks;
  const auto counts = result_on<KeyValue<int, std::uint64_t>>(three, [&](Pipeline& pipeline) {
    const int rank = pipeline.options().rank;
    return pipeline.source(SharedNumbers{3'000})
        .key_by([](int n) { return n % 100; })
        .on("berlin")
        .count()
        .inspect([&ranks, rank](const auto&) { ranks.insert(rank); })
        .collect();
  });
  CHECK(ranks == std::set{1, 2});
  std::map<int, std::uint64_t> last;
  for (const auto& count : counts) last[count.key] = std::max(last[count.key], count.value);
  CHECK(last.size() == 100);
  CHECK(std::all_of(last.begin(), last.end(), [](const auto& one) { return one.second == 30; }));
}

TEST_CASE("the same results wherever things are", "[plan]") {
  const auto compose = [](auto placed) {
    return [placed](Pipeline& pipeline) {
      auto one = placed(pipeline.source(numbers(500)), 0).map([](int n) { return n; });
      auto other = placed(pipeline.source(SharedNumbers{500}), 1).map([](int n) { return n + 500; });
      return placed(std::move(one).merge(std::move(other)), 2).map([](int n) { return n * 2; }).collect();
    };
  };
  std::vector<int> expected;
  for (int n = 0; n < 1'000; ++n) expected.push_back(n * 2);
  for (int shift = 0; shift < 3; ++shift) {
    INFO("shifted by " << shift);
    CHECK(sorted(result_on<int>(
              three, compose([&](auto stream, int i) { return std::move(stream).on((i + shift) % 3); }))) == expected);
  }
  // A source that cannot be split is read on one of the labelled nodes, or there would be two of it.
  CHECK(sorted(result_on<int>(
            three, compose([](auto stream, int i) {
              return std::move(stream).on(1).map([](int n) { return n; }).on(i == 0 ? "strong" : "berlin");
            }))) == expected);
  // Alone, a node does it all.
  CHECK(sorted(result_on<int>({{}}, compose([](auto stream, int i) { return std::move(stream).on(i); }))) == expected);
}

TEST_CASE("parallel without a number makes an instance for each worker", "[plan]") {
  const auto plan = plan_on(three, [](Pipeline& pipeline) {
    pipeline.source(SharedNumbers{10})
        .parallel()
        .key_by([](int n) { return n; })
        .parallel()
        .count()
        .sink([](const auto&) {});
  });
  CHECK_THAT(plan, ContainsSubstring("task 0 on nodes 0–2, 11 instances in all"));
  CHECK_THAT(plan, ContainsSubstring("task 1 on nodes 0–2, 11 instances in all"));
  CHECK(sorted(result_on<int>(three, [](Pipeline& pipeline) {
          return pipeline.source(SharedNumbers{1'000}).parallel().map([](int n) { return n; }).collect();
        })) == numbers(1'000));
}

TEST_CASE("a node with four times the workers keeps four times the keys", "[plan]") {
  static constexpr int keys = 10'000;
  std::map<int, int> kept;  // by rank
  testing::Cluster cluster{{.nodes = 2, .seed = 7, .specs = {{.workers = 2}, {.workers = 8}}}};
  cluster.run([&](Pipeline& pipeline) {
    const int rank = pipeline.options().rank;
    pipeline.source(SharedNumbers{2 * keys})
        .key_by([](int n) { return n % keys; })
        .parallel()
        .count()
        .inspect([&kept, rank](const auto& count) { kept[rank] += count.value == 1 ? 1 : 0; })
        .sink([](const auto&) {});
  });
  CHECK(kept[0] + kept[1] == keys);
  CHECK(kept[0] > 0.17 * keys);  // a fifth
  CHECK(kept[0] < 0.23 * keys);
}

TEST_CASE("a node that is not there is an error before anything starts", "[plan][bad-input]") {
  const auto line_of = [](auto where) -> std::string {
    try {
      plan_on(three,
              [&](Pipeline& pipeline) { pipeline.source(numbers(3)).name("clicks").on(where).sink([](int) {}); });
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(line_of(3) == "there is no node 3 (source «clicks».on(3)). The cluster's nodes are 0 to 2.");
  CHECK(line_of(-1) == "there is no node -1 (source «clicks».on(-1)). The cluster's nodes are 0 to 2.");
  CHECK(line_of("gpu") ==
        "no node has the label 'gpu' (source «clicks».on(\"gpu\")). The cluster file has the labels berlin, strong.");
}

TEST_CASE("explain tells the nodes", "[plan]") {
  const auto plan = plan_on({{}, {}, {}, {.labels = {"x"}}}, [](Pipeline& pipeline) {
    pipeline.source(SharedNumbers{10})
        .map([](int n) { return n; })
        .rebalance()
        .on("x")
        .map([](int n) { return n; })
        .sink([](int) {});
  });
  CHECK_THAT(plan, ContainsSubstring("task 0 on nodes 0–3\n"));
  CHECK_THAT(plan, ContainsSubstring("task 1 on node 3\n"));
  CHECK_THAT(plan, !ContainsSubstring("task 2"));  // the sink is there, too
}

TEST_CASE("a node more gets its share of the keys, and the others keep the rest", "[plan]") {
  using runtime::KeySlots;
  using runtime::Sites;
  for (const auto& before : {std::vector{1, 1, 1, 1}, std::vector{2, 2}, std::vector{4}, std::vector{1, 3}}) {
    auto after = before;
    after.push_back(2);
    const KeySlots old_slots{Sites{before}}, new_slots{Sites{after}};
    const auto old_receivers = static_cast<std::size_t>(Sites{before}.total());
    const auto receivers = Sites{after}.total();
    constexpr int keys = 100'000;
    int moved = 0;
    std::vector<int> at(static_cast<std::size_t>(receivers));
    for (int key = 0; key < keys; ++key) {
      const auto hash = hash_key(key);
      const auto now = new_slots.receiver_of(hash);
      ++at[now];
      if (now == old_slots.receiver_of(hash)) continue;
      ++moved;
      CHECK(now >= old_receivers);
    }
    const double share = 2.0 / receivers;
    CHECK(moved > 0.9 * share * keys);
    CHECK(moved < 1.1 * share * keys);
    for (const int n : at) {
      CHECK(n > 0.9 * keys / receivers);
      CHECK(n < 1.1 * keys / receivers);
    }
  }
}
