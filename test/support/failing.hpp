#pragma once

#include <chrono>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "support/streams.hpp"

// Streams whose windows fail for one key in three.

namespace tensair::test::failing {

using namespace std::chrono_literals;

inline constexpr int count = 60, keys = 3;

inline auto key(int n) -> int {
  return n % keys;
}
inline auto time_of(int n) -> EventTime {
  return EventTime{std::chrono::microseconds{n}};
}
inline auto keyed(Pipeline& pipeline) {
  return pipeline.source(SharedNumbers{count}).assign_timestamps(time_of).key_by(key);
}

// Fails on the key 1.
inline void refuse(int of_key) {
  if (of_key == 1) throw std::invalid_argument("one");
}
template <class Of>
inline auto refuse_in(const Of& all) {
  if (key(all[0]) == 1) throw std::invalid_argument("one");
  return static_cast<int>(all.size());
}

using Result = std::pair<int, EventTime>;  // a window's key and start

/// The windows of ten microseconds of each key that is not 1; of key 1; all with their numbers.
inline auto good_windows() -> std::vector<Result> {
  std::vector<Result> all;
  for (const int of : {0, 2}) {
    for (int start = 0; start < count; start += 10) all.emplace_back(of, time_of(start));
  }
  return all;
}
inline auto numbers_of(int of_key, const Window& window) -> std::vector<int> {
  std::vector<int> all;
  for (int n = 0; n < count; ++n) {
    if (key(n) == of_key && window.contains(time_of(n))) all.push_back(n);
  }
  return all;
}

inline auto gather(Pipeline& pipeline) {
  return keyed(pipeline)
      .parallel(2)
      .window(tumbling(10us))
      .process<Result>([](int of, const Window& window, std::span<const int> all, auto emit) {
        refuse(of);
        if (sorted(std::vector<int>(all.begin(), all.end())) != numbers_of(of, window)) throw std::logic_error("lost");
        emit(Result{of, window.start});
      })
      .name("gather");
}
/// A list that fails when its result is asked for.
inline auto listed(Pipeline& pipeline) {
  return keyed(pipeline)
      .parallel(2)
      .window(tumbling(10us))
      .aggregate(
          std::vector<int>{}, [](auto& all, int n) { all.push_back(n); },
          [](auto& all, auto others) { all.insert(all.end(), others.begin(), others.end()); },
          [](const auto& all) { return refuse_in(all); });
}

}  // namespace tensair::test::failing
