#include <algorithm>
#include <deque>
#include <random>
#include <tensair/model/pace.hpp>

#include "catch.hpp"

using namespace tensair;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

/// Replicas that step and tell each other, each on a core of its own, in virtual time.
struct World {
  struct Replica {
    Pace pace;
    Duration step;      // of its steps, but for the jitter
    Duration start;     // of its first step
    double jitter = 0;  // share of a step
  };

  struct Outcome {
    double missed_a_step;              // news that arrived in the midst of a step: too late for it, early for the next
    std::vector<std::uint64_t> steps;  // of each replica
  };

  Duration latency{};
  std::vector<Replica> replicas{};

  void add(double patience, int of, Duration step, Duration start, double jitter = 0) {
    replicas.push_back({Pace{of, static_cast<int>(replicas.size()), patience}, step, start, jitter});
  }

  /// Counts over the second half. In the midst is more than a tenth of a step away from its beginning and its end.
  auto run(Duration length, unsigned seed = 1) -> Outcome {
    struct State {
      std::vector<Arrival> arrivals;
      Time began{}, wake{};
      bool computing = false;
      std::uint64_t steps = 0;
    };
    std::mt19937 random{seed};
    std::uniform_real_distribution<double> noise{-1, 1};
    std::vector<State> states(replicas.size());
    struct News {
      Time at;
      std::size_t to, from;
      std::uint64_t round;
    };
    std::vector<News> news;
    const Time end = Time{} + length;
    for (std::size_t i = 0; i < replicas.size(); ++i) {
      states[i].arrivals.resize(replicas.size());
      states[i].wake = Time{} + replicas[i].start;
    }
    std::uint64_t missed = 0, counted = 0;
    for (;;) {
      Time now = Time::max();
      for (const auto& one : news) now = std::min(now, one.at);
      for (const auto& state : states) now = std::min(now, state.wake);
      if (now >= end) break;
      for (auto one = news.begin(); one != news.end();) {
        if (one->at > now) {
          ++one;
          continue;
        }
        auto& to = states[one->to];
        to.arrivals[one->from] = {now, to.arrivals[one->from].steps + 1, one->round};
        if (to.computing && now - to.began > replicas[one->to].step / 10 &&
            to.wake - now > replicas[one->to].step / 10 && now > Time{} + length / 2) {
          ++missed;
        }
        if (!to.computing) to.wake = std::min(to.wake, now);
        one = news.erase(one);
      }
      for (std::size_t i = 0; i < states.size(); ++i) {
        auto& state = states[i];
        if (state.wake > now) continue;
        auto& replica = replicas[i];
        if (state.computing) {
          state.computing = false;
          ++state.steps;
          const auto round = replica.pace.round();
          state.arrivals[i] = {now, state.steps, round};
          if (now > Time{} + length / 2) ++counted;
          replica.pace.stepped(state.began, now);
          for (std::size_t to = 0; to < states.size(); ++to) {
            if (to != i) news.push_back({now + latency, to, i, round});
          }
        }
        const Time until = replica.pace.wait_until(now, state.arrivals);
        if (until > now) {
          state.wake = until;
        } else {
          state.computing = true;
          state.began = now;
          const auto length_of_step = static_cast<double>(replica.step.count()) * (1 + replica.jitter * noise(random));
          state.wake = now + Duration{static_cast<Duration::rep>(length_of_step)};
        }
      }
    }
    Outcome outcome{static_cast<double>(missed) / static_cast<double>(std::max<std::uint64_t>(counted, 1)), {}};
    for (const auto& state : states) outcome.steps.push_back(state.steps);
    return outcome;
  }
};

constexpr auto step = milliseconds{20};

}  // namespace

TEST_CASE("without patience replicas of one speed miss a step of every other", "[pace]") {
  for (const int n : {2, 4}) {
    World world{microseconds{100}};
    for (int i = 0; i < n; ++i) world.add(0, n, step, i * step / n);
    const auto outcome = world.run(milliseconds{20'000});
    CHECK(outcome.missed_a_step == Approx(n - 1).margin(0.01));
    for (const auto steps : outcome.steps) CHECK(steps >= 998);
  }
}

TEST_CASE("with patience they come into phase from any beginning and lose next to nothing", "[pace]") {
  std::mt19937 random{7};
  for (const int n : {2, 3, 5, 8}) {
    for (int round = 0; round < 20; ++round) {
      World world{microseconds{100}};
      for (int i = 0; i < n; ++i) world.add(0.25, n, step, microseconds{random() % 20'000});
      const auto outcome = world.run(milliseconds{20'000});
      INFO(n << " replicas, round " << round);
      CHECK(outcome.missed_a_step < 0.05 * (n - 1));
      for (const auto steps : outcome.steps) CHECK(steps > 980);  // of 1,000
    }
  }
}

TEST_CASE("with steps that vary they stay near each other", "[pace]") {
  for (const unsigned seed : {1U, 2U, 3U}) {
    World world{microseconds{100}};
    for (int i = 0; i < 4; ++i) world.add(0.25, 4, step, i * step / 4, 0.05);
    const auto outcome = world.run(milliseconds{20'000}, seed);
    CHECK(outcome.missed_a_step < 0.6);                         // of 3
    for (const auto steps : outcome.steps) CHECK(steps > 940);  // the slowest of four, each time
  }
}

TEST_CASE("a replica that is a little slower than patience allows is left behind, the others stay together", "[pace]") {
  World world{microseconds{100}};
  for (int i = 0; i < 4; ++i) world.add(0.25, 4, i == 2 ? step * 7 / 5 : Duration{step}, i * step / 4);
  const auto outcome = world.run(milliseconds{60'000});
  for (const int i : {0, 1, 3}) CHECK(outcome.steps[static_cast<std::size_t>(i)] > 2'910);  // of 3,000
  CHECK(outcome.steps[2] > 2'100);                                                          // of 2,142
  CHECK(outcome.missed_a_step < 1.3);  // what comes from the slow one and to it; 3 if all missed all
}

TEST_CASE("replicas that share cores come into phase too", "[pace]") {
  // Steps of four replicas on two cores are long or short as the kernel lets them run.
  for (const unsigned seed : {1U, 2U, 3U}) {
    World world{microseconds{100}};
    for (int i = 0; i < 4; ++i) world.add(0.25, 4, step, i * step / 4, 0.25);
    const auto outcome = world.run(milliseconds{20'000}, seed);
    CHECK(outcome.missed_a_step < 1.2);                         // of 3: within a tenth of a step around the middle
    for (const auto steps : outcome.steps) CHECK(steps > 830);  // the slowest of four takes 1.15 on average
  }
}

TEST_CASE("a replica that is slower or faster by far costs the others nothing", "[pace]") {
  World world{microseconds{100}};
  world.add(0.25, 3, step, Duration{});
  world.add(0.25, 3, 4 * step, step / 3);
  world.add(0.25, 3, step / 3, step / 2);
  const auto outcome = world.run(milliseconds{20'000});
  CHECK(outcome.steps[0] > 995);
  CHECK(outcome.steps[1] > 248);
  CHECK(outcome.steps[2] > 2'990);
}

TEST_CASE("waiting costs next to nothing when news are long under way", "[pace]") {
  for (const auto latency : {step / 2, 10 * step, 10 * step + step / 3}) {
    World world{latency};
    for (int i = 0; i < 4; ++i) world.add(0.25, 4, step, i * step / 4);
    for (const auto steps : world.run(milliseconds{60'000}).steps) CHECK(steps > 2'900);  // of 3,000
  }
}

TEST_CASE("of many replicas each waits for less", "[pace]") {
  // News are a fifth of a step under way: four replicas wait for them, 64 do not.
  const auto least_of = [](int n) {
    World world{step / 5};
    for (int i = 0; i < n; ++i) world.add(0.25, n, step, i * step / n, 0.05);
    const auto steps = world.run(milliseconds{8'000}).steps;
    return *std::min_element(steps.begin(), steps.end());
  };
  CHECK(least_of(4) < 340);  // of 400
  CHECK(least_of(64) > 350);
}

TEST_CASE("waiting in vain is given up", "[pace]") {
  // Its steps vary so much that nobody can be in phase with it.
  World world{microseconds{100}};
  world.add(0.1, 2, step, Duration{});
  world.add(0.1, 2, step, step / 2, 0.9);
  const auto outcome = world.run(milliseconds{60'000});
  CHECK(outcome.steps[0] > 2'880);  // of 3,000
}

TEST_CASE("a replica that has ended or died is waited for once", "[pace]") {
  Pace pace{2, 0, 0.25};
  std::vector<Arrival> arrivals(2);
  Time now{};
  const auto both_step = [&] {
    pace.stepped(now, now + step);
    now += step;
    for (auto& arrival : arrivals) arrival = {now, arrival.steps + 1, pace.round()};
  };
  for (int k = 0; k < 10; ++k) {
    both_step();
    CHECK(pace.wait_until(now, arrivals) <= now);  // it has just arrived
  }
  both_step();
  const auto alone = [&] {
    pace.stepped(now, now + step);
    now += step;
    arrivals[0] = {now, arrivals[0].steps + 1, pace.round()};
  };
  CHECK(pace.wait_until(now, arrivals) <= now);
  alone();
  CHECK(pace.wait_until(now, arrivals) > now);  // due now
  now += step;
  CHECK(pace.wait_until(now, arrivals) <= now);
  for (int k = 0; k < 10; ++k) {
    alone();
    CHECK(pace.wait_until(now, arrivals) <= now);
  }
}
