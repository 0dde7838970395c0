#include <cstdint>
#include <string>
#include <tensair/io/at_rate.hpp>
#include <tensair/io/discard.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/sanitized.hpp"
#include "support/streams.hpp"

// Graphs in which one side might wait for the other for ever, each with thousands of seeds. A simulated cluster tells
// of a deadlock as soon as nothing can happen any more. Records are batches, which move through channels alone: so a
// few dozen of them fill every channel.

using namespace tensair;
using test::SharedNumbers;

namespace {

using One = Batch<int>;

auto ones(Pipeline& pipeline, int n) {
  return pipeline.source(SharedNumbers{n}).batch(1);
}
auto number_of(const One& one) -> int {
  return one[0];
}
auto one_of(int n) -> One {
  return One{{n}};
}

/// Runs `build(pipeline, parallel)` with each of so many seeds (a twentieth where a sanitizer watches), on 1 to 3 nodes
/// with 1 or 2 instances each.
template <class Build, class Check>
void with_seeds(std::uint64_t seeds, Build build, Check check) {
  if (test::sanitized) seeds /= 20;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const int nodes = 1 + static_cast<int>(seed % 3), parallel = 1 + static_cast<int>(seed / 3 % 2);
    INFO("seed " << seed << ", " << nodes << " nodes, parallel " << parallel);
    testing::Cluster cluster{{.nodes = nodes, .seed = seed}};
    cluster.run([&](Pipeline& pipeline) { build(pipeline, parallel); });
    check();
  }
}

/// A sink that takes nothing until it is let go.
struct Gate {
  bool shut = true;
  runtime::Waker waker;
  int taken = 0;
};
class GatedSink {
 public:
  explicit GatedSink(Gate& gate) : gate_(&gate) {}
  void open(runtime::Node&, const runtime::Waker& waker) { gate_->waker = waker; }
  template <class T>
  void operator()(const T&) {
    ++gate_->taken;
  }
  auto blocked() const -> bool { return gate_->shut; }

 private:
  Gate* gate_;
};

/// Calls `event(i)` at virtual second i, for the first n.
template <class Event>
void each_second(Pipeline& pipeline, std::uint64_t n, Event event) {
  pipeline
      .source(at_rate(1,
                      [n, event](std::uint64_t i, Time) mutable -> std::optional<std::uint64_t> {
                        if (i == n) return std::nullopt;
                        event(i);
                        return i;
                      }))
      .sink(discard());
}

}  // namespace

TEST_CASE("a stream that is used twice and merged again does not block itself", "[integration][deadlock]") {
  int taken = 0;
  with_seeds(
      2'000,
      [&](Pipeline& pipeline, int parallel) {
        auto all = ones(pipeline, 60);
        auto there = all.parallel(parallel).map([](One one) { return one; }).rebalance();
        auto here = all.map([](One one) { return one; });
        taken = 0;
        std::move(there).merge(std::move(here)).sink([&](const One&) { ++taken; });
      },
      [&] { CHECK(taken == 2 * 60); });
}

TEST_CASE("a stream that is joined with itself does not block itself", "[integration][deadlock]") {
  int taken = 0;
  with_seeds(
      1'500,
      [&](Pipeline& pipeline, int parallel) {
        auto all = ones(pipeline, 40);
        const auto key = [](const One& one) { return number_of(one) % 10; };
        taken = 0;
        all.key_by(key)
            .parallel(parallel)
            .join(all.rebalance().key_by(key))
            .with([](const One& a, const One& b) { return one_of(number_of(a) + number_of(b)); })
            .sink([&](const One&) { ++taken; });
      },
      [&] { CHECK(taken == 10 * 4 * 4); });
}

TEST_CASE("a join with one slow side goes on", "[integration][deadlock]") {
  int taken = 0;
  with_seeds(
      1'500,
      [&](Pipeline& pipeline, int parallel) {
        const auto key = [](const One& one) { return number_of(one) % 5; };
        auto slow = pipeline
                        .source(at_rate(10,
                                        [](std::uint64_t i, Time) -> std::optional<int> {
                                          if (i == 10) return std::nullopt;
                                          return static_cast<int>(i);
                                        }))
                        .batch(1);
        taken = 0;
        ones(pipeline, 60)
            .key_by(key)
            .parallel(parallel)
            .join(std::move(slow).key_by(key))
            .with([](const One& a, const One&) { return a; })
            .sink([&](const One&) { ++taken; });
      },
      [&] { CHECK(taken == 5 * 12 * 2); });
}

TEST_CASE("loops do not block themselves", "[integration][deadlock][iterate]") {
  int taken = 0;
  with_seeds(
      2'500,
      [&](Pipeline& pipeline, int parallel) {
        taken = 0;
        // Each n becomes two of n - 1, here or elsewhere.
        ones(pipeline, 30)
            .map([](const One& one) { return one_of(1 + number_of(one) % 3); })
            .iterate([&](auto loop) {
              auto halves = std::move(loop)
                                .key_by([](const One& one) { return number_of(one); })
                                .parallel(parallel)
                                .template with_state<int>([](int& seen, const One& one) {
                                  ++seen;
                                  return one;
                                })
                                .rebalance()
                                .flat_map([](const One& one) {
                                  return std::vector{one_of(number_of(one) - 1), one_of(number_of(one) - 1)};
                                });
              return Iteration{halves.filter([](const One& one) { return number_of(one) > 0; }),
                               halves.filter([](const One& one) { return number_of(one) == 0; })};
            })
            .sink([&](const One&) { ++taken; });
      },
      [&] { CHECK(taken == 10 * (2 + 4 + 8)); });
}

TEST_CASE("a loop over a stream that also enters it from the side does not block itself",
          "[integration][deadlock][iterate]") {
  int taken = 0;
  with_seeds(
      1'000,
      [&](Pipeline& pipeline, int parallel) {
        taken = 0;
        auto all = ones(pipeline, 30);
        const auto key = [](const One& one) { return number_of(one); };
        // Each n meets itself once, and goes on to n - 1.
        all.iterate(
               [&](auto loop, auto side) {
                 auto met = std::move(loop)
                                .key_by(key)
                                .parallel(parallel)
                                .join(std::move(side).key_by(key))
                                .with([](const One& a, const One&) { return one_of(number_of(a) - 1); });
                 return Iteration{met.filter([](const One& one) { return number_of(one) >= 0; }),
                                  met.filter([](const One& one) { return number_of(one) < 0; })};
               },
               all)
            .sink([&](const One&) { ++taken; });
      },
      [&] { CHECK(taken == 30); });
}

TEST_CASE("a sink that is blocked for long blocks what is before it, and then all goes on", "[integration][deadlock]") {
  Gate gate;
  with_seeds(
      1'500,
      [&](Pipeline& pipeline, int parallel) {
        if (pipeline.options().rank == 0) gate = {};
        each_second(pipeline, 3, [&gate](std::uint64_t second) {
          if (second < 2) return;
          gate.shut = false;
          gate.waker.wake();
        });
        auto all = ones(pipeline, 60);
        all.parallel(parallel).merge(all.rebalance()).sink(GatedSink{gate});
      },
      [&] { CHECK(gate.taken == 2 * 60); });
}

TEST_CASE("a stuck sink stops its sources, on all nodes", "[integration][backpressure]") {
  for (const int nodes : {1, 2, 5}) {
    // Under way on each node: chunks with credit, one that waits for one, and one being filled.
    const int bound = nodes * static_cast<int>((operators::chunk_credits_between_nodes<std::vector<int>> + 2) *
                                                   operators::chunk_size<int> +
                                               runtime::TurnSize::most);
    Gate gate;
    int emitted = 0;
    std::vector<int> by_second;
    testing::Cluster cluster{{.nodes = nodes, .seed = 11}};
    cluster.run([&](Pipeline& pipeline) {
      each_second(pipeline, 11, [&](std::uint64_t second) {
        by_second.push_back(emitted);
        if (second < 10) return;
        gate.shut = false;
        gate.waker.wake();
      });
      pipeline.source(SharedNumbers{1'000'000})
          .map([&](int n) {
            ++emitted;
            return n;
          })
          .rebalance()
          .sink(GatedSink{gate});
    });
    INFO(nodes << " nodes");
    REQUIRE(by_second.size() == 11);
    CHECK(by_second[1] <= 2 * bound);  // two edges
    CHECK(by_second[10] == by_second[1]);
    CHECK(gate.taken == 1'000'000);
  }
}
