#include <algorithm>
#include <string>
#include <tensair/io/json.hpp>
#include <tensair/pipeline.hpp>

#include "catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;
using tensair::test::TemporaryFolder;

namespace {

struct Point {
  int x = 0;
  double y = 0;
};
void from_json(const nlohmann::json& from, Point& to) {
  from.at("x").get_to(to.x);
  from.at("y").get_to(to.y);
}

static_assert(RestorableSource<Json<Point>>);

}  // namespace

TEST_CASE("JSON lines become records whatever the number of nodes", "[json]") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 500; ++i)
    text += R"({"x": )" + std::to_string(i) + R"(, "y": 0.5})" + (i % 2 == 0 ? "\n" : "\r\n\n");
  const auto file = folder.write("points.jsonl", text);
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    std::vector<int> all;
    test::run(topology, [&](Pipeline& pipeline) {
      pipeline.source(json<Point>(file)).sink([&](const Point& point) {
        CHECK(point.y == 0.5);
        all.push_back(point.x);
      });
    });
    std::sort(all.begin(), all.end());
    REQUIRE(all.size() == 500);
    for (int i = 0; i < 500; ++i) CHECK(all[static_cast<std::size_t>(i)] == i);
  }
}

TEST_CASE("a line that is no JSON or another value is a bad record with file and line", "[json][error]") {
  const TemporaryFolder folder;
  auto source =
      json<Point>(folder.write("points.jsonl",
                               "{\"x\": 1, \"y\": 2}\n{\"x\": 1,\n{\"x\": 1}\n[1, 2]\n{\"x\": \"1\", \"y\": 2}\n"
                               "{\"x\": 7, \"y\": 8} rest\n{\"x\": 9, \"y\": 0}\n"));
  CHECK(source.next()->x == 1);
  CHECK_THROWS_WITH(source.next(), ContainsSubstring("a line is no JSON") &&
                                       ContainsSubstring("points.jsonl, line 2, byte 9") &&
                                       ContainsSubstring("Correct the line"));
  CHECK_THROWS_WITH(source.next(), ContainsSubstring("JSON of another form") && ContainsSubstring("'y' not found") &&
                                       ContainsSubstring("line 3"));
  CHECK_THROWS_AS(source.next(), BadRecord);
  CHECK_THROWS_AS(source.next(), BadRecord);
  CHECK_THROWS_WITH(source.next(), ContainsSubstring("line 6"));
  CHECK(source.next()->x == 9);
  CHECK(!source.next());
}

TEST_CASE("JSON that is no UTF-8 is a bad record and the source goes on behind it", "[json][error]") {
  const TemporaryFolder folder;
  auto source = json<nlohmann::json>(folder.write("words.jsonl", "\"\xc3\xa9\"\n\"\xff\"\n\"a\xc3\"\n2\n"));
  CHECK(*source.next() == "\xc3\xa9");
  CHECK_THROWS_WITH(source.next(), ContainsSubstring("a line is no JSON") && ContainsSubstring("line 2, byte 2"));
  CHECK_THROWS_AS(source.next(), BadRecord);
  CHECK(*source.next() == 2);
  CHECK(!source.next());
}

TEST_CASE("a line of JSON over the cap is a bad record and the source goes on behind it", "[json][error]") {
  const TemporaryFolder folder;
  const auto check = [&](const TextOptions& options) {
    const auto text = std::string(options.max_line - 2, 'x');  // and two quotes
    auto source = json<nlohmann::json>(
        folder.write("long.jsonl", "\"" + text + "\"\n\"x" + text + "\"\n1\n\"" + text + "x\""), options);
    CHECK((source.next() == text));
    CHECK_THROWS_WITH(source.next(),
                      ContainsSubstring("a line is longer than " + std::to_string(options.max_line) + " bytes") &&
                          ContainsSubstring("long.jsonl, line 2") && ContainsSubstring("Raise max_line"));
    CHECK(*source.next() == 1);
    CHECK_THROWS_AS(source.next(), BadRecord);
    CHECK(!source.next());
  };
  check({.max_line = 20});
  check({});
  CHECK(TextOptions{}.max_line == 16 << 20);
}

TEST_CASE("JSON values may be read as they are", "[json]") {
  const TemporaryFolder folder;
  auto source = json<nlohmann::json>(folder.write("mixed.jsonl", "1\n\"two\"\n[3]"));
  CHECK(*source.next() == 1);
  CHECK(*source.next() == "two");
  CHECK(*source.next() == nlohmann::json::array({3}));
  CHECK(!source.next());
}
