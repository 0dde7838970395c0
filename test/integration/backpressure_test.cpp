#include <algorithm>
#include <atomic>
#include <tensair/operators/chunk.hpp>

#include "catch.hpp"
#include "support/streams.hpp"

// Over TCP nobody can wait until nothing happens any more. So another stream, over the same nodes and twice as long,
// says how long is long: a sink is stuck until that one has ended.

using namespace tensair;
using namespace tensair::test;

namespace {

/// A sink that takes nothing until it is let go.
struct Gate {
  std::atomic<bool> shut = true;
  runtime::Waker waker{};
};
class GatedSink {
 public:
  GatedSink(Gate& gate, int& taken) : gate_(&gate), taken_(&taken) {}
  void open(runtime::Node&, const runtime::Waker& waker) { gate_->waker = waker; }
  void operator()(int) { ++*taken_; }
  auto blocked() const -> bool { return gate_->shut; }

 private:
  Gate* gate_;
  int* taken_;
};

}  // namespace

TEST_CASE("a stuck sink stops its sources over TCP, and no other stream", "[integration][backpressure]") {
  constexpr int count = 500'000;
  for (const auto& topology : tcp_topologies()) {
    INFO(topology.name());
    // Under way on each node and each of two edges: chunks with credit, one that waits for one, and one being filled.
    const int bound =
        2 * topology.nodes *
        static_cast<int>((operators::chunk_credits_between_nodes<std::vector<int>> + 2) * operators::chunk_size<int> +
                         runtime::TurnSize::most);
    REQUIRE(bound < count);
    Gate gate;
    std::atomic<int> emitted = 0;
    int taken = 0, others = 0, emitted_while_shut = 0;
    run(topology, [&](Pipeline& pipeline) {
      const auto spread = [&](int n, auto look) { return pipeline.source(SharedNumbers{n}).inspect(look).rebalance(); };
      spread(count, [&](int) { ++emitted; }).sink(GatedSink{gate, taken});
      spread(2 * count, [](int) {}).sink([&](int) {
        if (++others < 2 * count) return;
        emitted_while_shut = emitted;
        gate.shut = false;
        gate.waker.wake();
      });
    });
    CHECK(emitted_while_shut <= bound);
    CHECK(taken == count);
  }
}
