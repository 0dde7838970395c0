#include <algorithm>
#include <string>
#include <tensair/error.hpp>
#include <tensair/plan/place.hpp>
#include <tensair/plan/profile.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using Catch::Matchers::ContainsSubstring;

namespace {

using Counts = std::vector<KeyValue<std::string, std::uint64_t>>;

// Words that are born on one node and counted: all of them go over two edges, and few results over a third.
auto count_words(Pipeline& pipeline, int born_on) -> Collected<KeyValue<std::string, std::uint64_t>> {
  return pipeline.source(numbers(20'000))
      .on(born_on)
      .map([](int n) { return "word number " + std::to_string(n % 50); })
      .rebalance()
      .name("spread")
      .map([](std::string word) { return word + "!"; })
      .key_by([](const std::string& word) { return word; })
      .name("words")
      .count()
      .filter([](const auto& count) { return count.value == 400; })
      .collect();
}

struct Ran {
  Counts counts;
  std::uint64_t bytes;
};

auto run_on(testing::ClusterOptions options, int born_on) -> Ran {
  Collected<KeyValue<std::string, std::uint64_t>> collected;
  testing::Cluster cluster{std::move(options)};
  cluster.run([&](Pipeline& pipeline) {
    auto here = count_words(pipeline, born_on);
    if (pipeline.options().rank == 0) collected = here;
  });
  auto counts = collected.records();
  std::sort(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  return {std::move(counts), cluster.bytes_sent()};
}

auto profiled() -> plan::Profile {
  testing::Cluster cluster{{.nodes = 1, .seed = 1, .profiling = true}};
  cluster.run([](Pipeline& pipeline) { count_words(pipeline, 0); });
  return cluster.profile();
}

// By hand: what tasks cost and edges carry in one second.
auto busy_profile(double spread, double words) -> plan::Profile {
  auto profile = profiled();
  profile.seconds = 1;
  profile.busy = {{"rebalance «spread»", spread}, {"key_by «words»", words}};
  return profile;
}

// How many instances of an operator the nodes get.
auto instances(const std::string& title, const std::vector<NodeSpec>& specs, const plan::Profile& profile, int born_on)
    -> runtime::Sites {
  Pipeline pipeline;
  count_words(pipeline, born_on);
  const auto& operators = pipeline.graph()->operators();
  plan::place(operators, specs, profile);
  const auto op =
      std::find_if(operators.begin(), operators.end(), [&](const auto& one) { return one->title() == title; });
  return (*op)->sites;
}

}  // namespace

TEST_CASE("a profile has the bytes of every edge as they are encoded", "[plan][profile]") {
  const auto profile = profiled();
  CHECK(profile.seconds > 0);
  // A text is its length and its letters; a chunk of 256 has a count.
  double words = 0;
  for (int n = 0; n < 20'000; ++n) words += static_cast<double>(8 + ("word number " + std::to_string(n % 50)).size());
  REQUIRE(profile.bytes.contains("rebalance «spread»"));
  REQUIRE(profile.bytes.contains("key_by «words»"));
  CHECK(profile.bytes.at("rebalance «spread»") == Approx(words).epsilon(0.02));
  CHECK(profile.bytes.at("key_by «words»") > profile.bytes.at("rebalance «spread»"));
}

TEST_CASE("operators placed by a profile send a third at most of what they would everywhere", "[plan][profile]") {
  const auto profile = profiled();
  for (const int nodes : {2, 5}) {
    for (const int born_on : {0, nodes - 1}) {
      INFO(nodes << " nodes, born on " << born_on);
      const auto naive = run_on({.nodes = nodes, .seed = 3}, born_on);
      const auto cheap = run_on({.nodes = nodes, .seed = 3, .use_profile = profile}, born_on);
      CHECK(cheap.counts.size() == 50);
      CHECK(cheap.counts == naive.counts);
      CHECK(3 * cheap.bytes < naive.bytes);
    }
  }
}

TEST_CASE("no node is given more work than its workers may do", "[plan][profile]") {
  const std::vector<NodeSpec> specs = {{.workers = 1}, {.workers = 1}, {.workers = 4}};
  using runtime::Sites;
  // All of it fits on the node where the words are born.
  for (const std::string op : {"rebalance «spread»", "key_by «words»"})
    CHECK(instances(op, specs, busy_profile(0.3, 0.4), 1) == Sites({0, 1, 0}));
  // Not any more: one worker has 0.8 to give. What is behind is shared out, and a third of the words stay.
  CHECK(instances("rebalance «spread»", specs, busy_profile(0.5, 0.7), 1) == Sites({0, 1, 0}));
  CHECK(instances("key_by «words»", specs, busy_profile(0.5, 0.7), 1) == Sites({1, 1, 1}));
  // Only one of them is too much, the one behind.
  CHECK(instances("rebalance «spread»", specs, busy_profile(0.7, 2.9), 1) == Sites({0, 1, 0}));
  CHECK(instances("key_by «words»", specs, busy_profile(0.7, 2.9), 1) == Sites({0, 0, 1}));
  // More than any node has to give.
  CHECK(instances("key_by «words»", specs, busy_profile(0, 5), 1) == Sites({1, 1, 1}));
}

#ifdef TENSAIR_HAS_RAPIDCHECK
TEST_CASE("of two tasks on three nodes, the cheapest places are found", "[plan][profile]") {
  const std::vector<NodeSpec> specs = {{.workers = 1}, {.workers = 2}, {.workers = 4}};
  check_property("no other placement costs less", [&] {
    const auto busy = rc::gen::map(rc::gen::inRange(0, 50), [](int tenths) { return tenths / 10.0; });
    const auto bytes = rc::gen::map(rc::gen::inRange(0, 1000), [](int n) { return 1.0 * n; });
    plan::Profile profile{.seconds = 1};
    profile.busy = {{"source #0", *busy}, {"rebalance «spread»", *busy}, {"key_by «words»", *busy}, {"sink #7", *busy}};
    profile.bytes = {{"rebalance «spread»", *bytes}, {"key_by «words»", *bytes}, {"sink #7", *bytes}};
    Pipeline pipeline;
    count_words(pipeline, *rc::gen::inRange(0, 3));
    const auto& operators = pipeline.graph()->operators();
    auto& spread = *operators[2];
    auto& words = *operators[4];
    auto least = std::pair(1e300, 1e300);
    for (int a = -1; a < 3; ++a) {
      for (int b = -1; b < 3; ++b) {
        spread.where = a < 0 ? Where{} : Where{a};
        words.where = b < 0 ? Where{} : Where{b};
        plan::place(operators, specs);
        const auto cost = plan::cost(operators, specs, profile);
        if (cost.overload < least.first - 1e-9 ||
            (cost.overload < least.first + 1e-9 && cost.bytes_per_second < least.second))
          least = {cost.overload, cost.bytes_per_second};
      }
    }
    spread.where = words.where = Where{};
    plan::place(operators, specs, profile);
    const auto found = plan::cost(operators, specs, profile);
    RC_ASSERT(found.overload <= least.first + 1e-9);
    RC_ASSERT(found.bytes_per_second <= least.second * (1 + 1e-6));
  });
}
#endif

TEST_CASE("what a user has placed stays there", "[plan][profile]") {
  Pipeline pipeline;
  pipeline.source(numbers(10))
      .rebalance()
      .on(2)
      .map([](int n) { return n; })
      .key_by([](int n) { return n; })
      .on(1)
      .count()
      .sink([](const auto&) {});
  plan::Profile profile{.seconds = 1, .bytes = {{"rebalance #1", 1e6}, {"key_by #3", 1e6}}};
  plan::place(pipeline.graph()->operators(), std::vector<NodeSpec>(3), profile);
  CHECK_THAT(pipeline.graph()->explain(),
             ContainsSubstring("task 1 on node 2\n") && ContainsSubstring("task 2 on node 1\n"));
}

TEST_CASE("a profile of another program, or that cannot tell operators apart, is refused",
          "[plan][profile][bad-input]") {
  Pipeline pipeline;
  pipeline.source(numbers(10)).name("x").map([](int n) { return n; }).name("y").sink([](int) {});
  const auto& operators = pipeline.graph()->operators();
  const auto error_of = [](auto action) -> std::string {
    try {
      action();
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  const std::vector<NodeSpec> specs(2);
  CHECK(error_of([&] {
          plan::place(operators, specs, {.seconds = 1, .busy = {{"map #7", 1.0}}});
        }) == "the profile is of another program (operator map #7). Run it again with --profile.");
  CHECK_THAT(error_of([&] { plan::place(operators, specs, plan::Profile{}); }), ContainsSubstring("took no time"));
  CHECK(error_of([&] { plan::check_titles(operators); }).empty());
  Pipeline twins;
  twins.source(numbers(10)).map([](int n) { return n; }).name("x").map([](int n) { return n; }).name("x").sink([](int) {
  });
  CHECK(error_of([&] { plan::check_titles(twins.graph()->operators()); }) ==
        "two operators are called map «x». A profile tells operators by their names: give each its own.");
}
