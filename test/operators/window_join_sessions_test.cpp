#include "catch.hpp"
#include "support/window_joins.hpp"

using namespace tensair;
using namespace tensair::test;

TEST_CASE("a join in session windows gives the pairs of nested loops, of all four kinds",
          "[operators][join][window_join][property]") {
  check_property("for any events, gaps, disorder and topology", [](const Draws& left, const Draws& right) {
    const auto inputs = JoinInputs::drawn(left, right);
    const int gap = *rc::gen::inRange(1, 20);
    check_kinds(inputs, session(std::chrono::microseconds{gap}), naive_sessions(inputs, gap));
  });
}
