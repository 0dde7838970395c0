#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/sanitized.hpp"
#include "support/streams.hpp"

// Loops whose records go round on their own: what comes out is what a loop by hand makes of each.

using namespace tensair;
using test::numbers;
using test::result_of;
using test::run;
using test::sanitized;
using test::SharedNumbers;
using test::sorted;
using test::topologies;

namespace {

/// A number's way to 1: halve it when it is even, else triple it and add one.
struct Walk {
  int start = 0;
  long n = 0;
  int steps = 0;
};
struct Length {
  int start = 0, steps = 0;
  friend auto operator<=>(const Length&, const Length&) = default;
};

auto step(Walk walk) -> Walk {
  return {walk.start, walk.n % 2 == 0 ? walk.n / 2 : 3 * walk.n + 1, walk.steps + 1};
}

auto lengths_by_hand(int n) -> std::vector<Length> {
  std::vector<Length> all;
  for (int start = 1; start <= n; ++start) {
    Walk walk{start, start, 0};
    while (walk.n != 1) walk = step(walk);
    all.push_back({start, walk.steps});
  }
  return all;
}

template <class S>
auto walks(S numbers) {
  return std::move(numbers).map([](int n) { return Walk{n + 1, n + 1, 0}; });
}
const auto unfinished = [](const Walk& walk) { return walk.n != 1; };
const auto finished = [](const Walk& walk) { return walk.n == 1; };
const auto length = [](const Walk& walk) { return Length{walk.start, walk.steps}; };

}  // namespace

TEST_CASE("a loop takes each record round until it is done", "[operators][iterate]") {
  const auto expected = lengths_by_hand(300);
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      CHECK(sorted(result_of<Length>(topology, [&](Pipeline& pipeline) {
              return walks(pipeline.source(SharedNumbers{300}).parallel(parallel))
                  .iterate([](auto loop) {
                    auto here = std::move(loop);
                    return Iteration{here.filter(unfinished).map(step), here.filter(finished).map(length)};
                  })
                  .collect();
            })) == expected);
    }
  }
}

TEST_CASE("a loop may go over all instances of all nodes", "[operators][iterate]") {
  constexpr int many = sanitized ? 40 : 200;
  const auto expected = lengths_by_hand(many);
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      CHECK(sorted(result_of<Length>(topology, [&](Pipeline& pipeline) {
              // Records begin on node 0 alone.
              return walks(pipeline.source(numbers(many)))
                  .iterate([&](auto loop) {
                    auto counted = std::move(loop)
                                       .key_by([](const Walk& walk) { return walk.n; })
                                       .parallel(parallel)
                                       .template with_state<int>([](int& seen, const Walk& walk) {
                                         ++seen;
                                         return walk;
                                       });
                    return Iteration{counted.filter(unfinished).map(step).rebalance(),
                                     counted.filter(finished).map(length)};
                  })
                  .collect();
            })) == expected);
    }
  }
}

TEST_CASE("a loop without input ends", "[operators][iterate]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    CHECK(result_of<int>(topology, [](Pipeline& pipeline) {
            return pipeline.source(std::vector<int>{})
                .iterate([](auto loop) {
                  auto here = std::move(loop).rebalance();
                  return Iteration{here.map([](int n) { return n; }), here.map([](int n) { return n; })};
                })
                .collect();
          }).empty());
  }
}

TEST_CASE("a loop ends in which nothing ever goes round", "[operators][iterate]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    CHECK(result_of<int>(topology, [](Pipeline& pipeline) {
            return pipeline.source(SharedNumbers{3'000})
                .iterate([](auto loop) {
                  auto here = std::move(loop);
                  return Iteration{here.filter([](int) { return false; }), here.map([](int n) { return n; })};
                })
                .collect();
          }).size() == 3'000);
  }
}

TEST_CASE("a loop that makes many records of each does not block itself", "[operators][iterate]") {
  // Each n becomes n times n - 1: of 7 come 7 · 6 · … · 1 zeros.
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::uint64_t zeros = 0;
    run(topology, [&](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{20})
          .map([](int) { return 7; })
          .iterate([](auto loop) {
            auto more = std::move(loop).rebalance().flat_map(
                [](int n) { return std::vector<int>(static_cast<std::size_t>(n), n - 1); });
            return Iteration{more.filter([](int n) { return n > 0; }), more.filter([](int n) { return n == 0; })};
          })
          .sink([&](int) { ++zeros; });
    });
    CHECK(zeros == 20 * 5040);
  }
}

TEST_CASE("a loop with a small record type and a big amount of input keeps what is in it small",
          "[operators][iterate]") {
  // What is in the loop at one time, on one node: the chunks of input that the edges hold, however much input there is.
  int inside = 0, most = 0;
  testing::Cluster cluster{{.nodes = 1, .seed = 5}};
  cluster.run([&](Pipeline& pipeline) {
    pipeline.source(numbers(200'000))
        .map([&](int n) {
          most = std::max(most, ++inside);
          return std::pair(n, 3);
        })
        .iterate([](auto loop) {
          auto less = std::move(loop).rebalance().map(
              [](std::pair<int, int> one) { return std::pair(one.first, one.second - 1); });
          return Iteration{less.filter([](std::pair<int, int> one) { return one.second > 0; }),
                           less.filter([](std::pair<int, int> one) { return one.second == 0; })};
        })
        .sink([&](std::pair<int, int>) { --inside; });
  });
  CHECK(inside == 0);
  CHECK(most <= 3 * static_cast<int>((operators::chunk_credits + 2) * operators::chunk_size<std::pair<int, int>> +
                                     runtime::TurnSize::most));
}

TEST_CASE("a sink may stand in a loop", "[operators][iterate]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    long seen = 0;
    Collected<Length> ends;
    run(topology, [&](Pipeline& pipeline) {
      auto here = walks(pipeline.source(SharedNumbers{50}))
                      .iterate([&](auto loop) {
                        auto all = std::move(loop);
                        all.sink([&](const Walk&) { ++seen; });
                        return Iteration{all.filter(unfinished).map(step), all.filter(finished).map(length)};
                      })
                      .collect();
      if (pipeline.options().rank == 0) ends = here;
    });
    long expected = 0;
    for (const auto& one : lengths_by_hand(50)) expected += one.steps + 1;
    CHECK(ends.size() == 50);
    CHECK(seen == expected);
  }
}
