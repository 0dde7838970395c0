#include <algorithm>
#include <optional>
#include <stdexcept>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

auto time_of(int n) -> EventTime {
  return EventTime{std::chrono::microseconds{n}};
}

template <class T>
auto sorted(std::vector<T> all) -> std::vector<T> {
  std::sort(all.begin(), all.end());
  return all;
}

auto some_topologies() -> std::vector<Topology> {
  return {{1, 1, false}, {2, 2, false}, {5, 3, false}, {2, 1, true}};
}

}  // namespace

TEST_CASE("a record whose function fails on what it has looked up is skipped or a dead letter with its row",
          "[operators][lookup][on_error]") {
  using Row = std::optional<int>;
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    // Each number finds itself, those from 15 on find none, and odd ones fail.
    const auto check = [](int n, const int* row) {
      if (row != nullptr && *row != n) throw std::logic_error("another row");
      return n % 2 == 0 ? n : throw std::invalid_argument("odd");
    };
    std::vector<int> skipping, seen;
    std::vector<std::pair<int, Row>> failed;
    run(topology, [&](Pipeline& pipeline) {
      const auto same = [](int n) { return n; };
      const auto stream = [&](int n) {
        return pipeline.source(SharedNumbers{n}).assign_timestamps(time_of).key_by(same);
      };
      stream(30).lookup(stream(15), as_of_event_time, check).on_error(skip).sink([&](int n) { skipping.push_back(n); });
      stream(30)
          .lookup(stream(15), as_of_event_time, check)
          .on_error(dead_letter<std::pair<int, Row>>(
              [&](const DeadLetter<std::pair<int, Row>>& letter) { failed.push_back(letter.record); }))
          .sink([&](int n) { seen.push_back(n); });
    });
    std::vector<int> even;
    std::vector<std::pair<int, Row>> odd;
    for (int n = 0; n < 30; n += 2) even.push_back(n);
    for (int n = 1; n < 30; n += 2) odd.emplace_back(n, n < 15 ? Row{n} : std::nullopt);
    CHECK(sorted(skipping) == even);
    CHECK(sorted(seen) == even);
    CHECK(sorted(failed) == odd);
  }
}

TEST_CASE("a record whose function fails in a broadcast join is skipped or a dead letter",
          "[operators][broadcast_join][on_error]") {
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    const auto check = [](int n, const std::vector<int>&) {
      return n % 2 == 0 ? n : throw std::invalid_argument("odd");
    };
    std::vector<int> skipping, failed;
    run(topology, [&](Pipeline& pipeline) {
      auto rules = pipeline.source(SharedNumbers{3});
      pipeline.source(SharedNumbers{20}).broadcast_join(rules, check).on_error(skip).sink([&](int n) {
        skipping.push_back(n);
      });
      pipeline.source(SharedNumbers{20})
          .broadcast_join(rules, check)
          .on_error(dead_letter<int>([&](const DeadLetter<int>& letter) { failed.push_back(letter.record); }))
          .sink([](int) {});
    });
    CHECK(sorted(skipping) == std::vector<int>{0, 2, 4, 6, 8, 10, 12, 14, 16, 18});
    CHECK(sorted(failed) == std::vector<int>{1, 3, 5, 7, 9, 11, 13, 15, 17, 19});
  }
}
