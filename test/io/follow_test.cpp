#include <chrono>
#include <functional>
#include <tensair/io/at_rate.hpp>
#include <tensair/io/follow.hpp>
#include <tensair/pipeline.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/temporary_folder.hpp"

using namespace tensair;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using tensair::test::TemporaryFolder;

namespace {

static_assert(RestorableSource<Follow> && PollingSource<Follow>);

/// The lines that a follower sees while these things happen, one each second of virtual time, and when it sees them.
auto lines_while(const std::filesystem::path& file, const std::vector<std::function<void()>>& actions,
                 FollowOptions options = {}) -> std::vector<std::string> {
  options.end_after = 3s;
  testing::Cluster cluster{{.nodes = 2, .seed = 11}};
  std::vector<std::string> seen;
  cluster.run([&](Pipeline& pipeline) {
    pipeline
        .source(at_rate(1,
                        [&](std::uint64_t i, Time) -> std::optional<int> {
                          return i < actions.size() ? std::optional(static_cast<int>(i)) : std::nullopt;
                        }))
        .sink([&](int i) { actions[static_cast<std::size_t>(i)](); });
    pipeline.source(follow(file, options)).sink([&](std::string_view line) {
      seen.push_back(std::to_string(cluster.elapsed() / 1s) + " s: " + std::string(line));
    });
  });
  return seen;
}

}  // namespace

TEST_CASE("a file is followed as it grows and a line is given when it is whole", "[follow]") {
  const TemporaryFolder folder;
  const auto file = folder.write("log", "old\n");
  CHECK(lines_while(file,
                    {[] {}, [&] { folder.append("log", "one\r\ntw"); }, [&] { folder.append("log", "o\nthree"); }}) ==
        std::vector<std::string>{"0 s: old", "1 s: one", "2 s: two", "5 s: three"});  // the end of the stream ends it
}

TEST_CASE("a follower may begin at the end", "[follow]") {
  const TemporaryFolder folder;
  const auto file = folder.write("log", "old\n");
  CHECK(lines_while(file, {[] {}, [&] { folder.append("log", "new\n"); }}, {.from_end = true}) ==
        std::vector<std::string>{"1 s: new"});
}

TEST_CASE("a file that does not exist yet is waited for and then read from its start", "[follow]") {
  const TemporaryFolder folder;
  CHECK(lines_while(folder.path() / "log", {[] {}, [&] { folder.write("log", "first\n"); }}, {.from_end = true}) ==
        std::vector<std::string>{"1 s: first"});
}

TEST_CASE("a rotated file is read to its end and then the new one from its start", "[follow]") {
  const TemporaryFolder folder;
  const auto file = folder.write("log", "a\n");
  CHECK(lines_while(file, {[] {},
                           [&] {
                             folder.append("log", "b\nno end");
                             std::filesystem::rename(file, folder.path() / "log.1");
                           },
                           [&] {
                             folder.append("log.1", ", but more\nlast");
                             folder.write("log", "c\n");
                           }}) ==
        std::vector<std::string>{"0 s: a", "1 s: b", "2 s: no end, but more", "2 s: last", "2 s: c"});
}

TEST_CASE("a file that was truncated is read again from its start", "[follow]") {
  const TemporaryFolder folder;
  const auto file = folder.write("log", "a long first line\n");
  CHECK(lines_while(file, {[] {}, [&] { folder.write("log", "b\n"); }}) ==
        std::vector<std::string>{"0 s: a long first line", "1 s: b"});
}

TEST_CASE("a follower goes on where an offset says if it is the same file", "[follow]") {
  const TemporaryFolder folder;
  const auto file = folder.write("log", "a\nb\nc\n");
  std::vector<FollowOffset> offsets;
  auto read_from = [&](std::optional<FollowOffset> offset) {
    std::vector<std::string> seen;
    testing::Cluster cluster{{.nodes = 1}};
    cluster.run([&](Pipeline& pipeline) {
      // A source that takes notes of the offsets of the one inside.
      class Noting {
       public:
        using value_type = std::string_view;
        Noting(Follow inner, std::vector<FollowOffset>& offsets) : inner_(std::move(inner)), offsets_(&offsets) {}
        void open(runtime::Node& node) { inner_.open(node); }
        auto poll() -> Poll<std::string_view> {
          auto polled = inner_.poll();
          if (polled.has_record()) offsets_->push_back(inner_.offset());
          return polled;
        }

       private:
        Follow inner_;
        std::vector<FollowOffset>* offsets_;
      };
      auto source = follow(file, {.end_after = 1s});
      if (offset) source.seek(*offset);
      pipeline.source(Noting{std::move(source), offsets}).sink([&](std::string_view line) { seen.emplace_back(line); });
    });
    return seen;
  };
  REQUIRE(read_from(std::nullopt) == std::vector<std::string>{"a", "b", "c"});
  const auto first = offsets;
  CHECK(read_from(first[0]) == std::vector<std::string>{"b", "c"});
  CHECK(read_from(first[2]).empty());
  std::filesystem::rename(file, folder.path() / "log.1");
  folder.write("log", "new\n");
  CHECK(read_from(first[0]) == std::vector<std::string>{"new"});
}

TEST_CASE("following a folder or a line over the cap are errors that name the file", "[follow][error]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(lines_while(folder.path(), {}), ContainsSubstring("a file that is followed cannot be read"));
  const auto file = folder.write("log", "ok\n" + std::string(300'000, 'x'));
  CHECK_THROWS_WITH(lines_while(file, {}, {.max_line = 100}),
                    ContainsSubstring("a line is longer than 100 bytes") && ContainsSubstring("log, line 2"));
  CHECK_THROWS_AS(follow("x", {.interval = 0ms}), UsageError);
}

TEST_CASE("a follower that is told to skip a line over the cap goes on behind it", "[follow][error]") {
  CHECK(FollowOptions{}.max_line == 16 << 20);
  const TemporaryFolder folder;
  for (FollowOptions options : {FollowOptions{}, FollowOptions{.max_line = 1'000}}) {
    const std::string longest(options.max_line, 'x');
    const auto file = folder.write("log", "ok\n" + longest + "y\n" + longest + "\n" + longest + longest);
    options.end_after = 3s;
    std::vector<std::string> all;
    testing::Cluster cluster{{.nodes = 2}};
    cluster.run([&](Pipeline& pipeline) {
      pipeline.source(follow(file, options)).on_error(skip).sink([&](std::string_view line) {
        all.emplace_back(line);
        if (line == longest) folder.append("log", "and more\nafter\n" + longest + "y\nlast\n");
      });
    });
    CHECK((all == std::vector<std::string>{"ok", longest, "after", "last"}));
  }
}
