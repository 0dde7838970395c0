#include <algorithm>
#include <chrono>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;

TEST_CASE("what a slow operator has made goes on before its chunk is full", "[runtime]") {
  Options options;
  options.threads = 1;  // so turns follow upon each other in the order in which tasks were woken
  Pipeline pipeline{options};
  int made = 0, received = 0, most = 0;
  pipeline.source(numbers(200))
      .forward()
      .map([&](int n) {
        // A record takes a turn's time, however fast the machine is.
        const auto end = std::chrono::steady_clock::now() + runtime::TurnSize::turn_length * 11 / 10;
        while (std::chrono::steady_clock::now() < end) continue;
        ++made;
        return n;
      })
      .forward()
      .sink([&](int) { most = std::max(most, made - received++); });
  pipeline.execute();
  CHECK(received == 200);
  CHECK(most <= 4);  // and not all that a chunk holds
}
