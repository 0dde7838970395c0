#include <atomic>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <tensair/error.hpp>
#include <tensair/testing/cluster.hpp>
#include <vector>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

// Never ends: each part counts what it gives.
class Endless {
 public:
  using value_type = int;
  explicit Endless(std::shared_ptr<std::atomic<long>> given) : given_(std::move(given)) {}
  void split(int, int) {}
  auto next() -> std::optional<int> { return static_cast<int>(given_->fetch_add(1) % 1'000); }

 private:
  std::shared_ptr<std::atomic<long>> given_;
};

}  // namespace

TEST_CASE("a drained run loses nothing of what its sources have given", "[integration][drain]") {
  for (const int nodes : {1, 2, 5}) {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
      INFO(nodes << " nodes, seed " << seed);
      auto given = std::make_shared<std::atomic<long>>(0);
      long counted = 0;
      testing::Cluster cluster{{.nodes = nodes, .seed = seed}};
      cluster.drain(200us);
      cluster.run([&](Pipeline& pipeline) {
        pipeline.source(Endless{given})
            .parallel(2)
            .map([](int n) { return n; })
            .key_by([](int n) { return n % 7; })
            .count(at_end)
            .sink([&counted](const KeyValue<int, std::uint64_t>& count) { counted += static_cast<long>(count.value); });
      });
      CHECK(given->load() > 0);
      CHECK(counted == given->load());
    }
  }
}

TEST_CASE("a source that waits is told to end", "[integration][drain]") {
  testing::Cluster cluster{{.nodes = 2, .seed = 1}};
  cluster.drain(1s);
  // Of the kind that polls: it never has anything.
  struct Silent {
    using value_type = int;
    auto poll() -> Poll<int> { return Poll<int>::wait(); }
  };
  long records = 0;
  cluster.run([&](Pipeline& pipeline) { pipeline.source(Silent{}).sink([&records](int) { ++records; }); });
  CHECK(records == 0);
  CHECK(cluster.elapsed() >= 1s);
}

TEST_CASE("any node's program may drain the run, over TCP", "[integration][drain]") {
  for (const int nodes : {1, 2, 3}) {
    for (const int who : {0, nodes - 1}) {
      INFO(nodes << " nodes, drained by " << who);
      auto given = std::make_shared<std::atomic<long>>(0);
      std::atomic<long> counted = 0;
      run_tcp(nodes, [&](Pipeline& pipeline) {
        const bool drains = pipeline.options().rank == who;
        pipeline.source(Endless{given})
            .inspect([&pipeline, drains, n = 0](int) mutable {
              if (drains && ++n == 10'000) pipeline.drain();
            })
            .sink([&counted](int) { ++counted; });
      });
      CHECK(given->load() >= 10'000);
      CHECK(counted == given->load());
    }
  }
}

TEST_CASE("a lambda that waits for its input is told by its stop token", "[integration][drain]") {
  Pipeline pipeline;
  std::mutex mutex;
  std::condition_variable_any changed;
  int records = 0;
  pipeline
      .source([&, first = true](std::stop_token token) mutable -> std::optional<int> {
        if (std::exchange(first, false)) return 1;
        pipeline.drain();
        std::unique_lock lock{mutex};
        changed.wait(lock, token, [] { return false; });
        return std::nullopt;
      })
      .sink([&](int) { ++records; });
  pipeline.execute();
  CHECK(records == 1);
}

TEST_CASE("a run that is drained before it begins gives nothing", "[integration][drain]") {
  Pipeline pipeline;
  int records = 0;
  pipeline.source(numbers(1'000)).sink([&](int) { ++records; });
  pipeline.drain();
  pipeline.execute();
  CHECK(records == 0);
}
