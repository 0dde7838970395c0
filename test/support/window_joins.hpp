#pragma once

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "support/join_events.hpp"

namespace tensair::test {

/// The numbers of a pair, -1 for a partner that is not there, and the time it came with.
using Match = std::tuple<int, int, std::int64_t>;

/// Looks at all pairs of records of a window, for each window of a naive list.
auto naive_join(const std::vector<JoinEvent>& left, const std::vector<JoinEvent>& right,
                const std::vector<KeyWindow>& windows, bool lone_left, bool lone_right) -> std::vector<Match>;

/// What the join of some events gives, as one of four kinds: inner, left, right, full.
auto found(const JoinInputs& inputs, TumblingWindows windows, int kind) -> std::vector<Match>;

inline auto number(const JoinEvent* event) -> int {
  return event == nullptr ? -1 : event->number;
}

/// What a full outer join gives in windows of any kind.
template <class W>
auto found_by_full_outer(const JoinInputs& inputs, W windows) -> std::vector<Match> {
  std::vector<Match> all;
  run(inputs.topology, [&](Pipeline& pipeline) {
    auto [left, right] = inputs.streams(pipeline);
    std::move(left)
        .join(std::move(right))
        .window(windows)
        .full_outer()
        .with([](const JoinEvent* a, const JoinEvent* b) { return std::pair(number(a), number(b)); })
        .sink([&](const std::pair<int, int>& pair, EventTime time) {
          all.emplace_back(pair.first, pair.second, time.time_since_epoch().count());
        });
  });
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace tensair::test
