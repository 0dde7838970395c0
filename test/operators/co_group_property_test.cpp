#include <algorithm>
#include <span>
#include <tuple>

#include "catch.hpp"
#include "support/arrivals.hpp"
#include "support/co_groups.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

template <class W>
auto groups(const JoinInputs& inputs, W windows) -> std::vector<Group> {
  std::vector<Group> all;
  run(inputs.topology, [&](Pipeline& pipeline) {
    auto [left, right] = inputs.streams(pipeline);
    std::move(left)
        .join(std::move(right))
        .window(windows)
        .template co_group<Group>(
            [](int key, const Window& window, std::span<const JoinEvent> a, std::span<const JoinEvent> b, auto emit) {
              emit(Group{key, window.start.time_since_epoch().count(), window.end.time_since_epoch().count(),
                         sorted_numbers(a), sorted_numbers(b)});
            })
        .sink([&](const Group& group) { all.push_back(group); });
  });
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("a co-group sees all records of a key and window of both sides", "[operators][join][co_group][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    const auto inputs = join_inputs(left, right, place);
    const int size = drawn(1, 39), slide = drawn(1, 29), kind = drawn(0, 2);
    const std::chrono::microseconds length{size}, step{slide};
    if (kind == 0)
      RC_ASSERT(groups(inputs, tumbling(length)) == naive_groups(inputs, naive_windows(inputs, size, size, 0)));
    if (kind == 1)
      RC_ASSERT(groups(inputs, sliding(length, step)) == naive_groups(inputs, naive_windows(inputs, size, slide, 0)));
    if (kind == 2) RC_ASSERT(groups(inputs, session(length)) == naive_groups(inputs, naive_sessions(inputs, size)));
  };
  check_with_two("for any events, windows and place", property);
}
