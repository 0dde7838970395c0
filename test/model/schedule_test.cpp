#include <cmath>
#include <numbers>
#include <tensair/error.hpp>
#include <tensair/model/schedule.hpp>

#include "catch.hpp"

using namespace tensair;

namespace {

auto factor_at(const ScheduleFactory& factory, std::uint64_t steps) -> double {
  return factory()->factor({.steps = steps});
}

}  // namespace

TEST_CASE("schedules by step have the factors of their formulas", "[schedule]") {
  CHECK(factor_at(step_decay(10, 0.5), 9) == 1);
  CHECK(factor_at(step_decay(10, 0.5), 10) == 0.5);
  CHECK(factor_at(step_decay(10, 0.5), 35) == 0.125);
  CHECK(factor_at(exponential_decay(0.9), 3) == Approx(0.729));

  CHECK(factor_at(cosine_decay(100, 0.2), 0) == 1);
  CHECK(factor_at(cosine_decay(100, 0.2), 50) == Approx(0.6));
  CHECK(factor_at(cosine_decay(100), 25) == Approx((1 + std::numbers::sqrt2 / 2) / 2));
  CHECK(factor_at(cosine_decay(100, 0.2), 100) == Approx(0.2));
  CHECK(factor_at(cosine_decay(100, 0.2), 1'000) == Approx(0.2));

  CHECK(factor_at(warm_up(4), 0) == 0.25);
  CHECK(factor_at(warm_up(4), 3) == 1);
  CHECK(factor_at(warm_up(4), 4'000) == 1);
  CHECK(factor_at(warm_up(4, step_decay(10, 0.5)), 13) == 1);
  CHECK(factor_at(warm_up(4, step_decay(10, 0.5)), 14) == 0.5);

  const auto cycle = one_cycle({.steps = 100, .rising = 0.25, .start = 0.1, .end = 0.01});
  CHECK(factor_at(cycle, 0) == Approx(0.1));
  CHECK(factor_at(cycle, 25) == Approx(1));
  CHECK(factor_at(cycle, 100) == Approx(0.01));
  CHECK(factor_at(cycle, 10) < factor_at(cycle, 11));
  CHECK(factor_at(cycle, 60) > factor_at(cycle, 61));
}

TEST_CASE("a schedule of one's own sees how far training is", "[schedule]") {
  const auto by_event = schedule([](const TrainingProgress& now) { return now.examples >= 1'000 ? 0.1 : now.loss; })();
  CHECK(by_event->factor({.steps = 3, .examples = 999, .loss = 2}) == 2);
  CHECK(by_event->factor({.steps = 4, .examples = 1'000, .loss = 2}) == 0.1);
}

TEST_CASE("the rate falls when the loss has not for longer than its patience, and only then", "[schedule]") {
  const auto falls = plateau({.window = 2, .patience = 1, .gamma = 0.5, .floor = 0.2})();
  const auto window = [&](double loss) {
    falls->factor({.loss = loss - 0.5});
    return falls->factor({.loss = loss + 0.5});  // the mean counts
  };
  CHECK(window(4) == 1);
  CHECK(window(3) == 1);
  CHECK(window(3) == 1);      // one window without a better one
  CHECK(window(3.1) == 0.5);  // two
  CHECK(window(2) == 0.5);
  CHECK(window(2.5) == 0.5);
  const auto resumed = plateau({.window = 2, .patience = 1, .gamma = 0.5, .floor = 0.2})();
  resumed->restore(falls->state());
  CHECK(window(2.5) == 0.25);
  CHECK(resumed->factor({.loss = 2.5}) == 0.5);
  CHECK(resumed->factor({.loss = 2.5}) == 0.25);  // it had not forgotten the window before
  CHECK(window(2.5) == 0.25);
  CHECK(window(2.5) == 0.2);  // its floor
}

TEST_CASE("schedules refuse what cannot be", "[schedule][error]") {
  CHECK_THROWS_AS(step_decay(0), UsageError);
  CHECK_THROWS_AS(exponential_decay(0), UsageError);
  CHECK_THROWS_AS(cosine_decay(10, 2), UsageError);
  CHECK_THROWS_AS(warm_up(0), UsageError);
  CHECK_THROWS_AS(one_cycle({.steps = 10, .rising = 1}), UsageError);
  CHECK_THROWS_AS(plateau({.window = 0}), UsageError);
  const std::vector<double> another{1, 2};
  CHECK_THROWS_AS(cosine_decay(10)()->restore(another), Error);
  CHECK_THROWS_AS(plateau()()->restore(another), Error);
}
