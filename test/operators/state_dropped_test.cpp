#include <cstdint>
#include <functional>
#include <span>
#include <vector>

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
  friend auto operator==(const Live& one, const Live& other) -> bool { return one.n == other.n; }
};

}  // namespace

template <>
struct std::hash<Live> {
  auto operator()(const Live& one) const noexcept -> std::size_t { return std::hash<int>{}(one.n); }
};

namespace {

constexpr int records = 2'000, keys = 3;

/// A number each millisecond, which is its time in milliseconds too.
auto timed(Pipeline& pipeline) {
  std::vector<std::pair<std::chrono::milliseconds, int>> all;
  for (int n = 0; n < records; ++n) all.emplace_back(n, n);
  return pipeline.source(OnSchedule{std::move(all)})
      .map([](int n) { return Live(n); })
      .assign_timestamps([](const Live& one) { return EventTime{one.n * 1ms}; });
}
/// The same with a key of three.
auto keyed(Pipeline& pipeline) {
  return timed(pipeline).key_by([](const Live& one) { return one.n % keys; });
}
/// The same with a key for 20 numbers each, which does not come again.
auto in_turn(Pipeline& pipeline) {
  return timed(pipeline).key_by([](const Live& one) { return Live(one.n / 20); });
}

/// Emits how many records of a key there are, as often, 30 ms after the first, and forgets them.
struct Gather {
  using State = std::vector<Live>;
  using Output = int;
  using Context = ProcessContext<Live, int>;

  void operator()(const Live& one, State& all, Context& context) const {
    if (all.empty()) context.at(context.time() + 30ms);
    all.push_back(one);
  }
  void on_event_time(EventTime, State& all, Context& context) const {
    for (std::size_t i = 0; i < all.size(); ++i) context.emit(static_cast<int>(all.size()));
    context.forget();
  }
};

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

TEST_CASE("sessions keep no record that the watermark has passed", "[operators][join][window]") {
  constexpr int some = 200;  // those of two keys, and what is under way, with the keys that count too
  for (const int nodes : {1, 2}) {
    INFO(nodes << " nodes");
    CHECK(most_living(nodes, [](Pipeline& pipeline) {
            return in_turn(pipeline)
                .window(session(5ms))
                .process<int>([](const Live&, const Window&, std::span<const Live> all, auto emit) {
                  for (const auto& one : all) emit(one.n);
                });
          }) < some);
    CHECK(
        most_living(nodes, [](Pipeline& pipeline) {
          return in_turn(pipeline).join(in_turn(pipeline)).window(session(5ms)).with([](const Live& a, const Live& b) {
            return a.n + b.n;
          });
        }) < some);
  }
}

TEST_CASE("windows of numbers of records keep no record that none of them will have", "[operators][window]") {
  constexpr int some = 120;  // ten of each key, and what is under way
  const auto size = [](const auto&, std::span<const Live> all, auto emit) { emit(static_cast<int>(all.size())); };
  for (const int nodes : {1, 2}) {
    INFO(nodes << " nodes");
    CHECK(most_living(nodes, [&](Pipeline& pipeline) {
            return keyed(pipeline).window(tumbling_count(10)).process<int>(size);
          }) < some);
    CHECK(most_living(nodes, [&](Pipeline& pipeline) {
            return keyed(pipeline).window(sliding_count(10, 5)).process<int>(size);
          }) < some);
    CHECK(most_living(nodes, [&](Pipeline& pipeline) {
            return timed(pipeline).window(processing_time(sliding_count(10, 5))).process<int>(size);
          }) < some);
  }
}

TEST_CASE("when a timer has come and its key is forgotten nothing of either is kept", "[operators][keyed]") {
  constexpr int some = 200;  // records of three keys, their keys and timers, and what is under way
  for (const int nodes : {1, 2}) {
    INFO(nodes << " nodes");
    CHECK(most_living(nodes, [](Pipeline& pipeline) { return in_turn(pipeline).process(Gather{}); }) < some);
  }
}
