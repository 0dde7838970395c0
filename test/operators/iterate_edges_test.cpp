#include <chrono>
#include <deque>
#include <string>
#include <tensair/io/at_rate.hpp>
#include <tensair/io/discard.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/streams.hpp"

// What stands in a loop beside record-wise operators, and what must not.

using namespace tensair;
using test::numbers;
using test::result_of;
using test::run;
using test::SharedNumbers;
using test::topologies;

namespace {

const auto above_zero = [](int n) { return n > 0; };
const auto at_zero = [](int n) { return n == 0; };
const auto one_less = [](int n) { return n - 1; };

auto error_of(const std::function<void(Pipeline&)>& build) -> std::string {
  try {
    run({}, build);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// Feeds a record back when the loop's stream has ended.
struct AtTheEnd {
  struct State {};
  using Output = int;
  void operator()(int, State&, ProcessContext<int, int>& context) { context.at(EventTime{std::chrono::hours{1}}); }
  void on_event_time(EventTime, State&, ProcessContext<int, int>& context) { context.emit(1); }
};

}  // namespace

TEST_CASE("a batch in a loop is cut where the loop would wait for it", "[operators][iterate]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    CHECK(result_of<int>(topology, [](Pipeline& pipeline) {
            return pipeline.source(SharedNumbers{50})
                .iterate([](auto loop) {
                  auto less = std::move(loop).batch(7).flat_map([](const Batch<int>& batch) {
                    std::vector<int> all;
                    for (const int n : batch) all.push_back(n > 0 ? n - 1 : 0);
                    return all;
                  });
                  return Iteration{less.filter(above_zero), less.filter(at_zero)};
                })
                .collect();
          }) == std::vector<int>(50, 0));
  }
}

TEST_CASE("a loop waits for answers that come later", "[operators][iterate]") {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    std::deque<std::pair<int, Reply<int>>> asked;
    Collected<int> ends;
    testing::Cluster cluster{{.nodes = 1, .seed = seed}};
    cluster.run([&](Pipeline& pipeline) {
      // A millisecond each, in a task of its own; 0 to 9 ask 1 + 1 + 2 + … + 9 times.
      pipeline
          .source(at_rate(1'000,
                          [&, answered = 0](std::uint64_t, Time) mutable -> std::optional<int> {
                            if (answered == 46) return std::nullopt;
                            if (asked.empty()) return 0;
                            auto [n, reply] = std::move(asked.back());
                            asked.pop_back();
                            reply(n > 0 ? n - 1 : 0);
                            return ++answered;
                          }))
          .sink(discard());
      ends = pipeline.source(numbers(10))
                 .iterate([&](auto loop) {
                   auto less = std::move(loop).template async_map<int>(
                       [&](int n, Reply<int> reply) { asked.emplace_back(n, std::move(reply)); }, {.concurrency = 4});
                   return Iteration{less.filter(above_zero), less.filter(at_zero)};
                 })
                 .collect();
    });
    CHECK(ends.size() == 10);
  }
}

TEST_CASE("a loop goes on behind a loop", "[operators][iterate]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    CHECK(result_of<int>(topology, [](Pipeline& pipeline) {
            const auto to_zero = [](auto loop) {
              auto less = std::move(loop).rebalance().map([](int n) { return n > 0 ? n - 1 : 0; });
              return Iteration{less.filter(above_zero), less.filter(at_zero)};
            };
            return pipeline.source(SharedNumbers{30})
                .iterate(to_zero)
                .map([](int) { return 3; })
                .iterate(to_zero)
                .key_by(std::identity{})
                .count(at_end)
                .map([](const auto& counted) { return static_cast<int>(counted.value); })
                .collect();
          }) == std::vector{30});
  }
}

TEST_CASE("the times of a loop's input are left in front of it", "[operators][iterate]") {
  CHECK(result_of<int>({}, [](Pipeline& pipeline) {
          return pipeline.source(numbers(10))
              .assign_timestamps([](int n) { return EventTime{std::chrono::seconds{n}}; })
              .iterate([](auto loop) {
                auto less = std::move(loop).map([](int n) { return n > 0 ? n - 1 : 0; });
                return Iteration{less.filter(above_zero), less.filter(at_zero)};
              })
              .collect();
        }).size() == 10);
}

TEST_CASE("what a loop cannot do is refused before anything starts", "[operators][iterate][error]") {
  const auto looped = [](auto body) {
    return [body](Pipeline& pipeline) { pipeline.source(numbers(3)).iterate(body).collect(); };
  };
  CHECK(error_of(looped([](auto loop) {
          auto inner = std::move(loop).iterate([](auto again) {
            auto here = std::move(again);
            return Iteration{here.filter(above_zero).map(one_less), here.filter(at_zero)};
          });
          // Never reached: the inner loop is refused first.
          return Iteration{inner.assign_timestamps([](int) { return EventTime{}; }), inner.filter(at_zero)};
        })).find("iterate in a loop") == 0);
  CHECK(error_of(looped([](auto loop) {
          auto counted =
              std::move(loop).key_by(std::identity{}).count(at_end).map([](const auto& one) { return one.key; });
          return Iteration{counted.filter(above_zero), counted.filter(at_zero)};
        })).find("at_end in a loop") == 0);
  CHECK(error_of(looped([](auto loop) {
          auto counted = std::move(loop)
                             .key_by(std::identity{})
                             .window(tumbling(std::chrono::seconds{1}))
                             .count()
                             .map([](const auto& one) { return one.key; });
          return Iteration{counted.filter(above_zero), counted.filter(at_zero)};
        })).find("a window in event time in a loop") == 0);
  CHECK(error_of([](Pipeline& pipeline) {
          auto other = pipeline.source(numbers(3)).assign_timestamps([](int) { return EventTime{}; });
          pipeline.source(numbers(3))
              .iterate([&](auto loop) {
                return Iteration{other.map(one_less), std::move(loop)};
              })
              .collect();
        }).find("the feedback of iterate does not come from its loop") == 0);
}

TEST_CASE("what is fed back after the loop's end is an error", "[operators][iterate][error]") {
  CHECK(error_of([](Pipeline& pipeline) {
          pipeline.source(numbers(3))
              .iterate([](auto loop) {
                auto late = std::move(loop).key_by(std::identity{}).process(AtTheEnd{});
                return Iteration{late.filter(above_zero), late.filter(at_zero)};
              })
              .collect();
        }).find("a record was fed back after its loop had ended") == 0);
}
