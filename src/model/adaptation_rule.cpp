#include <fmt/format.h>

#include <cmath>
#include <tensair/error.hpp>
#include <tensair/model/adaptation_rule.hpp>
#include <tensair/net/bytes.hpp>
#include <utility>

namespace tensair {

auto to_string(Deed deed) -> std::string_view {
  switch (deed) {
    case Deed::warn:
      return "warn";
    case Deed::calm:
      return "calm";
    case Deed::drift:
      return "drift";
    case Deed::train:
      return "train";
    case Deed::rest:
      return "rest";
    case Deed::reset_optimizer:
      return "reset_optimizer";
    case Deed::reset_weights:
      return "reset_weights";
    case Deed::replay:
      return "replay";
    case Deed::start_challenger:
      return "start_challenger";
    case Deed::promote_challenger:
      return "promote_challenger";
    case Deed::drop_challenger:
      return "drop_challenger";
  }
  return {};
}

auto to_string(Why why) -> std::string_view {
  switch (why) {
    case Why::detector:
      return "detector";
    case Why::faded:
      return "faded";
    case Why::converged:
      return "converged";
    case Why::won:
      return "won";
    case Why::lost:
      return "lost";
    case Why::undecided:
      return "undecided";
    case Why::command:
      return "command";
  }
  return {};
}

AdaptationRule::AdaptationRule(Automatic wanted, std::size_t lag)
    : wanted_(std::move(wanted)), lag_(lag), windows_(wanted_.convergence) {}

auto AdaptationRule::take(const BatchOutcome& outcome) -> std::vector<Decision> {
  const auto before = example_;
  const auto challenger = challenger_;
  batch_ = outcome.batch;
  drifts_ = false;
  if (outcome.counts) {
    if (outcome.command > command_) {
      command_ = outcome.command;
      begin_anew();
    }
    if (wanted_.watched == Watched::errors) {
      for (const auto error : outcome.errors) {
        ++example_;
        saw(static_cast<double>(error & 1U));
      }
    } else {
      example_ = before + outcome.examples;
      if (std::isfinite(outcome.loss)) saw(outcome.loss);
    }
    if (!std::isfinite(outcome.loss)) ++rejected_;
  }
  example_ = before + outcome.examples;
  if (outcome.counts) {
    if (challenger_ != 0 && challenger_ == challenger) compare(outcome);
    // What shows a drift says nothing about how far training has come.
    const bool judges = wanted_.rests && training_ && !drifts_;
    if (judges && windows_.add(outcome.loss) && windows_.converged()) {
      training_ = false;
      if (warned_) calm();
      decide(Deed::rest, Why::converged, windows_.latest());
      wanted_.detector.reset();
      windows_.clear();
    }
  }
  return std::exchange(decided_, {});
}

namespace {

struct RuleState {
  bool training = true;
  std::string detector, state;
  std::vector<double> losses;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& training& detector& state& losses;
  }
};

}  // namespace

auto AdaptationRule::state() const -> std::string {
  const bool training = training_ || (challenger_ != 0 && drifted_);
  return net::to_bytes(RuleState{training, wanted_.detector.name(), wanted_.detector.state(), windows_.state()});
}

auto AdaptationRule::restore(std::string_view bytes) -> bool {
  const auto state = net::from_bytes<RuleState>(bytes);
  training_ = state.training || !wanted_.rests;
  number_ = 0;
  if (state.detector == wanted_.detector.name()) wanted_.detector.restore(state.state);
  windows_.restore(state.losses);
  return training_;
}

auto AdaptationRule::again(Deed deed) -> Decision {
  Decision one;
  one.deed = deed;
  one.number = ++number_;
  return one;
}

void AdaptationRule::begin_anew() {
  wanted_.detector.reset();
  windows_.clear();
  warned_ = false;
  if (challenger_ != 0) drop_challenger(Why::command);
  start_training(Why::command);
}

void AdaptationRule::saw(double value) {
  if (training_ && !wanted_.while_training) return;
  DriftLevel level{};
  try {
    level = wanted_.detector.update(value);
  } catch (const drift::BadValue& error) {
    throw Error(error.failed(), fmt::format("{}, batch {} of the model's", error.place(), batch_ + 1),
                "Let it watch errors (Automatic::watched), or take a detector of any number: optwin, adwin.");
  }
  switch (level) {
    case DriftLevel::drift:
      return saw_drift();
    case DriftLevel::warning:
      quiet_ = 0;
      if (std::exchange(warned_, true)) return;
      decide(Deed::warn, Why::detector, wanted_.detector.statistic());
      if (wanted_.on_drift != OnDrift::challenge || challenger_ != 0) return;
      drifted_ = false;
      decide(Deed::start_challenger, Why::detector, wanted_.detector.statistic());
      break;
    case DriftLevel::none:
      if (warned_ && ++quiet_ >= wanted_.fades_after) calm();
      return;
  }
}

void AdaptationRule::saw_drift() {
  const double statistic = wanted_.detector.statistic();
  decide(Deed::drift, Why::detector, statistic);
  drifts_ = true;
  warned_ = false;
  windows_.clear();
  switch (wanted_.on_drift) {
    case OnDrift::keep:
      break;
    case OnDrift::reset_optimizer:
      decide(Deed::reset_optimizer, Why::detector, statistic);
      break;
    case OnDrift::reset:
      decide(Deed::reset_weights, Why::detector, statistic);
      break;
    case OnDrift::from_buffer:
      decide(Deed::reset_weights, Why::detector, statistic);
      decide(Deed::replay, Why::detector, statistic);
      break;
    case OnDrift::challenge:
      drifted_ = true;
      if (challenger_ == 0) decide(Deed::start_challenger, Why::detector, statistic);
      return;
  }
  start_training(Why::detector);
}

void AdaptationRule::calm() {
  warned_ = false;
  decide(Deed::calm, Why::faded, 0);
  if (challenger_ != 0 && !drifted_) drop_challenger(Why::faded);
}

// A loss that is not a number is worse than any.
void AdaptationRule::compare(const BatchOutcome& outcome) {
  tried_ += outcome.examples;
  if (outcome.challenger == challenger_) {
    if (wanted_.watched == Watched::errors) {
      for (const auto error : outcome.errors) {
        if (error == 1 || error == 2) test_.add(error == 1);
      }
    } else {
      const auto of = [](double loss) { return std::isnan(loss) ? HUGE_VAL : loss; };
      if (of(outcome.challenger_loss) != of(outcome.loss)) test_.add(of(outcome.challenger_loss) < of(outcome.loss));
    }
  }
  judge_challenger();
}

void AdaptationRule::judge_challenger() {
  const double enough = -std::log(wanted_.challenger.level);
  if (test_.log_evidence() >= enough) {
    decide(Deed::promote_challenger, Why::won, test_.log_evidence());
    challenger_ = 0;
    warned_ = false;
    wanted_.detector.reset();
    windows_.clear();
    start_training(Why::won);
  } else if (test_.log_evidence_against() >= enough) {
    drop_challenger(Why::lost);
  } else if (tried_ >= wanted_.challenger.examples) {
    drop_challenger(Why::undecided);
  }
}

void AdaptationRule::drop_challenger(Why why) {
  decide(Deed::drop_challenger, why, test_.log_evidence());
  challenger_ = 0;
  if (std::exchange(drifted_, false)) start_training(Why::detector);
}

void AdaptationRule::start_training(Why why) {
  if (std::exchange(training_, true)) return;
  windows_.clear();
  decide(Deed::train, why, 0);
}

void AdaptationRule::decide(Deed deed, Why why, double statistic) {
  Decision one;
  one.deed = deed;
  one.why = why;
  one.number = ++number_;
  one.batch = batch_;
  one.example = example_;
  one.from = batch_ + 1 + lag_;
  one.statistic = statistic;
  decided_.push_back(one);
  if (deed != Deed::start_challenger) return;
  challenger_ = number_;
  test_ = {};
  tried_ = 0;
}

}  // namespace tensair
