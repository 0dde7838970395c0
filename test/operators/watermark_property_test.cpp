#include <algorithm>
#include <array>
#include <functional>
#include <memory>

#include "catch.hpp"
#include "support/arrivals.hpp"
#include "support/trickle.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

/// What a sink saw, in order: times of records, and watermarks (true).
struct Seen {
  std::vector<std::pair<bool, EventTime>> all;
  EventTime watermark = beginning_of_time;
  std::size_t records = 0;
  bool went_back = false, ahead = false;
};

struct Watch {
  Seen* seen;
  std::function<void(EventTime)> promised = [](EventTime) {};

  void operator()(const Event&, EventTime time) {
    seen->all.emplace_back(false, time);
    seen->records += 1;
    seen->ahead = seen->ahead || time < seen->watermark;
  }
  void watermark(EventTime time) {
    seen->all.emplace_back(true, time);
    seen->went_back = seen->went_back || time <= seen->watermark;
    seen->watermark = time;
    promised(time);
  }
};

}  // namespace

TEST_CASE("the watermark is the latest time less the bound, and follows the record that raises it",
          "[operators][time][property]") {
  const auto property = [](const Arrivals& arrivals, const Place&) {
    const std::chrono::microseconds bound{drawn(0, 60)}, most_ahead{drawn(1, 90)};
    const bool limited = drawn(0, 1) == 1;
    const auto events = events_of(arrivals);
    const auto enough = static_cast<std::size_t>(drawn(2, 4));
    std::vector<std::pair<bool, EventTime>> expected;
    EventTime latest = beginning_of_time;
    std::vector<EventTime> ahead;  // in a row
    for (const auto& event : events) {
      expected.emplace_back(false, at(event.time));
      EventTime time = at(event.time);
      if (!limited || (latest != beginning_of_time && time <= latest + most_ahead)) {
        ahead.clear();
      } else {
        ahead.push_back(time);
        if (ahead.size() < enough) continue;
        std::sort(ahead.begin(), ahead.end());
        const auto gap =
            std::adjacent_find(ahead.begin(), ahead.end(), [&](auto a, auto b) { return b > a + most_ahead; });
        time = gap == ahead.end() ? ahead.back() : *gap;
        ahead.clear();
      }
      if (latest == beginning_of_time || time > latest) expected.emplace_back(true, time - bound);
      latest = std::max(latest, time);
    }
    expected.emplace_back(true, end_of_time);

    Seen seen;
    run({}, [&](Pipeline& pipeline) {
      auto strategy = bounded_out_of_orderness(bound);
      if (limited) strategy = std::move(strategy).at_most_ahead(most_ahead, enough);
      pipeline.source(events).assign_timestamps(time_of, strategy).sink(Watch{&seen});
    });
    RC_ASSERT(seen.all == expected);
  };
  check_with_arrivals("for any events and bounds", property);
}

TEST_CASE("the watermark of merged streams rises, and never above what each of them has promised",
          "[operators][time][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    // What the sources have given, each instance on each node for itself.
    struct Told {
      EventTime latest = beginning_of_time;
      bool ended = false;
    };
    struct Telling : Trickle<Event> {
      Telling(std::vector<Event> events, int a_turn, std::vector<std::shared_ptr<Told>>* all)
          : Trickle<Event>(std::move(events), a_turn), told(all) {}
      void split(int part, int parts) {
        Trickle<Event>::split(part, parts);
        own = told->emplace_back(std::make_shared<Told>());
      }
      auto poll() -> Poll<Event> {
        auto next = Trickle<Event>::poll();
        if (next.has_record()) own->latest = std::max(own->latest, at(next.record().time));
        own->ended = next.ended();
        return next;
      }
      std::vector<std::shared_ptr<Told>>* told;
      std::shared_ptr<Told> own;
    };
    struct Side {
      const Arrivals& arrivals;
      std::vector<std::shared_ptr<Told>> told{};
    };
    std::array<Side, 2> sides{Side{left}, Side{right}};
    const auto most = [&] {
      EventTime least = end_of_time;
      for (const auto& side : sides) {
        for (const auto& one : side.told) {
          if (one->ended) continue;
          const bool silent = one->latest == beginning_of_time;
          least = std::min(least, silent ? beginning_of_time : one->latest - disorder_of(side.arrivals));
        }
      }
      return least;
    };

    Seen seen;
    bool above = false;
    run(place.topology(), [&](Pipeline& pipeline) {
      const auto stream = [&](Side& side) {
        return pipeline.source(Telling{events_of(side.arrivals), place.records_a_turn, &side.told})
            .parallel(place.workers)
            .assign_timestamps(time_of, bounded_out_of_orderness(disorder_of(side.arrivals)));
      };
      stream(sides[0]).merge(stream(sides[1])).sink(Watch{&seen, [&](EventTime time) {
                                                            if (time > most()) above = true;
                                                          }});
    });
    RC_ASSERT(!above);
    RC_ASSERT(!seen.went_back);
    RC_ASSERT(!seen.ahead);
    RC_ASSERT(seen.watermark == end_of_time);
    RC_ASSERT(seen.records == left.size() + right.size());
  };
  check_with_two("for any events and place", property);
}

TEST_CASE("a watermark does not go back when streams stand aside and come back", "[operators][time][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    Seen seen;
    run(place.topology(), [&](Pipeline& pipeline) {
      const auto stream = [&](const Arrivals& arrivals, int a_turn) {
        return pipeline.source(Trickle{events_of(arrivals), a_turn})
            .parallel(place.workers)
            .assign_timestamps(time_of, bounded_out_of_orderness(disorder_of(arrivals)).idle_after(500ns));
      };
      stream(left, 1).merge(stream(right, place.records_a_turn)).sink(Watch{&seen});
    });
    RC_ASSERT(!seen.went_back);
    RC_ASSERT(seen.watermark == end_of_time);
    RC_ASSERT(seen.records == left.size() + right.size());
  };
  check_with_two("for any events and place", property);
}
