#include "catch.hpp"
#include "support/sanitized.hpp"
#include "support/window_joins.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

TEST_CASE("a join in windows gives over TCP what nested loops give", "[operators][join][window_join]") {
  constexpr int left = sanitized ? 100 : 400, right = sanitized ? 80 : 300;
  auto inputs = JoinInputs{some_join_events(left, 7, 30, 1), some_join_events(right, 7, 30, 2), 30, 1, {}};
  const auto check = [&](auto windows, const std::vector<KeyWindow>& all) {
    for (const int kind : {0, 1, 2, 3}) {
      const auto expected = naive_join(inputs.left, inputs.right, all, keeps_lone_left(kind), keeps_lone_right(kind));
      CHECK(!expected.empty());
      for (const auto& topology : tcp_topologies()) {
        inputs.topology = topology;
        inputs.parallel = topology.workers;
        INFO("kind " << kind << ", " << topology.name());
        CHECK(found(inputs, windows, kind) == expected);
      }
    }
  };
  check(tumbling(25us), naive_windows(inputs, 25, 25, 0));
  check(sliding(25us, 10us), naive_windows(inputs, 25, 10, 0));
  check(session(9us), naive_sessions(inputs, 9));
}

TEST_CASE("an outer join in windows has the records of one side when the other is empty",
          "[operators][join][window_join]") {
  for (const auto& topology : {Topology{1, 1, false}, Topology{2, 1, false}, Topology{5, 2, false}}) {
    INFO(topology.name());
    const auto some = some_join_events(100, 5, 20, 3);
    for (const bool left_is_empty : {true, false}) {
      const auto inputs = JoinInputs{left_is_empty ? std::vector<JoinEvent>{} : some,
                                     left_is_empty ? some : std::vector<JoinEvent>{}, 20, 1, topology};
      const auto windows = naive_windows(inputs, 10, 10, 0);
      CHECK(found(inputs, tumbling(10us), 0).empty());
      CHECK(found(inputs, tumbling(10us), 1) == naive_join(inputs.left, inputs.right, windows, true, false));
      CHECK(found(inputs, tumbling(10us), 2) == naive_join(inputs.left, inputs.right, windows, false, true));
      CHECK(found(inputs, tumbling(10us), 3).size() == some.size());
    }
  }
}
