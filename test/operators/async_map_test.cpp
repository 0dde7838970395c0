#include <algorithm>
#include <chrono>
#include <deque>
#include <future>
#include <string>
#include <tensair/io/at_rate.hpp>
#include <tensair/pipeline.hpp>
#include <tensair/testing/cluster.hpp>
#include <thread>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using tensair::test::numbers;

namespace {

/// A service that answers in a task of its own, in the simulation's thread: each of its ticks it answers the latest
/// question first, so that answers come out of order.
class Service {
 public:
  void ask(int question, Reply<int> reply) {
    waiting_.emplace_back(question, std::move(reply));
    most_ = std::max(most_, waiting_.size());
  }
  /// One question is answered each millisecond, so many in all.
  auto ticks(std::uint64_t n) {
    return at_rate(1'000, [this, n, answered = std::uint64_t{0}](std::uint64_t, Time) mutable -> std::optional<int> {
      if (answered == n) return std::nullopt;
      if (!waiting_.empty()) {
        auto [question, reply] = std::move(waiting_.back());
        waiting_.pop_back();
        reply(question * question);
        ++answered;
      }
      return 0;
    });
  }
  auto most() const -> std::size_t { return most_; }

 private:
  std::deque<std::pair<int, Reply<int>>> waiting_;
  std::size_t most_ = 0;
};

/// Answers each question in a thread of its own.
class Threads {
 public:
  Threads() = default;
  Threads(const Threads&) = delete;
  auto operator=(const Threads&) -> Threads& = delete;
  ~Threads() {
    for (auto& thread : threads_) thread.join();
  }
  template <class F>
  void run(F f) {
    threads_.emplace_back(std::move(f));
  }

 private:
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("answers come in the records' order or as they come, and calls under way are bounded", "[async_map]") {
  for (const bool ordered : {true, false}) {
    for (const std::size_t concurrency : {1U, 4U, 1'000U}) {
      for (const std::uint64_t seed : {1U, 2U, 3U}) {
        INFO(ordered << " " << concurrency << " " << seed);
        Service service;
        std::vector<int> results;
        testing::Cluster cluster{{.nodes = 1, .seed = seed}};
        cluster.run([&](Pipeline& pipeline) {
          pipeline.source(numbers(100))
              .async_map<int>([&](int n, Reply<int> reply) { service.ask(n, std::move(reply)); },
                              {.concurrency = concurrency, .ordered = ordered})
              .sink([&](int n) { results.push_back(n); });
          pipeline.source(service.ticks(100)).sink([](int) {});
        });
        std::vector<int> expected;
        for (const int n : numbers(100)) expected.push_back(n * n);
        if (!ordered && concurrency > 1) {
          CHECK(results != expected);  // the service answers the latest first
          std::sort(results.begin(), results.end());
        }
        CHECK(results == expected);
        CHECK(service.most() <= concurrency);
        CHECK(service.most() >= std::min<std::size_t>(concurrency, 90));  // and they are used
      }
    }
  }
}

TEST_CASE("each node of several calls for its own records", "[async_map]") {
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    std::vector<int> results;
    test::run(topology, [&](Pipeline& pipeline) {
      pipeline.source(test::SharedNumbers{200})
          .async_map<int>([](int n, const Reply<int>& reply) { reply(n + 1); })
          .sink([&](int n) { results.push_back(n); });
    });
    std::sort(results.begin(), results.end());
    REQUIRE(results.size() == 200);
    CHECK(results.front() == 1);
    CHECK(results.back() == 200);
  }
}

TEST_CASE("answers may come from other threads", "[async_map]") {
  for (const bool ordered : {true, false}) {
    Threads threads;
    std::vector<int> results;
    test::run({1, 1, true}, [&](Pipeline& pipeline) {
      pipeline.source(numbers(200))
          .async_map<int>([&](int n, Reply<int> reply) { threads.run([n, reply = std::move(reply)] { reply(n); }); },
                          {.concurrency = 8, .ordered = ordered})
          .sink([&](int n) { results.push_back(n); });
    });
    if (!ordered) std::sort(results.begin(), results.end());
    CHECK(results == numbers(200));
  }
}

TEST_CASE("a call that fails stops the pipeline with operator and node and record", "[async_map][error]") {
  const auto run = [](auto f, AsyncOptions options = {}) {
    testing::Cluster cluster{{.nodes = 2}};
    cluster.run([&](Pipeline& pipeline) {
      pipeline.source(numbers(10)).async_map<int>(f, options).name("ask").sink([](int) {});
    });
  };
  std::vector<Reply<int>> kept;
  CHECK_THROWS_WITH(run([](int n, const Reply<int>& reply) { n == 3 ? reply.fail("refused") : reply(n); }),
                    ContainsSubstring("async_map «ask» threw: refused (node 0, record 4)"));
  CHECK_THROWS_WITH(run([](int n, const Reply<int>& reply) { n == 3 ? throw std::runtime_error("thrown") : reply(n); }),
                    ContainsSubstring("async_map «ask» threw: thrown (node 0, record 4)"));
  CHECK_THROWS_WITH(run([](int n, const Reply<int>& reply) {
                      if (n != 3) reply(n);
                    }),
                    ContainsSubstring("dropped without an answer (node 0, record 4)"));
  CHECK_THROWS_WITH(run(
                        [&](int n, const Reply<int>& reply) {
                          if (n == 3) {
                            kept.push_back(reply);
                          } else {
                            reply(n);
                          }
                        },
                        {.timeout = 1500ms}),
                    ContainsSubstring("no answer within 1.5 s (node 0, record 4)"));
  kept.front()(1);  // the run is over: nobody minds
  CHECK_THROWS_AS(run([](int, const Reply<int>&) {}, {.concurrency = 0}), UsageError);
}

TEST_CASE("a call that takes too long is given up when its time has come and a late answer is nobody's",
          "[async_map]") {
  for (const bool ordered : {true, false}) {
    std::vector<std::pair<int, Duration>> results;
    std::vector<DeadLetter<int>> letters;
    std::vector<Reply<int>> late;
    testing::Cluster cluster{{.nodes = 1, .seed = 4}};
    cluster.run([&](Pipeline& pipeline) {
      // Question 2 is answered with question 5, a second too late.
      pipeline
          .source(at_rate(
              1, [](std::uint64_t i, Time) { return i < 7 ? std::optional(static_cast<int>(i)) : std::nullopt; }))
          .async_map<int>(
              [&](int n, const Reply<int>& reply) {
                if (n == 2) {
                  late.push_back(reply);
                } else {
                  reply(n);
                  reply(100);  // only the first counts
                }
                if (n == 5) late.front()(2);
              },
              {.ordered = ordered, .timeout = 2s})
          .on_error(dead_letter<int>([&](const DeadLetter<int>& letter) { letters.push_back(letter); }))
          .sink([&](int n) { results.emplace_back(n, cluster.elapsed()); });
    });
    std::vector<int> order;
    for (const auto& [n, at] : results) order.push_back(n);
    CHECK(order == std::vector{0, 1, 3, 4, 5, 6});
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].record == 2);
    CHECK(letters[0].error == "no answer within 2 s");
    // In order, 3 waits for 2 to be given up, at 4 s.
    CHECK(results[2].second >= (ordered ? 4s : 3s));
    CHECK(results[2].second < (ordered ? 4s : 3s) + 10ms);
  }
}

TEST_CASE("results keep the event time of their records and watermarks wait for them", "[async_map]") {
  struct Sink {
    std::vector<std::pair<int, EventTime>>* results;
    std::vector<EventTime>* watermarks;
    bool* late;
    EventTime now = beginning_of_time;
    void operator()(int n, EventTime time) {
      results->emplace_back(n, time);
      if (time < now) *late = true;
    }
    void watermark(EventTime time) {
      now = time;
      watermarks->push_back(time);
    }
  };
  const auto time_of = [](int n) { return EventTime{std::chrono::seconds{n}}; };
  for (const bool ordered : {true, false}) {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
      Service service;
      std::vector<std::pair<int, EventTime>> results;
      std::vector<EventTime> watermarks;
      bool late = false;
      testing::Cluster cluster{{.nodes = 1, .seed = seed}};
      cluster.run([&](Pipeline& pipeline) {
        pipeline.source(numbers(100))
            .assign_timestamps(time_of)
            .async_map<int>([&](int n, Reply<int> reply) { service.ask(n, std::move(reply)); },
                            {.concurrency = 7, .ordered = ordered})
            .sink(Sink{&results, &watermarks, &late});
        pipeline.source(service.ticks(100)).sink([](int) {});
      });
      CHECK(!late);
      CHECK(std::is_sorted(watermarks.begin(), watermarks.end()));
      REQUIRE(!watermarks.empty());
      CHECK(watermarks.back() == end_of_time);
      REQUIRE(results.size() == 100);
      std::sort(results.begin(), results.end());
      for (int n = 0; n < 100; ++n) CHECK(results[static_cast<std::size_t>(n)] == std::pair{n * n, time_of(n)});
    }
  }
}

TEST_CASE("parallel instances call for their own records", "[async_map]") {
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    std::vector<int> results;
    test::run(topology, [&](Pipeline& pipeline) {
      pipeline.source(numbers(500))
          .parallel(3)
          .async_map<int>([](int n, const Reply<int>& reply) { reply(n); })
          .sink([&](int n) { results.push_back(n); });
    });
    std::sort(results.begin(), results.end());
    CHECK(results == numbers(500));
  }
}

TEST_CASE("calls that fail are skipped when on_error says so", "[async_map][on_error]") {
  std::vector<int> results;
  testing::Cluster cluster{{.nodes = 1}};
  cluster.run([&](Pipeline& pipeline) {
    pipeline.source(numbers(100))
        .async_map<int>([](int n, const Reply<int>& reply) { n % 3 == 0 ? reply.fail("third") : reply(n); })
        .on_error(skip)
        .sink([&](int n) { results.push_back(n); });
  });
  CHECK(results.size() == 66);
}

TEST_CASE("a run that fails does not wait for answers", "[async_map][error]") {
  std::vector<Reply<int>> kept;
  CHECK_THROWS_WITH(test::run({1, 1, true},
                              [&](Pipeline& pipeline) {
                                pipeline.source(numbers(1))
                                    .async_map<int>([&](int, const Reply<int>& reply) { kept.push_back(reply); })
                                    .sink([](int) {});
                                pipeline.source(numbers(1)).sink([](int) { throw std::runtime_error("broken"); });
                              }),
                    ContainsSubstring("threw: broken"));
  for (const auto& reply : kept) reply(1);
}
