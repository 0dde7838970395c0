#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <tensair/error.hpp>

#include "catch.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

/// Fails on pairs with an odd sum.
auto even_sum(int a, int b) -> int {
  return (a + b) % 2 == 0 ? a + b : throw std::invalid_argument("odd: " + std::to_string(a + b));
}
auto key(int n) -> int {
  return n % 5;
}
auto time_of(int n) -> EventTime {
  return EventTime{std::chrono::microseconds{n}};
}

/// The sums and the pairs that have none, of all pairs of numbers below n for which `meet` is true.
struct Naive {
  std::vector<int> sums;
  std::vector<std::pair<int, int>> failed;

  template <class Meet>
  Naive(int n, Meet meet) {
    for (int a = 0; a < n; ++a) {
      for (int b = 0; b < n; ++b) {
        if (key(a) != key(b) || !meet(a, b)) continue;
        if ((a + b) % 2 == 0) {
          sums.push_back(a + b);
        } else {
          failed.emplace_back(a, b);
        }
      }
    }
    std::sort(sums.begin(), sums.end());
    std::sort(failed.begin(), failed.end());
  }
};

using Letter = DeadLetter<std::pair<int, int>>;

auto keyed(Pipeline& pipeline, int n) {
  return pipeline.source(SharedNumbers{n}).assign_timestamps(time_of).key_by(key);
}

/// What a join's `on_error(skip)` leaves, and what `on_error(dead_letter)` sends away, is as said.
template <class Join>
void check_pairs(const Naive& naive, const std::string& kind, Join join) {
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<int> skipping, sums;
    std::vector<std::pair<int, int>> failed;
    run(topology, [&](Pipeline& pipeline) {
      join(pipeline).on_error(skip).sink([&](int sum) { skipping.push_back(sum); });
      join(pipeline)
          .name("sums")
          .on_error(dead_letter<std::pair<int, int>>([&](const Letter& letter) {
            CHECK(letter.operator_name == kind + " «sums»");
            CHECK(letter.error == "odd: " + std::to_string(letter.record.first + letter.record.second));
            failed.push_back(letter.record);
          }))
          .sink([&](int sum) { sums.push_back(sum); });
    });
    CHECK(sorted(skipping) == naive.sums);
    CHECK(sorted(sums) == naive.sums);
    CHECK(sorted(failed) == naive.failed);
  }
}

}  // namespace

TEST_CASE("pairs of an interval join on which its function fails are skipped or become dead letters",
          "[operators][join][on_error]") {
  check_pairs(Naive(60, [](int a, int b) { return b - a >= -7 && b - a <= 12; }), "interval_join",
              [](Pipeline& pipeline) {
                return keyed(pipeline, 60).parallel(2).join(keyed(pipeline, 60)).between(-7us, 12us).with(even_sum);
              });
}

TEST_CASE("pairs of a join without a window on which its function fails are skipped or become dead letters",
          "[operators][join][on_error]") {
  check_pairs(Naive(30, [](int, int) { return true; }), "join", [](Pipeline& pipeline) {
    return keyed(pipeline, 30).parallel(2).join(keyed(pipeline, 30)).with(even_sum);
  });
}

TEST_CASE("pairs of a window join on which its function fails are skipped or become dead letters",
          "[operators][join][on_error]") {
  check_pairs(Naive(60, [](int a, int b) { return a / 20 == b / 20; }), "window_join", [](Pipeline& pipeline) {
    return keyed(pipeline, 60).parallel(2).join(keyed(pipeline, 60)).window(tumbling(20us)).with(even_sum);
  });
}

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

TEST_CASE("a join's function that fails stops the pipeline and names the join", "[operators][join][on_error]") {
  try {
    run({}, [](Pipeline& pipeline) {
      keyed(pipeline, 30)
          .join(keyed(pipeline, 30))
          .window(tumbling(10us))
          .left_outer()
          .with([](int a, const int* b) { return even_sum(a, *b); })
          .name("sums")
          .collect();
    });
    FAIL("it did not stop");
  } catch (const UserError& error) {
    CHECK(error.operator_name() == "window_join «sums»");
  }
}
