#include <deque>
#include <memory>
#include <random>
#include <tensair/runtime/ring.hpp>

#include "catch.hpp"

using tensair::runtime::Ring;

TEST_CASE("a ring is a queue", "[runtime][ring]") {
  std::mt19937 random{1};
  Ring<std::unique_ptr<int>> ring;
  std::deque<int> expected;
  for (int i = 0; i < 10'000; ++i) {
    // Now and then long, now and then empty.
    if (random() % 1'000 < (i / 1'000 % 2 == 0 ? 700U : 300U)) {
      ring.push_back(std::make_unique<int>(i));
      expected.push_back(i);
    } else if (!expected.empty()) {
      REQUIRE(*ring.front() == expected.front());
      ring.pop_front();
      expected.pop_front();
    }
    REQUIRE(ring.size() == expected.size());
    REQUIRE(ring.empty() == expected.empty());
  }
}
