#include <algorithm>
#include <chrono>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;

TEST_CASE("what a slow operator has made goes on before its chunk is full", "[runtime]") {
  static_assert(operators::chunk_size<int> > 2 * operators::least_chunk);
  Options options;
  options.threads = 1;  // so turns follow upon each other in the order in which tasks were woken
  Pipeline pipeline{options};
  int made = 0, received = 0, most = 0;
  pipeline.source(numbers(5'000))
      .forward()
      .map([&](int n) {
        // The smallest chunk that is full takes longer than a turn should, however fast the machine is.
        const auto end = std::chrono::steady_clock::now() + runtime::TurnSize::turn_length / 50;
        while (std::chrono::steady_clock::now() < end) continue;
        ++made;
        return n;
      })
      .forward()
      .sink([&](int) { most = std::max(most, made - received++); });
  pipeline.execute();
  CHECK(received == 5'000);
  CHECK(most <= static_cast<int>(operators::least_chunk) + 1);
}
