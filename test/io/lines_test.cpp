#include <algorithm>
#include <string>
#include <tensair/io/lines.hpp>
#include <tensair/pipeline.hpp>

#include "catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;
using tensair::test::TemporaryFolder;

namespace {

static_assert(RestorableSource<Lines>);

/// The naive model: cut at every '\n', drop one '\r' before it, and no line behind a last '\n'.
auto naive_lines(const std::string& text) -> std::vector<std::string> {
  std::vector<std::string> all;
  std::string line;
  for (const char c : text) {
    if (c != '\n') {
      line += c;
      continue;
    }
    if (!line.empty() && line.back() == '\r') line.pop_back();
    all.push_back(std::exchange(line, {}));
  }
  if (!line.empty()) {
    if (line.back() == '\r') line.pop_back();
    all.push_back(line);
  }
  return all;
}

auto read_directly(Lines source) -> std::vector<std::string> {
  std::vector<std::string> all;
  while (auto line = source.next()) all.emplace_back(*line);
  return all;
}

auto sorted(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

/// Lines of many lengths, up to more than a block, some of them empty.
auto long_text(int lines) -> std::string {
  std::string text;
  for (int i = 0; i < lines; ++i) {
    text += std::to_string(i) + std::string(static_cast<std::size_t>(i % 97 == 0 ? 300'000 : i * 31 % 200), 'x');
    text += i % 3 == 0 ? "\r\n" : i % 5 == 0 ? "\n\n" : "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("lines are what a naive loop cuts", "[lines]") {
  const TemporaryFolder folder;
  for (const std::string& text : {std::string(), std::string("\n"), std::string("a"), std::string("a\n"),
                                  std::string("a\nb"), std::string("\r\n\r\n\n"), std::string("a\r\nb\r"),
                                  std::string("\xff\xfe\x80 no UTF-8 \0 with a zero\n\xc3\n", 29), long_text(500)}) {
    const auto file = folder.write("text", text);
    CHECK(read_directly(lines(file)) == naive_lines(text));
  }
}

TEST_CASE("every line is read once, whatever the number of nodes, though it is one file", "[lines]") {
  const TemporaryFolder folder;
  const auto one = long_text(300), two = std::string("short\n"), three = std::string("no end");
  std::vector<std::string> expected;
  for (const auto& text : {one, two, three}) {
    for (auto& line : naive_lines(text)) expected.push_back(std::move(line));
  }
  const std::vector<std::filesystem::path> files{folder.write("one", one), folder.write("two", two),
                                                 folder.write("three", three)};
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    Collected<std::string> collected;
    test::run(topology, [&](Pipeline& pipeline) {
      auto here = pipeline.source(lines(files)).collect();
      if (pipeline.options().rank == 0) collected = here;
    });
    CHECK(sorted(collected.records()) == sorted(expected));
  }
}

TEST_CASE("views of lines are kept as strings in batches and in streams used twice", "[lines]") {
  const TemporaryFolder folder;
  const auto text = long_text(200);
  const auto file = folder.write("text", text);
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    Collected<Batch<std::string>> batches;
    std::vector<std::size_t> lengths;
    test::run(topology, [&](Pipeline& pipeline) {
      auto stream = pipeline.source(lines(file));
      auto here = stream.batch(7).collect();
      stream.map([](std::string_view line) { return line.size(); }).sink([&](std::size_t n) { lengths.push_back(n); });
      if (pipeline.options().rank == 0) batches = here;
    });
    std::vector<std::string> all;
    for (const auto& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
    const auto expected = naive_lines(text);
    CHECK(sorted(all) == sorted(expected));
    std::vector<std::size_t> expected_lengths;
    for (const auto& line : expected) expected_lengths.push_back(line.size());
    std::sort(lengths.begin(), lengths.end());
    std::sort(expected_lengths.begin(), expected_lengths.end());
    CHECK(lengths == expected_lengths);
  }
}

TEST_CASE("a line over the cap is a bad record with file and line and the source goes on behind it", "[lines][error]") {
  const TemporaryFolder folder;
  for (const std::size_t length : {11U, 5'000U, 600'000U}) {  // within a block, and over several
    const auto file =
        folder.write("text", "short\n" + std::string(length, 'x') + "\nafter\n" + std::string(length, 'y'));
    auto source = lines(file, {.max_line = 10});
    CHECK(source.next() == "short");
    CHECK_THROWS_WITH(source.next(), ContainsSubstring("a line is longer than 10 bytes") &&
                                         ContainsSubstring("text, line 2") && ContainsSubstring("Raise max_line"));
    CHECK(source.next() == "after");
    CHECK_THROWS_AS(source.next(), BadRecord);
    CHECK(source.next() == std::nullopt);
    CHECK_THROWS_WITH(
        test::run({}, [&](Pipeline& pipeline) { pipeline.source(lines(file, {.max_line = 10})).collect(); }),
        ContainsSubstring("line 2"));
  }
}

TEST_CASE("unless told otherwise a line may have 16 MiB and no byte more", "[lines][error]") {
  const TemporaryFolder folder;
  const auto longest = std::string(16 << 20, 'x');
  auto source = lines(folder.write("text", longest + "\r\n" + longest + "x\nafter\n" + longest + "\n" + longest + "x"));
  // A carriage return in front of the line's end is one of its bytes.
  CHECK_THROWS_WITH(source.next(), ContainsSubstring("a line is longer than 16777216 bytes"));
  CHECK_THROWS_AS(source.next(), BadRecord);
  CHECK(source.next() == "after");
  CHECK((source.next() == longest));
  CHECK_THROWS_WITH(source.next(), ContainsSubstring("text, line 5"));
  CHECK(!source.next());
}

TEST_CASE("parts by bytes report a line over the cap once", "[lines][error]") {
  const TemporaryFolder folder;
  const auto file = folder.write("text", "a\n" + std::string(900'000, 'x') + "\nb\nc\n");
  for (const int parts : {2, 3, 7}) {
    int bad = 0;
    std::vector<std::string> good;
    for (int part = 0; part < parts; ++part) {
      auto source = lines(file, {.max_line = 100'000});
      source.split(part, parts);
      while (true) {
        try {
          const auto line = source.next();
          if (!line) break;
          good.emplace_back(*line);
        } catch (const BadRecord&) {
          ++bad;
        }
      }
    }
    CHECK(bad == 1);
    CHECK(good == std::vector<std::string>{"a", "b", "c"});
  }
}

TEST_CASE("lines go on where an offset says", "[lines]") {
  const TemporaryFolder folder;
  const std::vector<std::filesystem::path> files{folder.write("one", long_text(50)), folder.write("two", "x\r\ny")};
  const auto all = read_directly(lines(files));
  for (const int parts : {1, 3}) {
    for (int part = 0; part < parts; ++part) {
      auto source = lines(files);
      source.split(part, parts);
      auto rest_of = [&](const FileOffset& offset) {
        auto restored = lines(files);
        restored.split(part, parts);
        restored.seek(offset);
        return read_directly(std::move(restored));
      };
      std::vector<FileOffset> offsets{source.offset()};
      std::vector<std::string> own;
      while (auto line = source.next()) {
        own.emplace_back(*line);
        offsets.push_back(source.offset());
      }
      for (std::size_t i = 0; i < offsets.size(); i += 5)
        CHECK(rest_of(offsets[i]) == std::vector(own.begin() + static_cast<std::ptrdiff_t>(i), own.end()));
      CHECK(rest_of(offsets.back()).empty());
    }
  }
}

TEST_CASE("a file that shrank since its offset was taken is an error", "[lines][error]") {
  const TemporaryFolder folder;
  auto source = lines(folder.write("text", "ab\n"));
  source.seek({0, 100, 50});
  CHECK_THROWS_WITH(source.next(), ContainsSubstring("a file is shorter than when it was read before"));
}

TEST_CASE("text files that are not there or are folders are errors that name them", "[lines][error]") {
  const TemporaryFolder folder;
  const auto run_on = [&](const std::filesystem::path& path, int nodes) {
    test::run({nodes, 1, false}, [&](Pipeline& pipeline) { pipeline.source(lines(path)).collect(); });
  };
  for (const int nodes : {1, 2}) {
    CHECK_THROWS_WITH(run_on(folder.path() / "gone", nodes),
                      ContainsSubstring("a file cannot be opened: No such file") && ContainsSubstring("gone"));
    CHECK_THROWS_WITH(run_on(folder.path(), nodes), ContainsSubstring("Is a directory"));
  }
  CHECK_THROWS_AS(lines("x", {.max_line = 0}), UsageError);
}

#ifdef TENSAIR_HAS_RAPIDCHECK
TEST_CASE("any text cut at any block size and shared out among any parts gives the naive lines", "[lines]") {
  const auto text = rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab\r\n\n\xff")));
  test::check_property("the splitter, fed in pieces", [&] {
    const auto bytes = *text;
    LineSplitter splitter{1000};
    std::vector<std::string> all;
    const auto take = [&](std::optional<std::string_view> line) {
      if (!line) return;
      if (line->ends_with('\r')) line->remove_suffix(1);
      all.emplace_back(*line);
    };
    for (std::size_t at = 0; at < bytes.size();) {
      const auto n = std::min<std::size_t>(bytes.size() - at, static_cast<std::size_t>(*rc::gen::inRange(1, 5)));
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), n, splitter.room().begin());
      splitter.filled(n);
      at += n;
      while (splitter.pending()) take(splitter.next());
    }
    take(splitter.rest());
    RC_ASSERT(all == naive_lines(bytes));
  });
  const TemporaryFolder folder;
  test::check_property("files, shared out", [&] {
    const std::vector<std::string> texts{*text, *text};
    const std::vector<std::filesystem::path> files{folder.write("a", texts[0]), folder.write("b", texts[1])};
    const int parts = *rc::gen::inRange(1, 6);
    std::vector<std::string> all, expected;
    for (int part = 0; part < parts; ++part) {
      auto source = lines(files);
      source.split(part, parts);
      while (auto line = source.next()) all.emplace_back(*line);
    }
    for (const auto& one : texts) {
      for (auto& line : naive_lines(one)) expected.push_back(std::move(line));
    }
    RC_ASSERT(all == expected);
  });
}
#endif
