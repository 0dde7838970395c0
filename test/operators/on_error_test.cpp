#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <tensair/io/csv.hpp>
#include <tensair/io/lines.hpp>
#include <tensair/io/to_lines.hpp>
#include <tensair/pipeline.hpp>

#include "catch.hpp"
#include "support/streams.hpp"
#include "support/temporary_folder.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;
using tensair::test::SharedNumbers;
using tensair::test::sorted;
using tensair::test::TemporaryFolder;

namespace {

auto odd_is_wrong(int n) -> int {
  return n % 2 == 1 ? throw std::invalid_argument("odd: " + std::to_string(n)) : n;
}

struct Pair {
  std::string a;
  int b = 0;
};
const std::vector<CsvColumn<Pair>> pair_columns{{"a", &Pair::a}, {"b", &Pair::b}};

}  // namespace

TEST_CASE("records on which an operator fails are skipped and the others go on", "[on_error]") {
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    std::vector<int> mapped, filtered, expanded;
    test::run(topology, [&](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{100}).map(odd_is_wrong).on_error(skip).sink([&](int n) { mapped.push_back(n); });
      pipeline.source(SharedNumbers{100})
          .filter([](int n) { return odd_is_wrong(n) % 4 == 0; })
          .on_error(skip)
          .sink([&](int n) { filtered.push_back(n); });
      pipeline.source(SharedNumbers{10})
          .flat_map<int>([](int n, auto emit) {
            emit(n);
            emit(10 + odd_is_wrong(n));  // what was emitted before is gone
          })
          .on_error(skip)
          .sink([&](int n) { expanded.push_back(n); });
    });
    std::vector<int> even, fourth;
    for (int n = 0; n < 100; n += 2) even.push_back(n);
    for (int n = 0; n < 100; n += 4) fourth.push_back(n);
    CHECK(sorted(mapped) == even);
    CHECK(sorted(filtered) == fourth);
    CHECK(sorted(expanded) == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18});
  }
}

TEST_CASE("records on which an operator fails are sent to a sink on node 0 with what was thrown", "[on_error]") {
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    std::vector<int> good;
    std::vector<DeadLetter<std::string>> letters;
    test::run(topology, [&](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{50})
          .map([](int n) { return "a text that is too long to be inside a string: " + std::to_string(n); })
          .map([](std::string text) {  // takes its record away, and the letter has it still
            const auto taken = std::move(text);
            return odd_is_wrong(std::stoi(taken.substr(taken.rfind(' '))));
          })
          .name("parse")
          .on_error(dead_letter<std::string>([&](const DeadLetter<std::string>& letter) { letters.push_back(letter); }))
          .sink([&](int n) { good.push_back(n); });
    });
    CHECK(good.size() == 25);
    REQUIRE(letters.size() == 25);
    std::sort(letters.begin(), letters.end(),
              [](const auto& a, const auto& b) { return std::stoi(a.error.substr(5)) < std::stoi(b.error.substr(5)); });
    for (int i = 0; i < 25; ++i) {
      const int n = 2 * i + 1;
      CHECK(letters[static_cast<std::size_t>(i)] ==
            DeadLetter<std::string>{"a text that is too long to be inside a string: " + std::to_string(n),
                                    "odd: " + std::to_string(n), "map «parse»", n % topology.nodes});
    }
  }
}

TEST_CASE("an operator further down is not the one that on_error speaks of", "[on_error][error]") {
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    const auto run = [&](auto compose) {
      test::run(topology, [&](Pipeline& pipeline) { compose(pipeline.source(std::vector{0, 2, 3, 4})); });
    };
    CHECK_THROWS_WITH(run([](auto stream) {
                        std::move(stream)
                            .map([](int n) { return n; })
                            .on_error(skip)
                            .filter([](int) { return true; })
                            .on_error(skip)
                            .map(odd_is_wrong)
                            .name("last")
                            .sink([](int) {});
                      }),
                      ContainsSubstring("map «last» threw: odd: 3 (node 0, record 3)"));
    CHECK_THROWS_WITH(
        run([](auto stream) {
          std::move(stream).template flat_map<int>([](int n, auto emit) { emit(n); }).on_error(skip).sink([](int n) {
            odd_is_wrong(n);
          });
        }),
        ContainsSubstring("sink #2 threw: odd: 3"));
    CHECK_THROWS_WITH(run([](auto stream) { std::move(stream).map(odd_is_wrong).on_error(stop).sink([](int) {}); }),
                      ContainsSubstring("map #1 threw: odd: 3"));
  }
}

TEST_CASE("failures of two operators are told apart", "[on_error]") {
  std::vector<int> good, first, second;
  test::run({}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector{1, 2, 30, 40})
        .map(odd_is_wrong)
        .on_error(dead_letter<int>([&](const DeadLetter<int>& letter) { first.push_back(letter.record); }))
        .map([](int n) { return n == 30 ? throw std::runtime_error("thirty") : n; })
        .on_error(dead_letter<int>([&](const DeadLetter<int>& letter) { second.push_back(letter.record); }))
        .sink([&](int n) { good.push_back(n); });
  });
  CHECK(good == std::vector{2, 40});
  CHECK(first == std::vector{1});
  CHECK(second == std::vector{30});
}

TEST_CASE("bad records of a source are skipped or sent away with their text", "[on_error][csv][lines]") {
  const TemporaryFolder folder;
  const auto file = folder.write("pairs.csv", "a,b\nx,1\ny\nz,q\nw,4\n");
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    std::vector<int> skipped, good;
    std::vector<DeadLetter<std::string>> letters;
    std::vector<std::string> short_lines;
    test::run(topology, [&](Pipeline& pipeline) {
      pipeline.source(csv<Pair>(file, pair_columns))
          .on_error(skip)
          .map([](const Pair& pair) { return pair.b; })
          .sink([&](int n) { skipped.push_back(n); });
      pipeline.source(csv<Pair>(file, pair_columns))
          .on_error(dead_letter<std::string>([&](const DeadLetter<std::string>& letter) { letters.push_back(letter); }))
          .map([](const Pair& pair) { return pair.b; })
          .sink([&](int n) { good.push_back(n); });
      pipeline.source(lines(file, {.max_line = 1})).on_error(skip).sink([&](std::string_view line) {
        short_lines.emplace_back(line);
      });
    });
    CHECK(skipped == std::vector{1, 4});
    CHECK(good == std::vector{1, 4});
    REQUIRE(letters.size() == 2);
    CHECK(letters[0].record == "y");
    CHECK_THAT(letters[0].error, ContainsSubstring("a row has 1 field, not 2") && ContainsSubstring("line 3"));
    CHECK(letters[1].record == "z,q");
    CHECK_THAT(letters[1].error, ContainsSubstring("«q» is no int"));
    CHECK(short_lines == std::vector<std::string>{"y"});
  }
}

TEST_CASE("a source that fails for good still stops the pipeline", "[on_error][error]") {
  CHECK_THROWS_WITH(
      test::run({},
                [](Pipeline& pipeline) { pipeline.source(lines("/nowhere/gone")).on_error(skip).sink([](auto) {}); }),
      ContainsSubstring("a file cannot be opened"));
  CHECK_THROWS_WITH(test::run({},
                              [](Pipeline& pipeline) {
                                pipeline.source([]() -> std::optional<int> { throw std::runtime_error("broken"); })
                                    .on_error(skip)
                                    .sink([](int) {});
                              }),
                    ContainsSubstring("threw: broken"));
}

TEST_CASE("a dead letter's sink that fails stops the pipeline", "[on_error][error]") {
  CHECK_THROWS_WITH(
      test::run({},
                [](Pipeline& pipeline) {
                  pipeline.source(std::vector{1})
                      .map(odd_is_wrong)
                      .on_error(dead_letter<int>([](const DeadLetter<int>&) { throw std::runtime_error("full"); }))
                      .sink([](int) {});
                }),
      ContainsSubstring("threw: full"));
}

TEST_CASE("parallel instances skip and send away their own records", "[on_error]") {
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    std::vector<int> good, letters;
    test::run(topology, [&](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{300})
          .parallel(3)
          .map(odd_is_wrong)
          .on_error(dead_letter<int>([&](const DeadLetter<int>& letter) { letters.push_back(letter.record); }))
          .filter([](int n) { return odd_is_wrong(n / 2) >= 0; })
          .on_error(skip)
          .sink([&](int n) { good.push_back(n); });
    });
    std::vector<int> odd, fourth;
    for (int n = 1; n < 300; n += 2) odd.push_back(n);
    for (int n = 0; n < 300; n += 4) fourth.push_back(n);
    CHECK(sorted(letters) == odd);
    CHECK(sorted(good) == fourth);
  }
}

TEST_CASE("an operator by key may fail for some records", "[on_error]") {
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    std::vector<std::pair<int, int>> sums;
    test::run(topology, [&](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{100})
          .key_by([](int n) { return n / 50; })
          .with_state<int>([](int& sum, int n) {
            return std::pair{n / 50, sum += odd_is_wrong(n)};
          })
          .on_error(skip)
          .sink([&](const std::pair<int, int>& sum) { sums.push_back(sum); });
    });
    REQUIRE(sums.size() == 50);
    std::sort(sums.begin(), sums.end());
    CHECK(sums[24] == std::pair{0, 600});    // 0 + 2 + … + 48
    CHECK(sums[49] == std::pair{1, 1'850});  // 50 + 52 + … + 98
  }
}

TEST_CASE("what was skipped and sent away is in the figures", "[on_error]") {
  Pipeline pipeline;
  pipeline.source(std::vector{1, 2, 3}).map(odd_is_wrong).name("even").on_error(skip).sink([](int) {});
  pipeline.source(std::vector{1, 2, 3, 5})
      .filter([](int n) { return odd_is_wrong(n) > 0; })
      .name("too")
      .on_error(dead_letter<int>([](const DeadLetter<int>&) {}))
      .sink([](int) {});
  pipeline.execute();
  const auto figures = nlohmann::json::parse(pipeline.figures());
  CHECK(figures.at("counts").at("map «even»: skipped") == 2);
  CHECK(figures.at("counts").at("filter «too»: dead letters") == 3);
}

TEST_CASE("bad records of a source that is read on a node are skipped or sent away", "[on_error][lines]") {
  const test::TemporaryFolder folder;
  const auto file = folder.write("lines.txt", "one\nfour\ntwo\n");
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    std::vector<std::string> skipping, good, letters;
    test::run(topology, [&](Pipeline& pipeline) {
      const auto last = topology.nodes - 1;
      pipeline.source(lines(file, {.max_line = 3})).on(last).on_error(skip).sink([&](std::string_view line) {
        skipping.emplace_back(line);
      });
      pipeline.source(lines(file, {.max_line = 3}))
          .on(last)
          .on_error(dead_letter<std::string>(
              [&](const DeadLetter<std::string>& letter) { letters.push_back(letter.record); }))
          .sink([&](std::string_view line) { good.emplace_back(line); });
    });
    CHECK(sorted(skipping) == std::vector<std::string>{"one", "two"});
    CHECK(sorted(good) == sorted(skipping));
    CHECK(letters.size() == 1);
  }
}
