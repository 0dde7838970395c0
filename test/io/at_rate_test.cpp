#include <chrono>
#include <tensair/io/at_rate.hpp>
#include <tensair/pipeline.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"

using namespace tensair;
using namespace std::chrono_literals;

namespace {

struct Ping {
  std::uint64_t number;
  Time due;
};

const auto pings = [](std::uint64_t n) {
  return [n](std::uint64_t i, Time due) -> std::optional<Ping> {
    if (i == n) return std::nullopt;
    return Ping{i, due};
  };
};

static_assert(RestorableSource<decltype(at_rate(1, pings(1)))>);

}  // namespace

TEST_CASE("record i of a rate is due at start + i / rate", "[at_rate]") {
  for (const int nodes : {1, 2, 5}) {
    testing::Cluster cluster{{.nodes = nodes, .seed = 5}};
    std::vector<std::pair<Ping, Time>> arrived;
    cluster.run([&](Pipeline& pipeline) {
      pipeline.source(at_rate(400, pings(1'000))).sink([&](const Ping& ping) {
        arrived.emplace_back(ping, Time{} + cluster.elapsed());
      });
    });
    REQUIRE(arrived.size() == 1'000);
    const Time start = arrived.front().first.due;
    for (std::uint64_t i = 0; i < 1'000; ++i) {
      CHECK(arrived[i].first.number == i);
      CHECK(arrived[i].first.due - start == 2'500us * static_cast<long>(i));
      CHECK(arrived[i].second >= arrived[i].first.due);
      CHECK(arrived[i].second - arrived[i].first.due < 2ms);
    }
    CHECK(cluster.elapsed() >= 999 * 2'500us);
  }
}

TEST_CASE("falling behind does not change the schedule", "[at_rate]") {
  testing::Cluster cluster{{.nodes = 1}};
  std::vector<Duration> late;
  bool stalled = false;
  cluster.run([&](Pipeline& pipeline) {
    // A record each millisecond, and once nobody asks for half a second.
    class Stalling {
     public:
      using value_type = Ping;
      Stalling(bool& stalled) : inner_(1'000, pings(700)), stalled_(&stalled) {}
      void open(runtime::Node& node) {
        clock_ = &node.clock();
        inner_.open(node);
      }
      auto poll() -> Poll<Ping> {
        if (count_ == 100 && !std::exchange(*stalled_, true)) return Poll<Ping>::wait(clock_->now() + 500ms);
        auto polled = inner_.poll();
        if (polled.has_record()) ++count_;
        return polled;
      }

     private:
      AtRate<decltype(pings(1))> inner_;
      bool* stalled_;
      const Clock* clock_ = nullptr;
      int count_ = 0;
    };
    pipeline.source(Stalling{stalled}).sink([&](const Ping& ping) {
      late.push_back(Time{} + cluster.elapsed() - ping.due);
    });
  });
  REQUIRE(late.size() == 700);
  CHECK(late[99] < 1ms);
  CHECK(late[100] > 498ms);  // it counts from when it should have come
  CHECK(late[350] > 240ms);
  CHECK(late[350] < 260ms);
  CHECK(late[650] < 1ms);  // and the schedule was kept
}

TEST_CASE("a rate that was restored goes on with the next record", "[at_rate]") {
  testing::Cluster cluster{{.nodes = 1}};
  std::vector<std::uint64_t> numbers;
  cluster.run([&](Pipeline& pipeline) {
    auto source = at_rate(10, pings(8));
    source.seek(5);
    pipeline.source(std::move(source)).sink([&](const Ping& ping) { numbers.push_back(ping.number); });
  });
  CHECK(numbers == std::vector<std::uint64_t>{5, 6, 7});
  CHECK(cluster.elapsed() < 500ms);  // it does not wait for the first five again
}

TEST_CASE("a rate must be positive", "[at_rate][error]") {
  CHECK_THROWS_AS(at_rate(0, pings(1)), UsageError);
  CHECK_THROWS_AS(at_rate(-1, pings(1)), UsageError);
}
