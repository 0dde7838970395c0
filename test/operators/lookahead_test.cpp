#include <map>
#include <tensair/pipeline.hpp>
#include <tuple>

#include "catch.hpp"
#include "support/dealt.hpp"
#include "support/events.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

using Sums = std::map<std::tuple<int, EventTime, EventTime>, std::int64_t>;

/// Cuts each key's records, which are in order, where the gap is.
auto naive_sessions(const std::vector<Event>& all, std::int64_t gap) -> Sums {
  struct Session {
    std::int64_t start, last, sum;
  };
  std::map<int, std::vector<Session>> sessions;
  for (const auto& event : all) {
    auto& own = sessions[event.key];
    if (own.empty() || own.back().last + gap <= event.time) own.push_back({event.time, event.time, 0});
    own.back().last = event.time;
    own.back().sum += event.value;
  }
  Sums sums;
  for (const auto& [key, own] : sessions) {
    for (const auto& one : own) sums[{key, at(one.start), at(one.last + gap)}] = one.sum;
  }
  return sums;
}

}  // namespace

TEST_CASE("sessions of so many keys that they are fetched ahead are those of the records", "[operators][window]") {
  std::vector<Event> all;
  constexpr int keys = 30'000;  // whose states are more than a megabyte
  for (int i = 0; i < 200'000; ++i) {
    const auto draw = static_cast<std::uint64_t>(i) * 0x9e37'79b9'7f4a'7c15U;
    all.push_back({static_cast<int>((draw >> 40) % keys), i % 1'000 - 300, i});
  }
  const auto expected = naive_sessions(all, 40'000);
  REQUIRE(expected.size() > keys);
  for (const Topology& topology : {Topology{1, 1, false}, Topology{2, 1, false}}) {
    INFO(topology.name());
    Sums sums;
    int twice = 0, behind = 0;
    struct Sink {
      Sums* sums;
      int *twice, *behind;
      EventTime watermark_ = beginning_of_time;
      void operator()(const WindowResult<int, std::int64_t>& result, EventTime time) {
        const bool first =
            sums->emplace(std::tuple{result.key, result.window.start, result.window.end}, result.value).second;
        *twice += first ? 0 : 1;
        *behind += time < watermark_ ? 1 : 0;
      }
      void watermark(EventTime time) { watermark_ = time; }
    };
    run(topology, [&](Pipeline& pipeline) {
      pipeline.source(all)
          .assign_timestamps([](const Event& event) { return at(event.time); })
          .key_by(&Event::key)
          .window(session(40ms))
          .sum(&Event::value)
          .sink(Sink{&sums, &twice, &behind});
    });
    CHECK(sums == expected);
    CHECK(twice == 0);
    CHECK(behind == 0);
  }
}

TEST_CASE("counts of so many words that they are fetched ahead are those of the words", "[operators][keyed]") {
  constexpr int words = 100'000;
  std::vector<std::string> all;
  std::map<std::string, std::uint64_t> expected;
  for (int i = 0; i < 250'000; ++i) {
    const auto draw = static_cast<std::uint64_t>(i) * 0x9e37'79b9'7f4a'7c15U;
    all.push_back("word " + std::to_string((draw >> 40) % words));
    ++expected[all.back()];
  }
  // Of two instances either has half.
  using Entry = operators::StateMap<std::string, std::uint64_t>::Entry;
  REQUIRE(expected.size() / 2 * sizeof(Entry) > operators::near_the_processor * 5 / 4);
  for (const Topology& topology : {Topology{2, 1, false}, Topology{2, 1, true}}) {
    INFO(topology.name());
    std::map<std::string, std::uint64_t> at_last, running;
    std::size_t results = 0;
    run(topology, [&](Pipeline& pipeline) {
      pipeline.source(all).key_by(std::identity{}).count(at_end).sink([&](const auto& counted) {
        at_last[counted.key] += counted.value;
      });
    });
    run(topology, [&](Pipeline& pipeline) {
      pipeline.source(all).key_by(std::identity{}).count().sink([&](const auto& counted) {
        ++results;
        running[counted.key] = std::max(running[counted.key], counted.value);
      });
    });
    CHECK(at_last == expected);
    CHECK(running == expected);
    CHECK(results == all.size());
  }
}
