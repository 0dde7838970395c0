#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <tensair/io/csv.hpp>
#include <tensair/pipeline.hpp>

#include "catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;
using tensair::test::TemporaryFolder;

namespace weather {

enum class Sky { clear, cloudy };

auto from_text(std::string_view text, Sky& sky) -> bool {
  sky = text == "cloudy" ? Sky::cloudy : Sky::clear;
  return text == "cloudy" || text == "clear";
}
void to_text(const Sky& sky, std::string& text) {
  text += sky == Sky::clear ? "clear" : "cloudy";
}

struct Reading {
  std::string sensor;
  double celsius = 0;
  int count = 0;
  std::optional<float> wind;
  bool valid = false;
  Sky sky = Sky::clear;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& sensor& celsius& count& wind& valid& sky;
  }
  friend auto operator==(const Reading&, const Reading&) -> bool = default;
};

}  // namespace weather

namespace {

using weather::Reading;
using weather::Sky;

const std::vector<CsvColumn<Reading>> columns{{"sensor", &Reading::sensor}, {"celsius", &Reading::celsius},
                                              {"count", &Reading::count},   {"wind", &Reading::wind},
                                              {"valid", &Reading::valid},   {"sky", &Reading::sky}};
static_assert(RestorableSource<Csv<Reading>>);

struct Pair {
  std::string a;
  int b = 0;
  friend auto operator==(const Pair&, const Pair&) -> bool = default;
};
const std::vector<CsvColumn<Pair>> pair_columns{{"a", &Pair::a}, {"b", &Pair::b}};

template <class S>
auto read_directly(S source) {
  std::vector<typename S::value_type> all;
  while (auto record = source.next()) all.push_back(*record);
  return all;
}

/// The error that reading this text as Pairs ends with.
auto error_of(const std::string& text, CsvOptions options = {}) -> std::string {
  const TemporaryFolder folder;
  const auto file = folder.write("pairs.csv", text);
  try {
    read_directly(csv<Pair>(file, pair_columns, options));
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

auto pairs_of(const std::string& text, CsvOptions options = {}) {
  const TemporaryFolder folder;
  return read_directly(csv<Pair>(folder.write("pairs.csv", text), pair_columns, options));
}

}  // namespace

TEST_CASE("CSV columns are bound to members by the names in the header", "[csv]") {
  const TemporaryFolder folder;
  const auto file = folder.write("readings.csv",
                                 "\xef\xbb\xbfunused,sky,sensor,count,celsius,valid,wind\r\n"
                                 "x,cloudy,north,7,-1.5e1, true ,\r\n"
                                 "\n"
                                 ",clear,\"the \"\"south\"\", \r\n\nwing\", +8 ,0.25,0,2.5");
  const std::vector<Reading> expected{{"north", -15, 7, std::nullopt, true, Sky::cloudy},
                                      {"the \"south\", \r\n\nwing", 0.25, 8, 2.5F, false, Sky::clear}};
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    Collected<Reading> collected;
    test::run(topology, [&](Pipeline& pipeline) {
      auto here = pipeline.source(csv<Reading>(file, columns)).collect();
      if (pipeline.options().rank == 0) collected = here;
    });
    CHECK(collected.records() == expected);
  }
}

TEST_CASE("CSV files are shared out among the nodes", "[csv]") {
  const TemporaryFolder folder;
  std::vector<std::filesystem::path> files;
  for (int file = 0; file < 7; ++file) {
    std::string text = "a,b\n";
    for (int row = 0; row < 10; ++row) text += "x," + std::to_string(file * 10 + row) + "\n";
    files.push_back(folder.write(std::to_string(file), text));
  }
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    std::vector<int> numbers;
    test::run(topology, [&](Pipeline& pipeline) {
      pipeline.source(csv<Pair>(files, pair_columns)).map([](const Pair& pair) { return pair.b; }).sink([&](int n) {
        numbers.push_back(n);
      });
    });
    std::sort(numbers.begin(), numbers.end());
    REQUIRE(numbers.size() == 70);
    for (int n = 0; n < 70; ++n) CHECK(numbers[static_cast<std::size_t>(n)] == n);
  }
}

TEST_CASE("CSV without a header binds columns in order and with another delimiter", "[csv]") {
  CHECK(pairs_of("x;1\n\"y;z\";2\n", {.delimiter = ';', .header = false}) == std::vector<Pair>{{"x", 1}, {"y;z", 2}});
  CHECK(pairs_of("b\ta\n1\tx,y\n", {.delimiter = '\t'}) == std::vector<Pair>{{"x,y", 1}});
}

TEST_CASE("CSV that is unusual and right is read", "[csv]") {
  CHECK(pairs_of("").empty());
  CHECK(pairs_of("a,b").empty());
  CHECK(pairs_of("a,b\n\n\r\n\"\",3\n") == std::vector<Pair>{{"", 3}});
  CHECK(pairs_of("\"b\",\"a\"\n\"4\",6\" pipe") == std::vector<Pair>{{"6\" pipe", 4}});
  CHECK(pairs_of("a,b\n\xff\xc3,5") == std::vector<Pair>{{"\xff\xc3", 5}});  // no UTF-8: untouched
  CHECK(pairs_of("b,a\n1,\"x\"\r\n2,\"\r\n\"\r\n") == std::vector<Pair>{{"x", 1}, {"\r\n", 2}});
}

TEST_CASE("CSV that is wrong is an error with file and line and column", "[csv][error]") {
  CHECK_THAT(error_of("a,b\nx,1\ny\n"), ContainsSubstring("a row has 1 field, not 2") &&
                                            ContainsSubstring("pairs.csv, line 3, column 2") &&
                                            ContainsSubstring("Complete the row"));
  CHECK_THAT(error_of("a,b\nx,1,2\n"), ContainsSubstring("a row has 3 fields, not 2") && ContainsSubstring("column 3"));
  CHECK_THAT(error_of("a,b\n\"x\ny\",1\nz,12q\n"),
             ContainsSubstring("«12q» is no int") && ContainsSubstring("pairs.csv, line 4, column 2 («b»)"));
  for (const auto* number : {"", "1.5", "99999999999999999999", "--1", "+-1", "0x10", "1 2"})
    CHECK_THAT(error_of(std::string("a,b\nx,") + number), ContainsSubstring("is no int"));
  CHECK_THAT(error_of("a,b\nx,1\ny,\"2\nz,3\n"),
             ContainsSubstring("a quote is not closed") && ContainsSubstring("pairs.csv, line 3, column 2"));
  CHECK_THAT(error_of("a,b\n\"x\"y,1"),
             ContainsSubstring("text behind a closing quote") && ContainsSubstring("line 2, column 1"));
  CHECK_THAT(error_of("a,c\n"), ContainsSubstring("a column «b» is missing: the header has a, c") &&
                                    ContainsSubstring("pairs.csv, line 1"));
  CHECK_THAT(error_of("a,b,b\n"), ContainsSubstring("two columns are called «b»"));
  CHECK_THAT(error_of("a,b\n" + std::string(101, 'x') + ",1\n", {.max_row = 100}),
             ContainsSubstring("a line is longer than 100 bytes") && ContainsSubstring("line 2"));
  CHECK_THAT(error_of("a,b\n\"" + std::string(200, '\n') + "\",1\n", {.max_row = 100}),
             ContainsSubstring("a quote is not closed"));
  CHECK_THROWS_AS(csv<Pair>("x", {}), UsageError);
  CHECK_THROWS_AS(csv<Pair>("x", pair_columns, {.delimiter = '"'}), UsageError);
}

TEST_CASE("a row of CSV over the cap is a bad row, in quotes or not, in one line or many", "[csv][error]") {
  CHECK(CsvOptions{}.max_row == 16 << 20);
  for (const CsvOptions& options : {CsvOptions{}, CsvOptions{.max_row = 40}}) {
    const auto longest = std::string(options.max_row - 2, 'x');  // with ",1"
    const auto in_quotes = longest.substr(2), half = longest.substr(0, options.max_row / 2 - 3);
    const TemporaryFolder folder;
    auto source =
        csv<Pair>(folder.write("pairs.csv", "a,b\n" + longest + ",1\nx" + longest + ",2\ny,3\n\"" + in_quotes +
                                                "\",4\n\"x" + in_quotes + "\",5\nz,6\n\"" + half + "\n" + half +
                                                "x\",7\n\"" + half + "\n" + half + "xx\",8\nw,9\n"),
                  pair_columns, options);
    const auto over = "longer than " + std::to_string(options.max_row) + " bytes";
    CHECK((source.next() == Pair{longest, 1}));
    CHECK_THROWS_WITH(source.next(), ContainsSubstring(over) && ContainsSubstring("pairs.csv, line 3"));
    CHECK(source.next() == Pair{"y", 3});
    CHECK((source.next() == Pair{in_quotes, 4}));
    CHECK_THROWS_WITH(source.next(), ContainsSubstring(over) && ContainsSubstring("pairs.csv, line 6"));
    CHECK(source.next() == Pair{"z", 6});
    CHECK((source.next() == Pair{half + "\n" + half + "x", 7}));
    CHECK_THROWS_WITH(source.next(), ContainsSubstring(over) && ContainsSubstring("pairs.csv, line 10"));
    CHECK(source.next() == Pair{"w", 9});
    CHECK(!source.next());
  }
}

TEST_CASE("CSV goes on behind a bad row", "[csv][error]") {
  const TemporaryFolder folder;
  auto source = csv<Pair>(folder.write("pairs.csv", "a,b\nx\n\"y\"!,2\nz,q\nw,4\n"), pair_columns);
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(source.next(), BadRecord);
  CHECK(source.next() == Pair{"w", 4});
  CHECK(source.next() == std::nullopt);
}

TEST_CASE("CSV goes on where an offset says and still knows its columns", "[csv]") {
  const TemporaryFolder folder;
  const std::vector<std::filesystem::path> files{folder.write("one", "a,b\nx,1\n\"y\nz\",2\n"),
                                                 folder.write("two", "b,a\n3,v\n4,w")};
  auto source = csv<Pair>(files, pair_columns);
  std::vector<FileOffset> offsets{source.offset()};
  while (source.next()) offsets.push_back(source.offset());
  REQUIRE(offsets.size() == 5);
  const std::vector<Pair> all{{"x", 1}, {"y\nz", 2}, {"v", 3}, {"w", 4}};
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    auto restored = csv<Pair>(files, pair_columns);
    restored.seek(offsets[i]);
    CHECK(read_directly(std::move(restored)) == std::vector(all.begin() + static_cast<std::ptrdiff_t>(i), all.end()));
  }
}

#ifdef TENSAIR_HAS_RAPIDCHECK
TEST_CASE("any bytes are rows of CSV or errors that name the file and reading them ends", "[csv]") {
  const TemporaryFolder folder;
  test::check_property("bytes", [&] {
    const auto bytes = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("a1,\"\r\n\xff\0", 9)));
    auto source = csv<Pair>(folder.write("bytes.csv", "a,b\n" + bytes), pair_columns, {.max_row = 40});
    std::size_t rows = 0, errors = 0;
    for (bool ended = false; !ended;) {
      try {
        ended = !source.next();
        if (!ended) ++rows;
      } catch (const BadRecord& bad) {
        ++errors;
        RC_ASSERT(bad.place().find("bytes.csv, line ") != std::string::npos);
      }
      // Each row or error takes a line's end at least.
      RC_ASSERT(rows + errors <= static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '\n')) + 1);
    }
  });
}
#endif
