#include <chrono>
#include <functional>

#include "catch.hpp"
#include "support/bools.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

TEST_CASE("bools are joined and looked up", "[operators][bool]") {
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::size_t pairs = 0, close = 0, in_windows = 0, seen = 0, grouped = 0, informed = 0;
    run(topology, [&](Pipeline& pipeline) {
      const auto keyed = [&] { return timed(pipeline).key_by(std::identity{}); };
      const auto both = [](bool a, bool b) { return a && b; };
      keyed().join(keyed()).with(both).sink([&](bool yes) { pairs += yes ? 1 : 0; });
      keyed().join(keyed()).between(0us, 0us).with(both).sink([&](bool) { ++close; });
      keyed().join(keyed()).window(tumbling(1us)).with(both).sink([&](bool) { ++in_windows; });
      keyed()
          .join(keyed())
          .window(tumbling(10us))
          .co_group<bool>([&](bool, const Window&, std::span<const bool> a, std::span<const bool> b, auto emit) {
            emit(a.size() == b.size());
          })
          .sink([&](bool yes) { grouped += yes ? 1 : 0; });
      keyed()
          .lookup(keyed(), as_of_event_time, [](bool one, const bool* row) { return row != nullptr && one == *row; })
          .sink([&](bool yes) { seen += yes ? 1 : 0; });
      divisible(pipeline)
          .broadcast_join(divisible(pipeline), [](bool, const std::vector<bool>& all) { return all.size() <= 100; })
          .sink([&](bool yes) { informed += yes ? 1 : 0; });
    });
    CHECK(pairs == 34 * 34);
    CHECK(close == 100);
    CHECK(in_windows == 100);
    CHECK(grouped == 20);
    CHECK(seen == 100);
    CHECK(informed == 100);
  }
}
