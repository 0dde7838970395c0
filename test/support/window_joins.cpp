#include "support/window_joins.hpp"

namespace tensair::test {

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
    if (!lone_right || std::any_of(left.begin(), left.end(), [&](const auto& a) { return window.has(a); })) continue;
    for (const auto& b : right) {
      if (window.has(b)) all.emplace_back(-1, b.number, last);
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

auto found(const JoinInputs& inputs, TumblingWindows windows, int kind) -> std::vector<Match> {
  return found_in(inputs, windows, kind);
}
auto found(const JoinInputs& inputs, SlidingWindows windows, int kind) -> std::vector<Match> {
  return found_in(inputs, windows, kind);
}
auto found(const JoinInputs& inputs, SessionWindows windows, int kind) -> std::vector<Match> {
  return found_in(inputs, windows, kind);
}

}  // namespace tensair::test
