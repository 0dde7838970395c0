#include <algorithm>
#include <filesystem>
#include <string>
#include <tensair/io/files.hpp>
#include <tensair/io/json_lines.hpp>
#include <tensair/pipeline.hpp>

#include "catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using tensair::test::read;
using tensair::test::TemporaryFolder;

TEST_CASE("a file set is read once in all, whatever the number of nodes", "[files]") {
  const TemporaryFolder folder;
  std::vector<std::string> expected;
  for (int file = 0; file < 7; ++file) {
    std::string text;
    for (int line = 0; line < 20; ++line)
      text +=
          expected.emplace_back(std::to_string(file) + ":" + std::to_string(line)) + (line % 2 == 0 ? "\n" : "\r\n");
    folder.write("part-" + std::to_string(file) + ".txt", text);
  }
  folder.write("other.csv", "not this one\n");
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    Collected<std::string> lines;
    test::run(topology, [&](Pipeline& pipeline) {
      auto here = pipeline.source(files(find_files(folder.path(), "part-*.txt"), read_line)).collect();
      if (pipeline.options().rank == 0) lines = here;
    });
    auto sorted = lines.records();
    std::sort(sorted.begin(), sorted.end());
    std::sort(expected.begin(), expected.end());
    CHECK(sorted == expected);
  }
}

TEST_CASE("files that are not there are errors that name them", "[files][error]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(find_files(folder.path() / "none"), Catch::Matchers::ContainsSubstring("a folder does not exist") &&
                                                            Catch::Matchers::ContainsSubstring("none"));
  CHECK_THROWS_WITH(find_files(folder.path(), "*.txt"), Catch::Matchers::ContainsSubstring("holds no file «*.txt»"));
  CHECK_THROWS_WITH(
      test::run({}, [&](Pipeline& pipeline) { pipeline.source(files({folder.path() / "gone"}, read_line)).collect(); }),
      Catch::Matchers::ContainsSubstring("a file cannot be opened") && Catch::Matchers::ContainsSubstring("gone"));
}

TEST_CASE("JSON lines are written one a record", "[json_lines]") {
  const TemporaryFolder folder;
  for (const auto& topology : test::topologies()) {
    const auto file = folder.path() / "out.jsonl";
    test::run(topology, [&](Pipeline& pipeline) {
      pipeline.source(std::vector{1, 2, 3}).sink(json_lines(file, [](int n) {
        return "{\"n\":" + std::to_string(n) + "}";
      }));
    });
    CHECK(read(file) == "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
  }
}

TEST_CASE("a JSON lines file that cannot be made or written is an error that names it", "[json_lines][error]") {
  const TemporaryFolder folder;
  const auto write_to = [](const std::filesystem::path& file) {
    test::run({}, [&](Pipeline& pipeline) {
      pipeline.source(std::vector(10'000, 1)).sink(json_lines(file, [](int n) { return std::to_string(n); }));
    });
  };
  CHECK_THROWS_WITH(
      write_to(folder.path() / "none" / "out.jsonl"),
      Catch::Matchers::ContainsSubstring("a file cannot be made") && Catch::Matchers::ContainsSubstring("none"));
  if (std::filesystem::exists("/dev/full"))
    CHECK_THROWS_WITH(write_to("/dev/full"),
                      Catch::Matchers::ContainsSubstring("a file cannot be written: No space left"));
}
