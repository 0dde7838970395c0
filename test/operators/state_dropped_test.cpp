#include <cstdint>
#include <span>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "support/events.hpp"
#include "support/on_schedule.hpp"

// State goes when the watermark has passed: how many records live is counted by themselves.

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

/// Of the simulation's one thread.
int living = 0;

/// A record that counts itself and its copies.
struct Live {
  int n = 0;

  explicit Live(int number = 0) : n(number) { ++living; }
  Live(const Live& other) : n(other.n) { ++living; }
  auto operator=(const Live&) -> Live& = default;
  ~Live() { --living; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& n;
  }
};

constexpr int records = 2'000, keys = 3;

/// A number each millisecond, which is its time in milliseconds too, with a key of three.
auto keyed(Pipeline& pipeline) {
  std::vector<std::pair<std::chrono::milliseconds, int>> all;
  for (int n = 0; n < records; ++n) all.emplace_back(n, n);
  return pipeline.source(OnSchedule{std::move(all)})
      .map([](int n) { return Live(n); })
      .assign_timestamps([](const Live& one) { return EventTime{one.n * 1ms}; })
      .key_by([](const Live& one) { return one.n % keys; });
}

/// The most records that have lived when something was emitted, of what `compose(pipeline)` makes, an int each.
template <class Compose>
auto most_living(int nodes, Compose compose) -> int {
  int most = 0, emitted = 0;
  run({nodes, 1, false}, [&](Pipeline& pipeline) {
    compose(pipeline).sink([&](int) {
      most = std::max(most, living);
      ++emitted;
    });
  });
  CHECK(emitted >= records / 10);
  CHECK(living == 0);
  return most;
}

}  // namespace

TEST_CASE("windows, joins and look-ups keep no record that the watermark has passed", "[operators][join][window]") {
  // Of each side, those of the window of 10 ms that is open and of the next, and what is under way. Of 4,000 in all.
  constexpr int some = 120;
  const auto sum = [](const Live& a, const Live& b) { return a.n + b.n; };
  for (const int nodes : {1, 2}) {
    INFO(nodes << " nodes");
    CHECK(most_living(nodes, [](Pipeline& pipeline) {
            return keyed(pipeline)
                .window(tumbling(10ms))
                .process<int>([](int, const Window&, std::span<const Live> all, auto emit) {
                  emit(static_cast<int>(all.size()));
                });
          }) < some);
    CHECK(most_living(nodes, [](Pipeline& pipeline) {
            return keyed(pipeline)
                .window(sliding(10ms, 5ms))
                .process<int>([](int, const Window&, std::span<const Live> all, auto emit) {
                  emit(static_cast<int>(all.size()));
                });
          }) < some);
    CHECK(most_living(nodes, [&](Pipeline& pipeline) {
            return keyed(pipeline).join(keyed(pipeline)).window(tumbling(10ms)).with(sum);
          }) < some);
    CHECK(most_living(nodes, [](Pipeline& pipeline) {
            return keyed(pipeline)
                .join(keyed(pipeline))
                .window(sliding(10ms, 5ms))
                .full_outer()
                .with([](const Live* one, const Live* other) {
                  return one == nullptr || other == nullptr ? -1 : one->n;
                });
          }) < some);
    CHECK(most_living(nodes, [](Pipeline& pipeline) {
            return keyed(pipeline)
                .join(keyed(pipeline))
                .window(tumbling(10ms))
                .co_group<int>([](int, const Window&, auto some_of, auto others, auto emit) {
                  emit(static_cast<int>(some_of.size() + others.size()));
                });
          }) < some);
    CHECK(most_living(nodes, [&](Pipeline& pipeline) {
            return keyed(pipeline).join(keyed(pipeline)).between(-5ms, 5ms).with(sum);
          }) < some);
    CHECK(most_living(nodes, [](Pipeline& pipeline) {
            return keyed(pipeline).lookup(keyed(pipeline), as_of_event_time,
                                          [](const Live& one, const Live* row) { return row == nullptr ? -1 : one.n; });
          }) < some);
  }
}
