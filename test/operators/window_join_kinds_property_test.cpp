#include "catch.hpp"
#include "support/arrivals.hpp"
#include "support/window_joins.hpp"

// Inner, left outer and right outer joins in windows that overlap or merge; full outer ones are in
// window_join_property_test.cpp.

using namespace tensair;
using namespace tensair::test;

namespace {

template <class W>
auto found_in(const JoinInputs& inputs, W windows, int kind) -> std::vector<Match> {
  std::vector<Match> all;
  run(inputs.topology, [&](Pipeline& pipeline) {
    auto [left, right] = inputs.streams(pipeline);
    auto joined = std::move(left).join(std::move(right)).window(windows);
    const auto keep = [&](const std::pair<int, int>& pair, EventTime time) {
      all.emplace_back(pair.first, pair.second, time.time_since_epoch().count());
    };
    if (kind == 0) {
      std::move(joined)
          .with([](const JoinEvent& a, const JoinEvent& b) { return std::pair(a.number, b.number); })
          .sink(keep);
    } else if (kind == 1) {
      std::move(joined)
          .left_outer()
          .with([](const JoinEvent& a, const JoinEvent* b) { return std::pair(a.number, number(b)); })
          .sink(keep);
    } else {
      std::move(joined)
          .right_outer()
          .with([](const JoinEvent* a, const JoinEvent& b) { return std::pair(number(a), b.number); })
          .sink(keep);
    }
  });
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("an inner, left or right outer join in sliding windows gives what nested loops give",
          "[operators][join][window_join][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    const auto inputs = join_inputs(left, right, place);
    const int size = drawn(1, 40), slide = drawn(1, 30), kind = drawn(0, 2);
    const auto windows = naive_windows(inputs, size, slide, 0);
    RC_ASSERT(found_in(inputs, sliding(std::chrono::microseconds{size}, std::chrono::microseconds{slide}), kind) ==
              naive_join(inputs.left, inputs.right, windows, kind == 1, kind == 2));
  };
  check_with_two("for any events, size, slide, kind and place", property);
}

TEST_CASE("an inner, left or right outer join in sessions gives what nested loops give",
          "[operators][join][window_join][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    const auto inputs = join_inputs(left, right, place);
    const int gap = drawn(1, 40), kind = drawn(0, 2);
    RC_ASSERT(found_in(inputs, session(std::chrono::microseconds{gap}), kind) ==
              naive_join(inputs.left, inputs.right, naive_sessions(inputs, gap), kind == 1, kind == 2));
  };
  check_with_two("for any events, gap, kind and place", property);
}
