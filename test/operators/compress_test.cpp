#include <algorithm>
#include <map>
#include <string>
#include <tensair/error.hpp>
#include <tensair/pipeline.hpp>
#include <tensair/testing/cluster.hpp>
#include <vector>

#include "catch.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace tensair::test;

namespace {

// Lines of a log, shared out: much the same, each with a number of its own.
class Lines {
 public:
  using value_type = std::string;
  explicit Lines(int n) : n_(n) {}
  void split(int part, int parts) {
    next_ = part;
    step_ = parts;
  }
  auto next() -> std::optional<std::string> {
    if (next_ >= n_) return std::nullopt;
    return line(std::exchange(next_, next_ + step_));
  }
  static auto line(int n) -> std::string {
    return "the server at the other end answers with an error, and is asked again: " + std::to_string(n);
  }

 private:
  int n_, next_ = 0, step_ = 1;
};

auto all_lines(int n) -> std::vector<std::string> {
  std::vector<std::string> all;
  for (int i = 0; i < n; ++i) all.push_back(Lines::line(i));
  std::sort(all.begin(), all.end());
  return all;
}

auto methods() -> std::vector<enum compression> {
  std::vector<enum compression> all{compression::none};
  for (const auto method : {compression::lz4, compression::zstd}) {
    if (is_available(method)) all.push_back(method);
  }
  return all;
}

// Bytes that two simulated nodes send each other.
auto bytes_sent(const std::function<void(Pipeline&)>& build) -> std::uint64_t {
  testing::Cluster cluster{{.nodes = 2}};
  cluster.run(build);
  return cluster.bytes_sent();
}

}  // namespace

TEST_CASE("records that were compressed on their way are what they were, on any topology", "[compression]") {
  constexpr int n = 3'000;
  for (const auto& topology : topologies()) {
    for (const auto method : methods()) {
      INFO(topology.name() << ", " << to_string(method));
      std::vector<std::string> got;
      run(topology, [&](Pipeline& pipeline) {
        pipeline.source(Lines{n}).compress(method).rebalance().sink(
            [&](const std::string& line) { got.push_back(line); });
      });
      std::sort(got.begin(), got.end());
      CHECK(got == all_lines(n));
    }
  }
}

TEST_CASE("records with keys and event time, compressed, meet as they would", "[compression]") {
  for (const auto& topology : topologies()) {
    for (const auto method : methods()) {
      INFO(topology.name() << ", " << to_string(method));
      std::map<std::size_t, std::uint64_t> counts;
      run(topology, [&](Pipeline& pipeline) {
        pipeline.source(Lines{2'000})
            .compress(method)
            .assign_timestamps([](const std::string&) { return EventTime{}; }, monotonous())
            .key_by([](const std::string& line) { return line.size(); })
            .window(tumbling(std::chrono::seconds{1}))
            .count()
            .sink([&](const auto& one) { counts[one.key] += one.value; });
      });
      std::map<std::size_t, std::uint64_t> expected;
      for (int i = 0; i < 2'000; ++i) ++expected[Lines::line(i).size()];
      CHECK(counts == expected);
    }
  }
}

TEST_CASE("compressed records are fewer bytes between nodes, from there on and until a stream says none",
          "[compression]") {
  const auto lines = [](auto say) {
    return [say](Pipeline& pipeline) { say(pipeline.source(Lines{3'000})).sink([](const std::string&) {}); };
  };
  const auto as_it_is = bytes_sent(lines([](auto stream) { return std::move(stream).rebalance(); }));
  for (const auto method : methods()) {
    if (method == compression::none) continue;
    INFO(to_string(method));
    const auto both = bytes_sent(lines([=](auto stream) { return std::move(stream).compress(method).rebalance(); }));
    const auto first = bytes_sent(
        lines([=](auto stream) { return std::move(stream).compress(method).rebalance().compress(compression::none); }));
    CHECK(both < as_it_is / 3);
    CHECK(first > both * 3 / 2);
    CHECK(first < as_it_is * 9 / 10);
  }
}

TEST_CASE("the options say how records are compressed where no stream does", "[compression]") {
  for (const auto method : methods()) {
    if (method == compression::none) continue;
    INFO(to_string(method));
    Options options;
    options.compression = method;
    Pipeline pipeline{options};
    pipeline.source(Lines{3}).rebalance().sink([](const std::string&) {});
    CHECK_THAT(explained(pipeline, 2), Catch::Matchers::ContainsSubstring("rebalance, " + to_string(method) + " from"));
  }
}

TEST_CASE("two uses of a stream are compressed as each says", "[compression]") {
  if (!is_available(compression::lz4)) return;
  Pipeline pipeline;
  auto lines = pipeline.source(Lines{3});
  lines.compress(compression::lz4).rebalance().name("a").sink([](const std::string&) {});
  lines.rebalance().name("b").sink([](const std::string&) {});
  const auto plan = explained(pipeline, 2);
  CHECK_THAT(plan, Catch::Matchers::ContainsSubstring("rebalance «a»                rebalance, lz4 from source"));
  CHECK_THAT(plan, Catch::Matchers::ContainsSubstring("rebalance «b»                rebalance from source"));
}
