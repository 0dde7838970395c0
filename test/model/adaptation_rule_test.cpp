#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tensair/drift/ddm.hpp>
#include <tensair/drift/optwin.hpp>
#include <tensair/error.hpp>
#include <tensair/model/adaptation_rule.hpp>

#include "catch.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// A detector that signals where it is told to: 0.5 is a warning, 1 a drift.
auto told() -> drift::AnyDetector {
  return [](double value) {
    return value == 1 ? DriftLevel::drift : value == 0.5 ? DriftLevel::warning : DriftLevel::none;
  };
}

class Sequence {
 public:
  explicit Sequence(const Automatic& wanted, std::size_t lag = 0) : rule_(wanted, lag) {}

  auto loss(double value) -> std::vector<Decision> { return take({.loss = value}); }
  auto take(BatchOutcome outcome) -> std::vector<Decision> {
    outcome.batch = batches_++;
    outcome.counts = true;
    if (outcome.examples == 0) outcome.examples = 1;
    return rule_.take(outcome);
  }
  auto rule() -> AdaptationRule& { return rule_; }

 private:
  AdaptationRule rule_;
  std::uint64_t batches_ = 0;
};

auto text_of(const std::vector<Decision>& all) -> std::string {
  std::string text;
  for (const auto& one : all) {
    if (!text.empty()) text += ", ";
    text += std::string(to_string(one.deed)) + " (" + std::string(to_string(one.why)) + ")";
  }
  return text;
}

}  // namespace

TEST_CASE("a drift leads to what was asked for, from the first batch behind the lag on", "[adaptation]") {
  const auto after = [](OnDrift what) {
    Sequence sequence{{.detector = told(), .rests = false, .on_drift = what}, 3};
    CHECK(sequence.loss(0).empty());
    CHECK(sequence.loss(0).empty());
    const auto decided = sequence.loss(1);
    for (const auto& one : decided) {
      CHECK(one.batch == 2);
      CHECK(one.example == 3);
      CHECK(one.from == 6);  // batches 3, 4 and 5 are the lag
    }
    return text_of(decided);
  };
  CHECK(after(OnDrift::keep) == "drift (detector)");
  CHECK(after(OnDrift::reset_optimizer) == "drift (detector), reset_optimizer (detector)");
  CHECK(after(OnDrift::reset) == "drift (detector), reset_weights (detector)");
  CHECK(after(OnDrift::from_buffer) == "drift (detector), reset_weights (detector), replay (detector)");
  CHECK(after(OnDrift::challenge) == "drift (detector), start_challenger (detector)");
}

TEST_CASE("training ends when the loss falls no further and begins again with a drift", "[adaptation]") {
  Sequence sequence{{.detector = told(), .convergence = {.window = 2, .windows = 2}}};
  for (int i = 0; i < 5; ++i) CHECK(sequence.loss(0.1).empty());
  // The third window is full with the sixth batch.
  CHECK(text_of(sequence.loss(0.1)) == "rest (converged)");
  for (int i = 0; i < 20; ++i) CHECK(sequence.loss(0.1).empty());
  CHECK(text_of(sequence.loss(1)) == "drift (detector), train (detector)");
  for (int i = 0; i < 5; ++i) CHECK(sequence.loss(0.1).empty());
  CHECK(text_of(sequence.loss(0.1)) == "rest (converged)");
}

TEST_CASE("a detector can be told to watch only while training rests", "[adaptation]") {
  Sequence sequence{{.detector = told(), .while_training = false, .convergence = {.window = 1, .windows = 1}}};
  CHECK(sequence.loss(1).empty());
  CHECK(text_of(sequence.loss(1)) == "rest (converged)");
  CHECK(text_of(sequence.loss(1)) == "drift (detector), train (detector)");
}

TEST_CASE("a warning is told once, and fades", "[adaptation]") {
  Sequence sequence{{.detector = told(), .rests = false, .fades_after = 3}};
  CHECK(text_of(sequence.loss(0.5)) == "warn (detector)");
  CHECK(sequence.loss(0.5).empty());
  CHECK(sequence.loss(0).empty());
  CHECK(sequence.loss(0.5).empty());  // the count begins anew
  CHECK(sequence.loss(0).empty());
  CHECK(sequence.loss(0).empty());
  CHECK(text_of(sequence.loss(0)) == "calm (faded)");
  CHECK(text_of(sequence.loss(0.5)) == "warn (detector)");
  CHECK(text_of(sequence.loss(1)) == "drift (detector)");
  for (int i = 0; i < 10; ++i) CHECK(sequence.loss(0).empty());  // there is nothing left to fade
}

TEST_CASE("of errors the detector sees every example, and a decision names the one", "[adaptation]") {
  Sequence sequence{{.detector = told(), .watched = Watched::errors, .rests = false}};
  CHECK(sequence.take({.examples = 4, .errors = {0, 0, 0, 0}}).empty());
  const auto decided = sequence.take({.examples = 4, .errors = {0, 0, 1, 0}});
  REQUIRE(decided.size() == 1);
  CHECK(decided[0].example == 7);
  CHECK(decided[0].batch == 1);
}

TEST_CASE("a challenger that is better is promoted, and the detector begins anew", "[adaptation]") {
  Sequence sequence{{.detector = told(),
                     .watched = Watched::losses,
                     .rests = false,
                     .on_drift = OnDrift::challenge,
                     .fades_after = 1'000}};
  const auto begun = sequence.loss(0.5);
  REQUIRE(text_of(begun) == "warn (detector), start_challenger (detector)");
  const auto number = begun.back().number;
  std::vector<Decision> decided;
  int wins = 0;
  for (; decided.empty() && wins < 100; ++wins) {
    CHECK(sequence.take({.loss = 0.4, .challenger = 99, .challenger_loss = 0.9}).empty());  // of another one
    decided = sequence.take({.loss = 0.4, .challenger = number, .challenger_loss = 0.3});
  }
  CHECK(text_of(decided) == "promote_challenger (won)");
  // The mean likelihood ratio after n wins in a row is (2^(n + 1) - 1) / (n + 1), which is above 100 from n = 9 on.
  CHECK(wins == 9);
}

TEST_CASE("a challenger is dropped when the warning fades, when it is worse, or when it has had its time",
          "[adaptation]") {
  Automatic wanted{.detector = told(), .rests = false, .on_drift = OnDrift::challenge, .fades_after = 20};
  wanted.challenger.examples = 15;
  const auto ends = [&](double warning, double loss_of_challenger) {
    Sequence sequence{wanted};
    const auto number = sequence.loss(warning).back().number;
    std::vector<Decision> decided;
    for (int i = 0; decided.empty() && i < 100; ++i)
      decided = sequence.take({.loss = 0.4, .challenger = number, .challenger_loss = loss_of_challenger});
    return text_of(decided);
  };
  CHECK(ends(0.5, 0.8) == "drop_challenger (lost)");
  CHECK(ends(0.5, not_a_number) == "drop_challenger (lost)");
  CHECK(ends(0.5, 0.4) == "drop_challenger (undecided)");
  wanted.fades_after = 5;
  CHECK(ends(0.5, 0.4) == "calm (faded), drop_challenger (faded)");
  CHECK(ends(1, 0.4) == "drop_challenger (undecided)");  // a drift does not fade
}

TEST_CASE("a resting model whose challenger did not win after a drift trains again", "[adaptation]") {
  Automatic wanted{.detector = told(), .convergence = {.window = 1, .windows = 1}, .on_drift = OnDrift::challenge};
  wanted.challenger.examples = 3;
  Sequence sequence{wanted};
  CHECK(sequence.loss(0.1).empty());
  CHECK(text_of(sequence.loss(0.1)) == "rest (converged)");
  const auto begun = sequence.loss(1);
  CHECK(text_of(begun) == "drift (detector), start_challenger (detector)");
  CHECK(sequence.loss(0.1).empty());
  CHECK(sequence.loss(0.1).empty());
  CHECK(text_of(sequence.loss(0.1)) == "drop_challenger (undecided), train (detector)");
}

TEST_CASE("two sequences that begin with the same command begin alike", "[adaptation]") {
  Sequence sequence{{.detector = told(), .convergence = {.window = 1, .windows = 1}}};
  CHECK(sequence.loss(0.1).empty());
  CHECK(text_of(sequence.loss(0.1)) == "rest (converged)");
  CHECK(text_of(sequence.take({.command = 5, .loss = 0.1})) == "train (command)");
  CHECK(text_of(sequence.take({.command = 5, .loss = 0.1})) == "rest (converged)");
  CHECK(sequence.take({.command = 4, .loss = 0.1}).empty());  // of a replica that does not know of it yet
}

TEST_CASE("losses that are no number are counted and shown to no detector", "[adaptation][error]") {
  Sequence sequence{{.detector = optwin{}, .convergence = {.window = 1, .windows = 1}}};
  for (const double bad : {not_a_number, HUGE_VAL, -HUGE_VAL}) CHECK(sequence.loss(bad).empty());
  CHECK(sequence.rule().rejected() == 3);
  CHECK(sequence.loss(0.1).empty());
  CHECK(text_of(sequence.loss(0.1)) == "rest (converged)");
}

TEST_CASE("a loss outside the detector's domain is an error that says what to do", "[adaptation][error]") {
  Sequence sequence{{.detector = ddm{}}};
  CHECK(sequence.loss(0.9).empty());
  CHECK_THROWS_WITH(sequence.loss(2.5),
                    ContainsSubstring("ddm") && ContainsSubstring("batch 2") && ContainsSubstring("watch errors"));
}

TEST_CASE("of constants nothing is decided but that the loss falls no further", "[adaptation]") {
  for (const double constant : {0.0, 0.3, 1.0}) {
    for (const bool errors : {false, true}) {
      if (errors && constant == 0.3) continue;
      Sequence sequence{{.detector = optwin{}, .watched = errors ? Watched::errors : Watched::losses}};
      std::vector<Decision> all;
      for (int i = 0; i < 2'000; ++i) {
        const auto decided =
            sequence.take({.loss = constant, .errors = std::vector<std::uint8_t>(1, constant == 1 ? 1 : 0)});
        all.insert(all.end(), decided.begin(), decided.end());
      }
      CHECK(text_of(all) == "rest (converged)");
    }
  }
}

TEST_CASE("the sign test's evidence is the mean likelihood ratio", "[adaptation]") {
  // By numerical integration over the chances between 1/2 and 1.
  const auto mean_ratio = [](int won, int lost) {
    constexpr int steps = 200'000;
    double sum = 0;
    for (int i = 0; i < steps; ++i) {
      const double q = 0.5 + 0.5 * (i + 0.5) / steps;
      sum += std::exp(won * std::log(2 * q) + lost * std::log(2 * (1 - q)));
    }
    return std::log(sum / steps);
  };
  for (const auto& [won, lost] :
       std::vector<std::pair<int, int>>{{0, 0}, {1, 0}, {0, 1}, {10, 3}, {3, 10}, {200, 150}, {150, 200}}) {
    SignTest test;
    for (int i = 0; i < won; ++i) test.add(true);
    for (int i = 0; i < lost; ++i) test.add(false);
    CHECK(test.log_evidence() == Approx(mean_ratio(won, lost)).margin(1e-6));
    CHECK(test.log_evidence_against() == Approx(mean_ratio(lost, won)).margin(1e-6));
  }
}

TEST_CASE("of equals hardly one is ever found better, however often one looks", "[adaptation]") {
  std::mt19937_64 random{3};
  int promoted = 0;
  for (int run = 0; run < 1'000; ++run) {
    SignTest test;
    for (int i = 0; i < 1'000; ++i) {
      test.add((random() & 1U) != 0);
      if (test.log_evidence() < std::log(1 / 0.05)) continue;
      ++promoted;
      break;
    }
  }
  // At most one in twenty, by Ville's inequality; 3 standard deviations of a count of 1,000 are 21.
  CHECK(promoted <= 71);
}

TEST_CASE("any detector forgets, and its copies go on by themselves", "[adaptation]") {
  drift::AnyDetector counting = [n = 0](double) mutable { return ++n == 3; };
  CHECK(counting.update(0) == DriftLevel::none);
  auto copy = counting;
  CHECK(copy.update(0) == DriftLevel::none);
  CHECK(copy.update(0) == DriftLevel::drift);
  CHECK(counting.update(0) == DriftLevel::none);
  counting.reset();
  CHECK(counting.update(0) == DriftLevel::none);
  CHECK(counting.update(0) == DriftLevel::none);
  CHECK(counting.update(0) == DriftLevel::drift);
  CHECK(counting.name() == "function");
  CHECK(drift::AnyDetector{ddm{}}.name() == "ddm");
  CHECK_FALSE(drift::AnyDetector{});
}
