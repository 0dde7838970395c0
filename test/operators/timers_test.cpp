#include <algorithm>
#include <map>
#include <string>
#include <tensair/operators/event_time.hpp>
#include <tensair/operators/timers.hpp>
#include <vector>

#include "catch.hpp"

using namespace tensair;
using namespace tensair::test;

TEST_CASE("timers come in the order of their times", "[operators][property]") {
  const auto property = [](const std::vector<std::pair<std::uint16_t, std::uint8_t>>& draws) {
    operators::Timers<EventTime, int> timers;
    std::multimap<EventTime, int> model;
    const auto at = [](std::int64_t microseconds) { return EventTime{std::chrono::microseconds{microseconds}}; };
    std::int64_t now = -30'000;
    int key = 0;
    for (const auto& [ahead, step] : draws) {
      // Mostly ahead of what has come, now and then before it.
      const auto time = ahead == 0 ? end_of_time : at(now + ahead - 500);
      timers.add(time, key);
      model.emplace(time, key++);
      now += step;
      while (!model.empty() && model.begin()->first <= at(now)) {
        RC_ASSERT(timers.due(at(now)));
        RC_ASSERT(timers.first() == model.begin()->first);
        const auto timer = timers.take();
        const auto [begin, end] = model.equal_range(timer.time);
        const auto same = std::find_if(begin, end, [&](const auto& one) { return one.second == timer.key; });
        RC_ASSERT(begin == model.begin());
        RC_ASSERT(same != end);
        model.erase(same);
      }
      RC_ASSERT(!timers.due(at(now)));
    }
    for (; !model.empty(); model.erase(model.begin())) {
      RC_ASSERT(timers.due(end_of_time));
      RC_ASSERT(timers.take().time == model.begin()->first);
    }
    RC_ASSERT(!timers.due(end_of_time));
    RC_ASSERT(timers.first() == EventTime::max());
  };
  check_property("whatever is set", property);
}

TEST_CASE("timers of texts come in order from any distance", "[operators]") {
  operators::Timers<EventTime, std::string> timers;
  std::multimap<EventTime, std::string> model;
  std::uint64_t random = 88172645463325252;
  const auto draw = [&](std::uint64_t below) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return (random >> 20) % below;
  };
  std::int64_t now = -1'000'000;
  for (int i = 0; i < 20'000; ++i) {
    // From a microsecond to a century ahead, some many at the same time; now and then in the past.
    const auto ahead = static_cast<std::int64_t>(draw(std::uint64_t{1} << draw(52)));
    const auto time = EventTime{std::chrono::microseconds{draw(50) == 0 ? now - ahead % 1'000 : now + ahead / 8 * 8}};
    const auto key = "a text that is too long to be inside a string: " + std::to_string(i);
    timers.add(time, key);
    model.emplace(time, key);
    if (draw(3) != 0) continue;
    // As many come as were set, so that the next ones lie further and further away.
    for (auto n = draw(6); n > 0 && !model.empty(); --n) {
      const auto first = model.begin();
      REQUIRE(timers.first() == first->first);
      const auto timer = timers.take();
      REQUIRE(timer.time == first->first);
      REQUIRE(timer.key == first->second);  // of one time, the one that was set first
      now = std::max(now, timer.time.time_since_epoch().count());
      model.erase(first);
    }
  }
  CHECK(model.size() > 1'000);
  auto moved = std::move(timers);
  for (; model.size() > 500; model.erase(model.begin())) REQUIRE(moved.take().key == model.begin()->second);
  CHECK(moved.first() == model.begin()->first);  // the rest goes with it
}
