#include "catch.hpp"
#include "support/arrivals.hpp"
#include "support/window_joins.hpp"

using namespace tensair;
using namespace tensair::test;

TEST_CASE("a join in tumbling windows gives the pairs of nested loops, of all four kinds",
          "[operators][join][window_join][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    const auto inputs = join_inputs(left, right, place);
    const int size = drawn(1, 40), offset = drawn(-10, 10), kind = drawn(0, 3);
    const auto expected = naive_join(inputs.left, inputs.right, naive_windows(inputs, size, size, offset),
                                     keeps_lone_left(kind), keeps_lone_right(kind));
    RC_ASSERT(found(inputs, tumbling(std::chrono::microseconds{size}, std::chrono::microseconds{offset}), kind) ==
              expected);
  };
  check_with_two("for any events, size, offset and place", property);
}

TEST_CASE("a full outer join in sliding windows gives what nested loops give",
          "[operators][join][window_join][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    const auto inputs = join_inputs(left, right, place);
    const int size = drawn(1, 40), slide = drawn(1, 30);
    const auto expected = naive_join(inputs.left, inputs.right, naive_windows(inputs, size, slide, 0), true, true);
    RC_ASSERT(found(inputs, sliding(std::chrono::microseconds{size}, std::chrono::microseconds{slide}), 3) == expected);
  };
  check_with_two("for any events, size, slide and place", property);
}

TEST_CASE("a full outer join in sessions gives what nested loops give", "[operators][join][window_join][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    const auto inputs = join_inputs(left, right, place);
    const int gap = drawn(1, 40);
    const auto expected = naive_join(inputs.left, inputs.right, naive_sessions(inputs, gap), true, true);
    RC_ASSERT(found(inputs, session(std::chrono::microseconds{gap}), 3) == expected);
  };
  check_with_two("for any events, gap and place", property);
}

TEST_CASE("an inner, left or right outer join in sliding windows gives what nested loops give",
          "[operators][join][window_join][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    const auto inputs = join_inputs(left, right, place);
    const int size = drawn(1, 40), slide = drawn(1, 30), kind = drawn(0, 2);
    const auto windows = naive_windows(inputs, size, slide, 0);
    RC_ASSERT(found(inputs, sliding(std::chrono::microseconds{size}, std::chrono::microseconds{slide}), kind) ==
              naive_join(inputs.left, inputs.right, windows, kind == 1, kind == 2));
  };
  check_with_two("for any events, size, slide, kind and place", property);
}

TEST_CASE("an inner, left or right outer join in sessions gives what nested loops give",
          "[operators][join][window_join][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    const auto inputs = join_inputs(left, right, place);
    const int gap = drawn(1, 40), kind = drawn(0, 2);
    RC_ASSERT(found(inputs, session(std::chrono::microseconds{gap}), kind) ==
              naive_join(inputs.left, inputs.right, naive_sessions(inputs, gap), kind == 1, kind == 2));
  };
  check_with_two("for any events, gap, kind and place", property);
}
