#include <map>
#include <set>
#include <span>

#include "catch.hpp"
#include "support/window_results.hpp"

// On several nodes it is not known in advance which events are late. But whichever are, each is in its windows or late.

using namespace tensair;
using namespace tensair::test;

TEST_CASE("each event is in the last results of its windows, from one of them on, or it is late",
          "[operators][window][property]") {
  const auto property = [](const Arrivals& arrivals, const Place& place) {
    auto events = events_of(arrivals);
    for (std::size_t i = 0; i < events.size(); ++i) events[i].value = static_cast<int>(i);
    const int size = drawn(1, 60), slide = drawn(1, 40), lateness = drawn(0, 60), bound = drawn(0, 60);

    std::map<std::pair<int, std::int64_t>, std::vector<int>> last;  // numbers of events by key and start
    std::multiset<int> late;
    bool wrong_time = false;
    run(place.topology(), [&](Pipeline& pipeline) {
      timed(pipeline, events, place, std::chrono::microseconds{bound})
          .key_by(&Event::key)
          .parallel(place.workers)
          .window(sliding(std::chrono::microseconds{size}, std::chrono::microseconds{slide}))
          .allowed_lateness(std::chrono::microseconds{lateness})
          .late([&](const Event& event, EventTime time) {
            late.insert(event.value);
            wrong_time = wrong_time || time != at(event.time);
          })
          .process<std::vector<int>>([](int key, const Window& window, std::span<const Event> records, auto emit) {
            std::vector<int> all{key, static_cast<int>(window.start.time_since_epoch().count())};
            for (const auto& event : records) all.push_back(event.value);
            emit(std::move(all));
          })
          .sink([&](const std::vector<int>& all) {
            last[{all[0], all[1]}] = {all.begin() + 2, all.end()};
          });
    });

    RC_ASSERT(!wrong_time);
    std::map<int, std::multiset<std::int64_t>> starts;  // of the windows that each event is in
    for (const auto& [where, numbers] : last) {
      for (const int number : numbers) {
        RC_ASSERT(events[static_cast<std::size_t>(number)].key == where.first);
        starts[number].insert(where.second);
      }
    }
    std::int64_t latest = INT64_MIN;
    for (const auto& event : events) latest = std::max(latest, event.time);
    for (const auto& event : events) {
      std::vector<std::int64_t> own;
      for (std::int64_t start = -400 * slide; start <= event.time; start += slide) {
        if (event.time < start + size) own.push_back(start);
      }
      const auto& found = starts[event.value];
      RC_ASSERT(found.size() <= own.size());
      RC_ASSERT(std::equal(found.rbegin(), found.rend(), own.rbegin()));
      RC_ASSERT(late.count(event.value) == (found.empty() && !own.empty() ? 1U : 0U));
      // No watermark is ahead of the latest event by less than the bound.
      if (!own.empty() && own.back() + size + lateness > latest - bound) RC_ASSERT(!found.empty());
    }
  };
  check_with_arrivals("for any events, windows, lateness, watermarks and place", property);
}

TEST_CASE("with enough allowed lateness the last result of each window has all its events, whatever the watermarks",
          "[operators][window][property]") {
  const auto property = [](const Arrivals& arrivals, const Place& place) {
    const int size = drawn(1, 60), bound = drawn(0, 20);
    std::map<std::pair<int, std::int64_t>, std::int64_t> expected, last;
    for (const auto& event : arrivals) {
      const auto start = ((event.time % size) + size) % size;
      expected[{event.key, event.time - start}] += event.value;
    }
    run(place.topology(), [&](Pipeline& pipeline) {
      timed(pipeline, events_of(arrivals), place, std::chrono::microseconds{bound})
          .key_by(&Event::key)
          .parallel(place.workers)
          .window(tumbling(std::chrono::microseconds{size}))
          .allowed_lateness(std::chrono::seconds{1})
          .sum(&Event::value)
          .sink([&](const WindowResult<int, std::int64_t>& result) {
            last[{result.key, result.window.start.time_since_epoch().count()}] = result.value;
          });
    });
    RC_ASSERT(last == expected);
  };
  check_with_arrivals("for any events, size, watermarks and place", property);
}
