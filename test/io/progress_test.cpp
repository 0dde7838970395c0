#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <regex>
#include <string>
#include <tensair/io/at_rate.hpp>
#include <tensair/io/progress.hpp>
#include <tensair/pipeline.hpp>
#include <tensair/testing/cluster.hpp>
#include <vector>

#include "catch.hpp"
#include "support/redirected.hpp"

using namespace tensair;
using namespace std::chrono_literals;

namespace {

/// What this process writes to its standard error while it does `work`, in lines.
template <class Work>
auto errors_of(Work work) -> std::vector<std::string> {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  {
    const test::Redirected to_file(STDERR_FILENO, fileno(file));
    work();
  }
  std::rewind(file);
  std::vector<std::string> lines(1);
  for (int c = 0; (c = std::fgetc(file)) != EOF;) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += static_cast<char>(c);
    }
  }
  std::fclose(file);
  CHECK(lines.back().empty());
  lines.pop_back();
  return lines;
}

/// Shows ten steps a second, of 32 examples each, under virtual time.
auto shown(std::uint64_t steps, ProgressOptions options, int nodes = 1) -> std::vector<std::string> {
  return errors_of([&] {
    testing::Cluster cluster{{.nodes = nodes}};
    cluster.run([&](Pipeline& pipeline) {
      pipeline
          .source(at_rate(10,
                          [steps](std::uint64_t i, Time) -> std::optional<TrainStep> {
                            if (i == steps) return std::nullopt;
                            return TrainStep{.step = i + 1, .staleness = 3, .score = {0.25, 32, 24}};
                          }))
          .sink(progress(options));
    });
  });
}

}  // namespace

TEST_CASE("where there is no terminal, progress is a line every 5 s and one at the end", "[progress]") {
  for (const int nodes : {1, 2}) {
    const auto lines = shown(225, {.total = 225 * 32, .unit = "flowers"}, nodes);  // 22.4 s
    REQUIRE(lines.size() == 5);
    const std::regex form{
        R"((\d+)/7200 flowers  32\d/s  loss 0\.250  accuracy 75\.0 %  staleness 3(  0:(\d\d) left)?)"};
    for (std::size_t i = 0; i < lines.size(); ++i) {
      INFO(lines[i]);
      std::smatch parts;
      REQUIRE(std::regex_match(lines[i], parts, form));
      const bool last = i + 1 == lines.size();
      const auto examples = std::stoul(parts[1]);
      // The first step within 5 s of the line before; each may be shown a step later than that.
      const auto due = last ? 225UL * 32 : (50 * (i + 1) + 1) * 32;
      CHECK(examples >= due);
      CHECK(examples <= due + 32 * i);
      CHECK(parts[2].matched != last);
      if (!last) CHECK(std::abs(std::stod(parts[3]) - (22.4 - 5 * (static_cast<double>(i) + 1))) < 1.0);
    }
  }
}

TEST_CASE("progress shows no total that it does not know, and nothing when it is to be quiet", "[progress]") {
  const auto lines = shown(10, {});
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], Catch::Matchers::StartsWith("320 images  "));
  CHECK_THAT(lines[0], !Catch::Matchers::ContainsSubstring("left"));
  CHECK(shown(100, {.quiet = true}).empty());
}

TEST_CASE("loss and accuracy that progress shows are those of the last steps", "[progress]") {
  const auto lines = errors_of([] {
    std::vector<TrainStep> steps(300, {.score = {2.0, 10, 1}});
    steps.resize(900, {.score = {1.0, 10, 9}});
    Pipeline pipeline;
    pipeline.source(steps).sink(progress());
    pipeline.execute();
  });
  REQUIRE(!lines.empty());
  CHECK_THAT(lines.back(), Catch::Matchers::ContainsSubstring("loss 1.000  accuracy 90.0 %"));
}
