#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tensair/error.hpp>
#include <tuple>

#include "catch.hpp"
#include "support/arrivals.hpp"
#include "support/join_events.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

/// The numbers of a record and its row, -1 for no row, and the record's time.
using Seen = std::tuple<int, int, std::int64_t>;

constexpr int every_row = 1'000'000;  // deletes none

/// Looks at all rows for each record. Each `deleting`-th row says that there is none from then on.
auto naive_lookup(const std::vector<JoinEvent>& records, const std::vector<JoinEvent>& rows, int deleting,
                  std::int64_t lifetime) -> std::vector<Seen> {
  std::vector<Seen> all;
  for (const auto& record : records) {
    const JoinEvent* best = nullptr;
    for (const auto& row : rows) {
      if (row.key == record.key && row.time <= record.time && (best == nullptr || row.time > best->time)) best = &row;
    }
    const bool there =
        best != nullptr && best->number % deleting != deleting - 1 && record.time - best->time < lifetime;
    all.emplace_back(record.number, there ? best->number : -1, record.time);
  }
  std::sort(all.begin(), all.end());
  return all;
}

/// One row of a key and time: else it would not be known which of them counts.
auto without_ties(const std::vector<JoinEvent>& rows) -> std::vector<JoinEvent> {
  std::set<std::pair<int, std::int64_t>> known;
  std::vector<JoinEvent> all;
  for (const auto& row : rows) {
    if (known.emplace(row.key, row.time).second) all.push_back(row);
  }
  return all;
}

auto looked_up(const JoinInputs& inputs, int deleting, std::int64_t lifetime) -> std::vector<Seen> {
  std::vector<Seen> all;
  run(inputs.topology, [&](Pipeline& pipeline) {
    auto [records, rows] = inputs.streams(pipeline);
    const auto with_row = [](const JoinEvent& record, const JoinEvent* row) {
      return std::pair(record.number, row == nullptr ? -1 : row->number);
    };
    const auto keep = [&](const std::pair<int, int>& seen, EventTime time) {
      all.emplace_back(seen.first, seen.second, time.time_since_epoch().count());
    };
    const auto deletes = [deleting](const JoinEvent& row) { return row.number % deleting == deleting - 1; };
    if (lifetime == INT64_MAX) {
      std::move(records).lookup(std::move(rows)).delete_when(deletes).as_of_event_time().with(with_row).sink(keep);
    } else {
      std::move(records)
          .lookup(std::move(rows).time_to_live(std::chrono::microseconds{lifetime}))
          .as_of_event_time()
          .delete_when(deletes)
          .with(with_row)
          .sink(keep);
    }
  });
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

#ifdef TENSAIR_HAS_RAPIDCHECK

TEST_CASE("a lookup as of event time sees the row that was valid at each record's time",
          "[operators][lookup][property]") {
  const auto property = [](const Arrivals& left, const Arrivals& right, const Place& place) {
    auto inputs = join_inputs(left, right, place);
    inputs.right = without_ties(inputs.right);
    const int deleting = std::array{every_row, 5, 2}[static_cast<std::size_t>(drawn(0, 2))];
    const std::int64_t lifetime = std::array{INT64_MAX, 40L, 7L}[static_cast<std::size_t>(drawn(0, 2))];
    RC_ASSERT(looked_up(inputs, deleting, lifetime) == naive_lookup(inputs.left, inputs.right, deleting, lifetime));
  };
  check_with_two("for any records, rows, deletions and place", property);
}

#endif

TEST_CASE("a lookup as of event time is the same over TCP", "[operators][lookup]") {
  auto inputs = JoinInputs{some_join_events(500, 6, 30, 1), without_ties(some_join_events(400, 6, 30, 2)), 30, 1, {}};
  const auto expected = naive_lookup(inputs.left, inputs.right, 5, INT64_MAX);
  CHECK(std::count_if(expected.begin(), expected.end(), [](const Seen& one) { return std::get<1>(one) >= 0; }) > 100);
  for (const auto& topology : tcp_topologies()) {
    inputs.topology = topology;
    inputs.parallel = topology.workers;
    INFO(topology.name());
    CHECK(looked_up(inputs, 5, INT64_MAX) == expected);
  }
}

TEST_CASE("records looked up as of event time come out by their times, before the watermark that passes them",
          "[operators][lookup]") {
  const auto inputs = JoinInputs{some_join_events(500, 6, 30, 3), without_ties(some_join_events(400, 6, 30, 4)), 30, 1};
  std::map<int, std::vector<std::int64_t>> times;  // by key
  int behind = 0;
  struct Sink {
    std::map<int, std::vector<std::int64_t>>* times;
    int* behind;
    EventTime watermark_ = beginning_of_time;
    void operator()(int key, EventTime time) {
      (*times)[key].push_back(time.time_since_epoch().count());
      *behind += time < watermark_ ? 1 : 0;
    }
    void watermark(EventTime time) { watermark_ = time; }
  };
  run({}, [&](Pipeline& pipeline) {
    auto [records, rows] = inputs.streams(pipeline);
    std::move(records)
        .lookup(std::move(rows), as_of_event_time, [](const JoinEvent& record, const JoinEvent*) { return record.key; })
        .sink(Sink{&times, &behind});
  });
  std::size_t seen = 0;
  for (const auto& [key, of_key] : times) {
    CHECK(std::is_sorted(of_key.begin(), of_key.end()));
    seen += of_key.size();
  }
  CHECK(seen == 500);
  CHECK(behind == 0);
}

TEST_CASE("a lookup as of event time in an empty table finds nothing, and a table without records ends",
          "[operators][lookup]") {
  for (const int nodes : {1, 2, 5}) {
    const auto some = some_join_events(100, 6, 30, 3);
    CHECK(looked_up({some, {}, 30, 3, {nodes, 1, false}}, 5, INT64_MAX) == naive_lookup(some, {}, 5, INT64_MAX));
    CHECK(looked_up({{}, some, 30, 3, {nodes, 1, false}}, 5, INT64_MAX).empty());
  }
}

TEST_CASE("records that come after their watermark are left out of a lookup as of event time, and a late row counts",
          "[operators][lookup]") {
  const auto left = some_join_events(2'000, 4, 300, 1), right = some_join_events(2'000, 4, 300, 2);
  for (const auto& topology : {Topology{1, 1, false}, Topology{2, 5, false}}) {
    // Watermarks go ahead by 1 µs of what is out of order by 300.
    const auto seen = looked_up(JoinInputs{left, right, 1, 2, topology}, 5, INT64_MAX);
    CHECK(seen.size() < 2'000);
    CHECK(seen.size() > 100);
    for (const auto& [record, row, time] : seen) {
      if (row < 0) continue;
      CHECK(left[static_cast<std::size_t>(record)].key == right[static_cast<std::size_t>(row)].key);
      CHECK(right[static_cast<std::size_t>(row)].time <= time);
    }
  }
}
