#include "support/window_joins.hpp"

namespace tensair::test {
namespace {

auto number(const JoinEvent& event) -> int {
  return event.number;
}

}  // namespace

auto naive_join(const std::vector<JoinEvent>& left, const std::vector<JoinEvent>& right,
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

auto found(const JoinInputs& inputs, TumblingWindows windows, int kind) -> std::vector<Match> {
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

}  // namespace tensair::test
