#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <tensair/io/at_rate.hpp>
#include <tensair/io/csv.hpp>
#include <tensair/io/discard.hpp>
#include <tensair/io/json_lines.hpp>
#include <tensair/io/to_csv.hpp>
#include <tensair/io/to_lines.hpp>
#include <tensair/pipeline.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using tensair::test::read;
using tensair::test::TemporaryFolder;

namespace {

struct Row {
  std::string text;
  double number = 0;
  friend auto operator==(const Row&, const Row&) -> bool = default;
};
const std::vector<CsvColumn<Row>> columns{{"text", &Row::text}, {"a, number", &Row::number}};

auto names_in(const TemporaryFolder& folder) -> std::vector<std::string> {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

/// A limit on the size of files, for as long as it lives, instead of a disk that is full.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  auto operator=(const FileSizeLimit&) -> FileSizeLimit& = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("text is written a line a record and the file appears whole", "[sinks]") {
  const TemporaryFolder folder;
  const auto file = folder.write("out.txt", "old");
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    folder.write("out.txt", "old");
    test::run(topology, [&](Pipeline& pipeline) {
      auto stream = pipeline.source(std::vector<std::string>{"a", "", "b\xff"});
      stream
          .map([&](std::string text) {
            CHECK(read(file) == "old");
            return text;
          })
          .sink(to_lines(file));
      stream.sink(
          to_lines(folder.path() / "sizes.txt", [](const std::string& text) { return std::to_string(text.size()); }));
      stream.sink(discard());
    });
    CHECK(read(file) == "a\n\nb\xff\n");
    CHECK(read(folder.path() / "sizes.txt") == "1\n0\n2\n");
    CHECK(names_in(folder) == std::vector<std::string>{"out.txt", "sizes.txt"});
  }
}

TEST_CASE("an empty stream makes an empty file", "[sinks]") {
  const TemporaryFolder folder;
  test::run({}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector<std::string>{}).sink(to_lines(folder.path() / "lines"));
    pipeline.source(std::vector<Row>{}).sink(to_csv<Row>(folder.path() / "csv", columns));
  });
  CHECK(read(folder.path() / "lines").empty());
  CHECK(read(folder.path() / "csv") == "text,\"a, number\"\n");
}

TEST_CASE("CSV that is written is quoted where it must be and read back as it was", "[sinks][csv]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "rows.csv";
  const std::vector<Row> rows{
      {"plain", 1.5}, {"a,b", -0.1}, {"\"quoted\"", 1e300}, {"two\nlines\r\n", 1.0 / 3}, {"", 5}};
  test::run({}, [&](Pipeline& pipeline) { pipeline.source(rows).sink(to_csv<Row>(file, columns)); });
  CHECK(read(file).starts_with(
      "text,\"a, number\"\nplain,1.5\n\"a,b\",-0.1\n\"\"\"quoted\"\"\",1e+300\n\"two\nlines\r\n\","));
  std::vector<Row> back;
  test::run({}, [&](Pipeline& pipeline) {
    pipeline.source(csv<Row>(file, columns)).sink([&](const Row& row) { back.push_back(row); });
  });
  CHECK(back == rows);
}

#ifdef TENSAIR_HAS_RAPIDCHECK
TEST_CASE("any rows survive being written as CSV and read", "[sinks][csv]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "rows.csv";
  for (const int wide : {0, 1}) {
    auto some = columns;
    if (wide == 0) some.pop_back();
    test::check_property(wide == 0 ? "one column" : "two columns", [&] {
      const auto text = rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab,\"\r\n \xff")));
      std::vector<Row> rows;
      for (int n = *rc::gen::inRange(0, 6); n > 0; --n)
        rows.push_back({*text, wide == 0 ? 0 : *rc::gen::arbitrary<double>()});
      test::run({}, [&](Pipeline& pipeline) { pipeline.source(rows).sink(to_csv<Row>(file, some)); });
      auto source = csv<Row>(file, some);
      std::vector<Row> back;
      while (auto row = source.next()) back.push_back(*row);
      RC_ASSERT(back == rows);
    });
  }
}
#endif

TEST_CASE("files roll by size and each is whole", "[sinks]") {
  const TemporaryFolder folder;
  folder.write("out-00006.jsonl", "of an earlier run\n");
  test::run({}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector{11, 22, 33, 44, 55, 66})
        .sink(json_lines(folder.path() / "out.jsonl", [](int n) { return std::to_string(n); }, {.bytes = 5}));
  });
  CHECK(names_in(folder) ==
        std::vector<std::string>{"out-00006.jsonl", "out-00007.jsonl", "out-00008.jsonl", "out-00009.jsonl"});
  CHECK(read(folder.path() / "out-00006.jsonl") == "of an earlier run\n");
  CHECK(read(folder.path() / "out-00007.jsonl") == "11\n22\n");
  CHECK(read(folder.path() / "out-00009.jsonl") == "55\n66\n");
}

TEST_CASE("files roll by time and what has rolled is seen while the stream goes on", "[sinks]") {
  const TemporaryFolder folder;
  testing::Cluster cluster{{.nodes = 1}};
  std::string seen_at_five;
  cluster.run([&](Pipeline& pipeline) {
    pipeline
        .source(at_rate(1,
                        [&](std::uint64_t i, Time) -> std::optional<std::string> {
                          if (i == 5) seen_at_five = read(folder.path() / "out-00000.txt");
                          return i < 8 ? std::optional(std::to_string(i)) : std::nullopt;
                        }))
        .sink(to_lines(folder.path() / "out.txt", Roll{.interval = 3s}));
  });
  CHECK(seen_at_five == "0\n1\n2\n");
  CHECK(read(folder.path() / "out-00001.txt") == "3\n4\n5\n");
  CHECK(read(folder.path() / "out-00002.txt") == "6\n7\n");
}

TEST_CASE("a file that is old is shown though nothing more comes", "[sinks]") {
  const TemporaryFolder folder;
  testing::Cluster cluster{{.nodes = 1}};
  std::optional<Duration> seen;
  cluster.run([&](Pipeline& pipeline) {
    pipeline
        .source(
            at_rate(0.1, [](std::uint64_t i, Time) { return i < 2 ? std::optional(std::to_string(i)) : std::nullopt; }))
        .sink(to_lines(folder.path() / "out.txt", Roll{.interval = 3s}));
    pipeline.source(at_rate(1, [](std::uint64_t i, Time) { return i < 10 ? std::optional(1) : std::nullopt; }))
        .sink([&](int) {
          if (!seen && std::filesystem::exists(folder.path() / "out-00000.txt")) seen = cluster.elapsed();
        });
  });
  REQUIRE(seen);
  CHECK(*seen >= 3s);
  CHECK(*seen < 4s + 10ms);
  CHECK(read(folder.path() / "out-00001.txt") == "1\n");
}

TEST_CASE("a header begins each file that rolls", "[sinks]") {
  const TemporaryFolder folder;
  test::run({}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector<Row>{{"a", 1}, {"b", 2}})
        .sink(to_csv<Row>(folder.path() / "out.csv", columns, {.delimiter = ';'}, {.bytes = 1}));
  });
  CHECK(names_in(folder) == std::vector<std::string>{"out-00000.csv", "out-00001.csv"});
  CHECK(read(folder.path() / "out-00001.csv") == "text;a, number\nb;2\n");
}

TEST_CASE("text that is no UTF-8 is written, in JSON as far as that can hold it", "[sinks][json]") {
  const TemporaryFolder folder;
  const std::vector<Row> rows{{"caf\xc3\xa9", 1}, {"\xff and \xc3", 2}};
  test::run({}, [&](Pipeline& pipeline) {
    const auto object = [](const Row& row) { return nlohmann::json{{"text", row.text}}; };
    const auto untouched = [](const Row& row) { return '"' + row.text + '"'; };
    auto stream = pipeline.source(rows);
    stream.sink(to_csv<Row>(folder.path() / "out.csv", columns));
    stream.sink(json_lines(folder.path() / "object.jsonl", object));
    stream.sink(json_lines(folder.path() / "text.jsonl", untouched));
  });
  CHECK(read(folder.path() / "out.csv") == "text,\"a, number\"\ncaf\xc3\xa9,1\n\xff and \xc3,2\n");
  CHECK(read(folder.path() / "object.jsonl") ==
        "{\"text\":\"caf\xc3\xa9\"}\n{\"text\":\"\xef\xbf\xbd and \xef\xbf\xbd\"}\n");
  CHECK(read(folder.path() / "text.jsonl") == "\"caf\xc3\xa9\"\n\"\xff and \xc3\"\n");
}

TEST_CASE("a full disk stops the run with one error and leaves nothing half visible", "[sinks][error]") {
  const TemporaryFolder folder;
  const auto text = std::string(1'000, 'x');
  const auto write_to = [&](const std::filesystem::path& file, int nodes) {
    test::run({nodes, 1, false},
              [&](Pipeline& pipeline) { pipeline.source(std::vector(2'000, text)).sink(to_lines(file)); });
  };
  if (std::filesystem::exists("/dev/full")) {
    CHECK_THROWS_WITH(write_to("/dev/full", 1),
                      ContainsSubstring("a file cannot be written: No space left on device") &&
                          ContainsSubstring("/dev/full") && ContainsSubstring("Make room on the disk"));
  }
  folder.write("out.txt", "old");
  for (const int nodes : {1, 2, 5}) {
    const FileSizeLimit limit{1'000'000};
    CHECK_THROWS_WITH(write_to(folder.path() / "out.txt", nodes),
                      ContainsSubstring("a file cannot be written: File too large") && ContainsSubstring("out.txt"));
  }
  CHECK(names_in(folder) == std::vector<std::string>{"out.txt"});
  CHECK(read(folder.path() / "out.txt") == "old");
}

TEST_CASE("a full disk stops a run that writes CSV or JSON, and files that have rolled before are whole",
          "[sinks][error]") {
  // The last row alone is too much.
  std::vector<Row> rows(10, Row{"short", 1});
  rows.push_back({std::string(2'000'000, 'x'), 2});
  const auto csv_to = [&](const std::filesystem::path& file, const Roll& roll, int nodes) {
    test::run({nodes, 1, false},
              [&](Pipeline& pipeline) { pipeline.source(rows).sink(to_csv<Row>(file, columns, {}, roll)); });
  };
  const auto json_to = [&](const std::filesystem::path& file, const Roll& roll, int nodes) {
    test::run({nodes, 1, false}, [&](Pipeline& pipeline) {
      pipeline.source(rows).sink(json_lines(
          file, [](const Row& row) { return '"' + row.text + '"'; }, roll));
    });
  };
  if (std::filesystem::exists("/dev/full")) {
    const std::string no_space =
        "a file cannot be written: No space left on device (/dev/full). Make room on the disk.";
    CHECK_THROWS_WITH(csv_to("/dev/full", {}, 1), ContainsSubstring(no_space));
    CHECK_THROWS_WITH(json_to("/dev/full", {}, 1), ContainsSubstring(no_space));
  }
  const std::string too_large = "a file cannot be written: File too large";
  for (const int nodes : {1, 2, 5}) {
    INFO(nodes << " nodes");
    const TemporaryFolder folder;
    const FileSizeLimit limit{1'000'000};
    CHECK_THROWS_WITH(csv_to(folder.path() / "out.csv", {}, nodes),
                      ContainsSubstring(too_large) && ContainsSubstring("out.csv"));
    CHECK_THROWS_WITH(json_to(folder.path() / "out.jsonl", {}, nodes),
                      ContainsSubstring(too_large) && ContainsSubstring("out.jsonl"));
    CHECK(names_in(folder).empty());
    CHECK_THROWS_WITH(csv_to(folder.path() / "out.csv", {.bytes = 40}, nodes), ContainsSubstring(too_large));
    CHECK_THROWS_WITH(json_to(folder.path() / "out.jsonl", {.bytes = 40}, nodes), ContainsSubstring(too_large));
    // A header of 17 bytes and three rows of 8 are more than 40, and five texts of 8 are as many.
    CHECK(names_in(folder) == std::vector<std::string>{"out-00000.csv", "out-00000.jsonl", "out-00001.csv",
                                                       "out-00001.jsonl", "out-00002.csv"});
    CHECK(read(folder.path() / "out-00002.csv") == "text,\"a, number\"\nshort,1\nshort,1\nshort,1\n");
    CHECK(read(folder.path() / "out-00001.jsonl") == "\"short\"\n\"short\"\n\"short\"\n\"short\"\n\"short\"\n");
  }
}

TEST_CASE("a run that fails leaves no part of a file", "[sinks][error]") {
  const TemporaryFolder folder;
  CHECK_THROWS(test::run({}, [&](Pipeline& pipeline) {
    pipeline.source(std::vector<std::string>{"a", "b"})
        .map([](std::string text) { return text == "b" ? throw std::runtime_error("broken") : text; })
        .sink(to_lines(folder.path() / "out.txt"));
  }));
  CHECK(names_in(folder).empty());
  CHECK_THROWS_WITH(
      test::run({},
                [&](Pipeline& pipeline) {
                  pipeline.source(std::vector<std::string>{"a"}).sink(to_lines(folder.path() / "no" / "x"));
                }),
      ContainsSubstring("a file cannot be made: No such file") && ContainsSubstring("no/x"));
}
