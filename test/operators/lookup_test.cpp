#include <algorithm>
#include <map>
#include <string>
#include <tensair/error.hpp>
#include <tuple>

#include "catch.hpp"
#include "support/join_events.hpp"
#include "support/on_schedule.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

/// The numbers of a record and its row, -1 for no row.
using Seen = std::pair<int, int>;

/// A record of any stream in these tests: a key, and something to tell it by.
struct Entry {
  std::string key;
  int number = 0;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& key& number;
  }
};
const auto rows_of = [](const Entry& entry, const Entry* row) {
  return Seen{entry.number, row == nullptr ? -1 : row->number};
};

using Schedule = std::vector<std::pair<std::chrono::milliseconds, Entry>>;

template <class Compose>
auto looked_up(const Topology& topology, Compose compose) -> std::vector<Seen> {
  std::vector<Seen> all;
  run(topology, [&](Pipeline& pipeline) { compose(pipeline).sink([&](const Seen& seen) { all.push_back(seen); }); });
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("a record sees the row that came last before it", "[operators][lookup]") {
  const Schedule rows{{0ms, {"a", 1}}, {0ms, {"b", 2}}, {1000ms, {"a", 3}}, {2000ms, {"a", 4}}, {2000ms, {"c", 5}}};
  const Schedule records{{500ms, {"a", 1}},  {500ms, {"c", 2}},  {500ms, {"b", 3}},
                         {1500ms, {"a", 4}}, {2500ms, {"a", 5}}, {2500ms, {"c", 6}}};
  for (const auto& topology : some_topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", " << parallel << " instances");
      CHECK(looked_up(topology, [&](Pipeline& pipeline) {
              return pipeline.source(OnSchedule{records})
                  .key_by(&Entry::key)
                  .parallel(parallel)
                  .lookup(pipeline.source(OnSchedule{rows}).key_by(&Entry::key), rows_of);
            }) == std::vector<Seen>{{1, 1}, {2, -1}, {3, 2}, {4, 3}, {5, 4}, {6, 5}});
    }
  }
}

TEST_CASE("a row is gone when it has been deleted, until there is a new one", "[operators][lookup]") {
  const Schedule rows{{0ms, {"a", 1}}, {1000ms, {"a", 0}}, {2000ms, {"a", 2}}, {2000ms, {"b", 0}}};
  const Schedule records{{500ms, {"a", 1}}, {1500ms, {"a", 2}}, {2500ms, {"a", 3}}, {2500ms, {"b", 4}}};
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    CHECK(looked_up(topology, [&](Pipeline& pipeline) {
            return pipeline.source(OnSchedule{records})
                .key_by(&Entry::key)
                .lookup(pipeline.source(OnSchedule{rows}).key_by(&Entry::key))
                .delete_when([](const Entry& row) { return row.number == 0; })
                .with(rows_of);
          }) == std::vector<Seen>{{1, 1}, {2, -1}, {3, 2}, {4, -1}});
  }
}

TEST_CASE("a row is gone when its time to live is over, however often it has been looked up", "[operators][lookup]") {
  const Schedule rows{{0ms, {"a", 1}}, {0ms, {"b", 2}}, {1500ms, {"b", 3}}, {6000ms, {"a", 4}}};
  const Schedule records{{500ms, {"a", 1}},  {1900ms, {"a", 2}}, {2100ms, {"a", 3}},
                         {3000ms, {"b", 4}}, {4000ms, {"b", 5}}, {6500ms, {"a", 6}}};
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    CHECK(looked_up(topology, [&](Pipeline& pipeline) {
            return pipeline.source(OnSchedule{records})
                .key_by(&Entry::key)
                .lookup(pipeline.source(OnSchedule{rows}).key_by(&Entry::key).time_to_live(2s), rows_of);
          }) == std::vector<Seen>{{1, 1}, {2, 1}, {3, -1}, {4, 3}, {5, -1}, {6, 4}});
  }
}

TEST_CASE("records of a key see rows of that key only, and never one older than a row seen before",
          "[operators][lookup][property]") {
  check_property("for any records, rows and topology",
                 [](const std::vector<int>& records, const std::vector<int>& rows) {
                   const int nodes = *rc::gen::element(1, 2, 5), parallel = *rc::gen::element(1, 3);
                   const auto seed = static_cast<std::uint64_t>(*rc::gen::inRange(1, 1'000'000));
                   struct Numbered {
                     int value, number;
                   };
                   const auto numbered = [](const std::vector<int>& values) {
                     std::vector<Numbered> all;
                     for (const int value : values) all.push_back({value, static_cast<int>(all.size())});
                     return all;
                   };
                   const auto key = [](const Numbered& one) { return one.value % 3; };
                   std::vector<std::pair<int, int>> seen;  // of each record, and of the row
                   run({nodes, seed, false}, [&](Pipeline& pipeline) {
                     pipeline.source(numbered(records))
                         .key_by(key)
                         .parallel(parallel)
                         .lookup(pipeline.source(numbered(rows)).key_by(key),
                                 [](const Numbered& one, const Numbered* row) {
                                   return std::pair(one.number, row == nullptr ? -1 : row->number);
                                 })
                         .sink([&](const std::pair<int, int>& pair) { seen.push_back(pair); });
                   });
                   std::sort(seen.begin(), seen.end());
                   RC_ASSERT(seen.size() == records.size());
                   std::map<int, int> last;
                   for (std::size_t i = 0; i < seen.size(); ++i) {
                     RC_ASSERT(seen[i].first == static_cast<int>(i));
                     const int of = records[i] % 3, row = seen[i].second;
                     if (row != -1) RC_ASSERT(rows[static_cast<std::size_t>(row)] % 3 == of);
                     const auto before = last.emplace(of, -1).first;
                     RC_ASSERT(row >= before->second);
                     before->second = row;
                   }
                 });
}
