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
inline auto naive_join(const std::vector<JoinEvent>& left, const std::vector<JoinEvent>& right,
                       const std::vector<KeyWindow>& windows, bool lone_left, bool lone_right) -> std::vector<Match> {
  std::vector<Match> all;
  for (const auto& window : windows) {
    const std::int64_t last = window.end - 1;
    for (const auto& a : left) {
      if (!window.has(a)) continue;
      bool alone = true;
      for (const auto& b : right) {
        if (!window.has(b)) continue;
        alone = false;
        all.emplace_back(a.number, b.number, last);
      }
      if (alone && lone_left) all.emplace_back(a.number, -1, last);
    }
    for (const auto& b : right) {
      const bool has_partner = std::any_of(left.begin(), left.end(), [&](const auto& a) { return window.has(a); });
      if (lone_right && window.has(b) && !has_partner) all.emplace_back(-1, b.number, last);
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

inline auto number(const JoinEvent& event) -> int {
  return event.number;
}
inline auto number(const JoinEvent* event) -> int {
  return event == nullptr ? -1 : event->number;
}

/// What the join of some events gives, as one of four kinds.
template <class W>
auto found(const JoinInputs& inputs, W windows, int kind) -> std::vector<Match> {
  std::vector<Match> all;
  run(inputs.topology, [&](Pipeline& pipeline) {
    auto [left, right] = inputs.streams(pipeline);
    auto joined = std::move(left).join(std::move(right)).window(windows);
    const auto keep = [&](const std::pair<int, int>& pair, EventTime time) {
      all.emplace_back(pair.first, pair.second, time.time_since_epoch().count());
    };
    const auto combine = [](const auto& a, const auto& b) { return std::pair(number(a), number(b)); };
    if (kind == 0) std::move(joined).with(combine).sink(keep);
    if (kind == 1) std::move(joined).left_outer().with(combine).sink(keep);
    if (kind == 2) std::move(joined).right_outer().with(combine).sink(keep);
    if (kind == 3) std::move(joined).full_outer().with(combine).sink(keep);
  });
  std::sort(all.begin(), all.end());
  return all;
}

void check_kinds(const JoinInputs& inputs, auto windows, const std::vector<KeyWindow>& naive) {
  const int kind = *rc::gen::inRange(0, 4);
  const auto expected = naive_join(inputs.left, inputs.right, naive, kind == 1 || kind == 3, kind == 2 || kind == 3);
  RC_ASSERT(found(inputs, windows, kind) == expected);
}

}  // namespace tensair::test
