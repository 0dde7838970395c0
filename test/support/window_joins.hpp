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

inline auto number(const JoinEvent& event) -> int {
  return event.number;
}
inline auto number(const JoinEvent* event) -> int {
  return event == nullptr ? -1 : event->number;
}

/// Gives `keep` the numbers of each pair of a join in windows, of one of four kinds: inner, left, right, full; and the
/// pair's time.
template <class Joined, class Keep>
void keep_pairs(Joined joined, int kind, Keep keep) {
  const auto combine = [](const auto& a, const auto& b) { return std::pair(number(a), number(b)); };
  if (kind == 0) std::move(joined).with(combine).sink(keep);
  if (kind == 1) std::move(joined).left_outer().with(combine).sink(keep);
  if (kind == 2) std::move(joined).right_outer().with(combine).sink(keep);
  if (kind == 3) std::move(joined).full_outer().with(combine).sink(keep);
}
inline auto keeps_lone_left(int kind) -> bool {
  return kind == 1 || kind == 3;
}
inline auto keeps_lone_right(int kind) -> bool {
  return kind == 2 || kind == 3;
}

/// What the join of some events gives in windows of any sort, as one of four kinds.
template <class W>
auto found_in(const JoinInputs& inputs, W windows, int kind) -> std::vector<Match> {
  std::vector<Match> all;
  run(inputs.topology, [&](Pipeline& pipeline) {
    auto [left, right] = inputs.streams(pipeline);
    keep_pairs(std::move(left).join(std::move(right)).window(windows), kind,
               [&](const std::pair<int, int>& pair, EventTime time) {
                 all.emplace_back(pair.first, pair.second, time.time_since_epoch().count());
               });
  });
  std::sort(all.begin(), all.end());
  return all;
}
/// The same compiled once for several files.
auto found(const JoinInputs& inputs, TumblingWindows windows, int kind) -> std::vector<Match>;
auto found(const JoinInputs& inputs, SlidingWindows windows, int kind) -> std::vector<Match>;
auto found(const JoinInputs& inputs, SessionWindows windows, int kind) -> std::vector<Match>;

}  // namespace tensair::test
