#pragma once

#include <chrono>

#include "support/streams.hpp"

namespace tensair::test {

/// Whether each of the numbers 0 to 99 is divisible by three: 34 are.
inline auto divisible(Pipeline& pipeline) {
  return pipeline.source(SharedNumbers{100}).map([](int n) { return n % 3 == 0; });
}
inline auto timed(Pipeline& pipeline) {
  return pipeline.source(SharedNumbers{100})
      .assign_timestamps([](int n) { return EventTime{std::chrono::microseconds{n}}; })
      .map([](int n) { return n % 3 == 0; });
}

}  // namespace tensair::test
