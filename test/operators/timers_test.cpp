#include <map>
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
