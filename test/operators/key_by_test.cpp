#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tensair/error.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/streams.hpp"
#ifdef TENSAIR_HAS_RAPIDCHECK
#include <rapidcheck.h>
#endif

using namespace tensair;
using namespace tensair::test;

namespace {

struct Click {
  std::string user;
  int number = 0;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& user& number;
  }
};

struct BadKey {
  int n = 0;
  friend auto operator==(const BadKey&, const BadKey&) -> bool = default;
};

auto words(int n) -> std::vector<std::string> {
  std::vector<std::string> all;
  for (int i = 0; i < n; ++i) all.push_back("word number " + std::to_string(i * i % 97));
  return all;
}

auto naive_counts(const std::vector<std::string>& all) -> std::map<std::string, std::uint64_t> {
  std::map<std::string, std::uint64_t> counts;
  for (const auto& word : all) ++counts[word];
  return counts;
}

}  // namespace

template <>
struct std::hash<BadKey> {
  auto operator()(const BadKey& key) const -> std::size_t {
    if (key.n == 41) throw std::runtime_error("this key has no hash");
    return static_cast<std::size_t>(key.n);
  }
};

TEST_CASE("running counts of each key go up by one on any topology", "[operators][keyed]") {
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      const auto counts = result_of<KeyValue<int, std::uint64_t>>(topology, [&](Pipeline& pipeline) {
        return pipeline.source(SharedNumbers{4'000})
            .parallel(parallel)
            .key_by([](int n) { return n % 13; })
            .count()
            .collect();
      });
      std::map<int, std::uint64_t> last;
      for (const auto& [key, count] : counts) CHECK(count == ++last[key]);
      CHECK(last.size() == 13);
      for (const auto& [key, count] : last) CHECK(count == static_cast<std::uint64_t>((4'000 - key + 12) / 13));
    }
  }
}

TEST_CASE("records of a key keep their order", "[operators][keyed]") {
  for (const auto& topology : topologies()) {
    for (const int parallel : {1, 3}) {
      INFO(topology.name() << ", parallel " << parallel);
      // A source on one node is one sender: the order is whole. The sum of a key's numbers so far says which came.
      const auto latest = result_of<KeyValue<int, int>>(topology, [&](Pipeline& pipeline) {
        return pipeline.source(numbers(3'000))
            .key_by([](int n) { return n % 7; })
            .parallel(parallel)
            .reduce([](int before, int n) { return before < n ? n : throw std::runtime_error("out of order"); })
            .collect();
      });
      CHECK(latest.size() == 3'000);
    }
  }
}

TEST_CASE("records of a key from one of several senders keep their order", "[operators][keyed]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    const int senders = topology.nodes * 3;
    const auto latest = result_of<KeyValue<int, int>>(topology, [&](Pipeline& pipeline) {
      return pipeline.source(SharedNumbers{3'000})
          .parallel(3)
          .key_by([senders](int n) { return n % senders; })  // each sender has keys of its own
          .reduce([](int before, int n) { return before < n ? n : throw std::runtime_error("out of order"); })
          .collect();
    });
    CHECK(latest.size() == 3'000);
  }
}

TEST_CASE("a key may be a member, a text that is a view, or a pair", "[operators][keyed]") {
  const auto all = words(500);
  const auto expected = naive_counts(all);
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    Collected<KeyValue<std::string, std::uint64_t>> by_member, by_view;
    Collected<KeyValue<std::pair<std::string, int>, std::uint64_t>> by_pair;
    run(topology, [&](Pipeline& pipeline) {
      auto clicks = pipeline.source(all).map([](std::string word) { return Click{std::move(word), 0}; });
      auto here = std::tuple{clicks.key_by(&Click::user).count(at_end).collect(),
                             clicks.map([](Click click) { return click.user; })
                                 .flat_map<std::string_view>([](const std::string& text, auto emit) { emit(text); })
                                 .key_by(std::identity{})
                                 .parallel(2)
                                 .count(at_end)
                                 .collect(),
                             clicks.key_by([](const Click& click) {
                                     return std::pair{click.user, 1};
                                   })
                                 .count(at_end)
                                 .collect()};
      if (pipeline.options().rank == 0) std::tie(by_member, by_view, by_pair) = here;
    });
    std::map<std::string, std::uint64_t> members, views, pairs;
    for (const auto& [word, count] : by_member) members[word] += count;
    for (const auto& [word, count] : by_view) views[word] += count;
    for (const auto& [key, count] : by_pair) pairs[key.first] += count;
    CHECK(members == expected);
    CHECK(views == expected);
    CHECK(pairs == expected);
    CHECK(by_member.size() == expected.size());
    CHECK(by_view.size() == expected.size());
  }
}

TEST_CASE("running counts by views of texts that are gone meanwhile", "[operators][keyed]") {
  const auto all = words(500);
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    const auto counts = result_of<KeyValue<std::string, std::uint64_t>>(topology, [&](Pipeline& pipeline) {
      return pipeline.source(all)
          .flat_map<std::string_view>([](std::string text, auto emit) {
            emit(std::string_view(text));
            text.assign(text.size(), '#');
          })
          .key_by(std::identity{})
          .count()
          .collect();
    });
    std::map<std::string, std::uint64_t> last;
    for (const auto& [word, count] : counts) CHECK(count == ++last[word]);
    CHECK(last == naive_counts(all));
  }
}

TEST_CASE("where there is one instance nothing waits between records", "[operators][keyed]") {
  testing::Cluster cluster{{}};
  int made = 0;
  cluster.run([&](Pipeline& pipeline) {
    pipeline.source(SharedNumbers{1'000})
        .map([&](int n) {
          ++made;
          return n;
        })
        .key_by([](int n) { return n % 3; })
        .count()
        .sink([&](const auto&) { CHECK(--made == 0); });
  });
}

TEST_CASE("a key function or a hash that throws names key_by, node and record", "[operators][keyed][error]") {
  for (const auto& topology : topologies()) {
    if (topology.tcp && topology.nodes > 1) continue;
    INFO(topology.name());
    const auto error_of = [&](auto key) {
      try {
        run(topology, [&](Pipeline& pipeline) {
          pipeline.source(numbers(1'000)).key_by(key).name("by luck").count().sink([](const auto&) {});
        });
      } catch (const UserError& error) {
        CHECK(error.operator_name() == "key_by «by luck»");
        CHECK(error.node() == 0);
        CHECK(error.record() == 42);
        return std::string(error.what());
      }
      return std::string();
    };
    CHECK(error_of([](int n) {
            return n == 41 ? throw std::runtime_error("no such luck") : n;
          }).find("threw: no such luck") != std::string::npos);
    CHECK(error_of([](int n) { return BadKey{n}; }).find("threw: this key has no hash") != std::string::npos);
  }
}

TEST_CASE("a keyed stream that has a name may be used more than once", "[operators][keyed]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    Collected<KeyValue<int, std::uint64_t>> counts;
    Collected<KeyValue<int, int>> sums;
    run(topology, [&](Pipeline& pipeline) {
      auto keyed = pipeline.source(SharedNumbers{1'000}).key_by([](int n) { return n % 2; });
      auto here = std::pair{keyed.count(at_end).collect(), keyed.reduce(std::plus<>{}, at_end).collect()};
      if (pipeline.options().rank == 0) std::tie(counts, sums) = here;
    });
    auto by_key = sums.records();
    std::sort(by_key.begin(), by_key.end());
    CHECK(by_key == std::vector<KeyValue<int, int>>{{0, 999 * 500 / 2 - 250}, {1, 250'000}});
    CHECK(counts.size() == 2);
  }
}

TEST_CASE("hashes of near keys differ in all their bits", "[operators][keyed]") {
  // Each bit of the hashes of 4,096 keys in a row is set in about half of them: six standard deviations are 192.
  for (int bit = 0; bit < 64; ++bit) {
    int numbers_set = 0, texts_set = 0;
    for (int i = 0; i < 4'096; ++i) {
      numbers_set += static_cast<int>(hash_key(i) >> bit & 1);
      texts_set += static_cast<int>(hash_key("key " + std::to_string(i)) >> bit & 1);
    }
    CHECK(std::abs(numbers_set - 2'048) < 192);
    CHECK(std::abs(texts_set - 2'048) < 192);
  }
  const std::string text(100, 'x');
  CHECK(hash_key(text) == hash_key(std::string_view(text)));
  for (std::size_t size = 0; size < 99; ++size)
    CHECK(hash_key(text.substr(0, size)) != hash_key(text.substr(0, size + 1)));
}

#ifdef TENSAIR_HAS_RAPIDCHECK
TEST_CASE("keyed results are the naive ones whatever the topology, sizes and seed", "[operators][keyed][property]") {
  CHECK(rc::check([](const std::vector<std::uint8_t>& keys) {
    const auto topology = Topology{*rc::gen::element(1, 2, 5), *rc::gen::inRange<std::uint64_t>(1, 1'000), false};
    const int parallel = *rc::gen::element(1, 3);
    const int repeat = *rc::gen::inRange(1, 30);
    std::vector<int> records;
    std::map<int, std::uint64_t> counts;
    for (int i = 0; i < repeat; ++i) {
      for (const auto key : keys) {
        records.push_back(key);
        ++counts[key];
      }
    }
    std::map<int, std::uint64_t> running, last;
    for (const auto& [key, count] : result_of<KeyValue<int, std::uint64_t>>(topology, [&](Pipeline& pipeline) {
           return pipeline.source(records).parallel(parallel).key_by(std::identity{}).count().collect();
         })) {
      RC_ASSERT(count == ++running[key]);
    }
    for (const auto& [key, count] : result_of<KeyValue<int, std::uint64_t>>(topology, [&](Pipeline& pipeline) {
           return pipeline.source(records).parallel(parallel).key_by(std::identity{}).count(at_end).collect();
         })) {
      RC_ASSERT(last.emplace(key, count).second);
    }
    RC_ASSERT(running == counts);
    RC_ASSERT(last == counts);
  }));
}
#endif
