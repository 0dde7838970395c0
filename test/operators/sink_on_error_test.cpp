#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <tensair/error.hpp>
#include <tensair/io/to_lines.hpp>

#include "catch.hpp"
#include "support/streams.hpp"
#include "support/temporary_folder.hpp"

// What becomes of records on which a sink fails: sink(f, on_error).

using namespace tensair;
using namespace tensair::test;
using Catch::Matchers::ContainsSubstring;

namespace {

auto even(int n) -> int {
  return n % 2 == 0 ? n : throw std::invalid_argument("odd: " + std::to_string(n));
}
auto into(std::vector<int>& all) {
  return [&all](int n) { all.push_back(even(n)); };
}
auto letters_into(std::vector<int>& all) {
  return dead_letter<int>([&all](const DeadLetter<int>& letter) {
    CHECK(letter.error == "odd: " + std::to_string(letter.record));
    all.push_back(letter.record);
  });
}
const std::vector<int> evens{0, 2, 4, 6, 8}, odds{1, 3, 5, 7, 9};

}  // namespace

TEST_CASE("records on which a sink fails are skipped or become dead letters", "[operators][sink][on_error]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::vector<int> skipping, taken, letters;
    run(topology, [&](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{10}).sink(into(skipping), skip);
      auto named = pipeline.source(SharedNumbers{10}).map([](int n) { return n; });
      named.sink(into(taken), letters_into(letters));
    });
    CHECK(sorted(skipping) == evens);
    CHECK(sorted(taken) == evens);
    CHECK(sorted(letters) == odds);
  }
}

TEST_CASE("a sink that was put on a node sends its letters to node 0", "[operators][sink][on_error]") {
  for (const auto& topology : some_topologies()) {
    INFO(topology.name());
    std::vector<int> taken, letters;
    run(topology, [&](Pipeline& pipeline) {
      pipeline.source(SharedNumbers{10}).on(topology.nodes - 1).sink(into(taken), letters_into(letters));
    });
    CHECK(sorted(taken) == evens);
    CHECK(sorted(letters) == odds);
  }
}

TEST_CASE("a letter has the record that its sink has taken", "[operators][sink][on_error]") {
  const std::string text = "a text that is too long to be inside a string";
  std::vector<std::string> letters;
  run({}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector{text})
        .sink(
            [](std::string record) {
              const auto taken = std::move(record);
              throw std::runtime_error("full");
            },
            dead_letter<std::string>([&](const DeadLetter<std::string>& letter) { letters.push_back(letter.record); }));
  });
  CHECK(letters == std::vector{text});
}

TEST_CASE("what a sink skips and sends away is in the figures", "[operators][sink][on_error]") {
  Pipeline pipeline;
  std::vector<int> taken, letters;
  pipeline.source(numbers(10)).sink(into(taken), skip);
  pipeline.source(numbers(10)).sink(into(taken), letters_into(letters));
  pipeline.execute();
  const auto figures = nlohmann::json::parse(pipeline.figures());
  CHECK(figures.at("counts").at("sink #1: skipped") == 5);
  CHECK(figures.at("counts").at("sink #3: dead letters") == 5);
}

TEST_CASE("a sink that is told to stop, and one that fails for good, stop the pipeline",
          "[operators][sink][on_error][error]") {
  std::vector<int> taken;
  CHECK_THROWS_WITH(run({}, [&](Pipeline& pipeline) { pipeline.source(numbers(10)).sink(into(taken), stop); }),
                    ContainsSubstring("sink #1 threw: odd: 1 (node 0, record 2)"));
  CHECK_THROWS_AS(run({},
                      [&](Pipeline& pipeline) {
                        pipeline.source(numbers(10)).sink([](int) { throw Error("the disk is full", "/data"); }, skip);
                      }),
                  Error);
}

TEST_CASE("a file's records that cannot be written are left out of it", "[operators][sink][on_error]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "even.txt";
  run({}, [&](Pipeline& pipeline) {
    pipeline.source(numbers(6)).sink(to_lines(file, [](int n) { return std::to_string(even(n)); }), skip);
  });
  CHECK(read(file) == "0\n2\n4\n");
}
