#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "catch.hpp"
#include "support/co_groups.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

TEST_CASE("each record of both sides is in the group of its tumbling window or late, never both",
          "[operators][join][co_group]") {
  std::size_t late_in_all = 0;
  for (const auto& topology : {Topology{1, 1, false}, Topology{2, 5, false}, Topology{5, 2, false}}) {
    INFO(topology.name());
    const auto left = some_join_events(2'000, 4, 300, 1), right = some_join_events(2'000, 4, 300, 2);
    // Watermarks go ahead by 1 µs of what is out of order by 300.
    const auto inputs = JoinInputs{left, right, 1, 2, topology};
    std::vector<int> found_left, found_right;
    std::size_t late = 0;
    run(topology, [&](Pipeline& pipeline) {
      auto [a, b] = inputs.streams(pipeline);
      std::move(a)
          .join(std::move(b))
          .window(tumbling(20us))
          .late(
              [&](const JoinEvent& event, EventTime time) {
                CHECK(time == time_of(event));
                found_left.push_back(event.number);
                ++late;
              },
              [&](const JoinEvent& event) {
                found_right.push_back(event.number);
                ++late;
              })
          .co_group<Group>([](int key, const Window&, auto some, auto others, auto emit) {
            emit(Group{key, 0, 0, sorted_numbers(some), sorted_numbers(others)});
          })
          .sink([&](const Group& group) {
            for (const int number : std::get<3>(group)) found_left.push_back(number);
            for (const int number : std::get<4>(group)) found_right.push_back(number);
          });
    });
    std::sort(found_left.begin(), found_left.end());
    std::sort(found_right.begin(), found_right.end());
    CHECK(found_left == numbers(2'000));
    CHECK(found_right == numbers(2'000));
    late_in_all += late;
  }
  CHECK(late_in_all > 0);
}

TEST_CASE("with enough allowed lateness the last group of each window is whole whatever the watermark",
          "[operators][join][co_group]") {
  std::size_t updates = 0;
  for (const auto& topology : {Topology{1, 1, false}, Topology{2, 5, false}, Topology{5, 2, false}}) {
    INFO(topology.name());
    const auto inputs =
        JoinInputs{some_join_events(2'000, 4, 150, 3), some_join_events(2'000, 4, 150, 4), 20, 2, topology};
    std::map<std::pair<int, std::int64_t>, Group> last;
    run(topology, [&](Pipeline& pipeline) {
      auto [a, b] = inputs.streams(pipeline);
      std::move(a)
          .join(std::move(b))
          .window(tumbling(50us))
          .allowed_lateness(1s)
          .co_group<Group>([](int key, const Window& window, auto some, auto others, auto emit) {
            emit(Group{key, window.start.time_since_epoch().count(), window.end.time_since_epoch().count(),
                       sorted_numbers(some), sorted_numbers(others)});
          })
          .sink([&](const Group& group) {
            const auto where = std::pair(std::get<0>(group), std::get<1>(group));
            updates += last.insert_or_assign(where, group).second ? 0 : 1;
          });
    });
    std::vector<Group> all;
    for (const auto& [where, group] : last) all.push_back(group);
    std::sort(all.begin(), all.end());
    CHECK(all == naive_groups(inputs, naive_windows(inputs, 50, 50, 0)));
  }
  CHECK(updates > 0);
}

TEST_CASE("windows in processing time need no event time for a join", "[operators][join][co_group]") {
  for (const int nodes : {1, 2}) {
    std::size_t records = 0;
    run({nodes, 1, false}, [&](Pipeline& pipeline) {
      const auto key = [](int n) { return n % 3; };
      pipeline.source(numbers(1'000))
          .key_by(key)
          .join(pipeline.source(numbers(500)).key_by(key))
          .window(processing_time(tumbling(1ms)))
          .co_group<std::size_t>([](int, const Window&, std::span<const int> a, std::span<const int> b, auto emit) {
            emit(a.size() + b.size());
          })
          .sink([&](std::size_t n) { records += n; });
    });
    CHECK(records == 1'500);
  }
}

TEST_CASE("views of texts meet in windows, and a co-group sees the texts", "[operators][join][co_group]") {
  std::vector<std::string> pairs, groups;
  run({2, 3, false}, [&](Pipeline& pipeline) {
    const auto views = [&](std::vector<std::string> texts) {
      return pipeline.source(std::move(texts))
          .flat_map<std::string_view>([](const std::string& text, auto emit) { emit(std::string_view(text)); })
          .assign_timestamps([](std::string_view text) { return at(static_cast<std::int64_t>(text.size())); },
                             bounded_out_of_orderness(1s));
    };
    const auto initial = [](std::string_view text) { return text.substr(0, 1); };
    views({"one", "two", "threefold"})
        .key_by(initial)
        .join(views({"ten", "other", "once"}).key_by(initial))
        .window(tumbling(5us))
        .with([](std::string_view a, std::string_view b) { return std::string(a) + " " + std::string(b); })
        .sink([&](const std::string& pair) { pairs.push_back(pair); });
    views({"one", "two"})
        .key_by(initial)
        .join(views({"ten"}).key_by(initial))
        .window(session(5us))
        .co_group<std::string>([](std::string_view key, const Window&, std::span<const std::string> a,
                                  std::span<const std::string> b, auto emit) {
          auto text = std::string(key) + ":";
          for (const auto& one : a) text += " " + one;
          for (const auto& one : b) text += " " + one;
          emit(text);
        })
        .sink([&](const std::string& group) { groups.push_back(group); });
  });
  std::sort(pairs.begin(), pairs.end());
  std::sort(groups.begin(), groups.end());
  CHECK(pairs == std::vector<std::string>{"one once", "two ten"});
  CHECK(groups == std::vector<std::string>{"o: one", "t: two ten"});
}
