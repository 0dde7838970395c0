#include <algorithm>
#include <limits>
#include <numeric>
#include <tensair/model/replica.hpp>

// A replica's part in what replicas tell each other: what it applies, what it publishes and when, and how replicas that
// exchange gradients are brought back together.

namespace tensair {
namespace {

// Of averaging, when training has ended. Other rounds are even by steps and odd by divergence.
constexpr std::uint64_t last_round = std::numeric_limits<std::uint64_t>::max();

}  // namespace

auto Replica::apply_deltas() -> bool {
  const auto delta = exchange_->collect(number_);
  if (delta) apply(*delta);
  return delta != nullptr;
}

// The steps of others that these parameters contain and the contribution's had not.
auto Replica::unseen_by(const Contribution& one) const -> std::uint64_t {
  std::uint64_t unseen = 0, all = 0;
  for (std::size_t r = 0; r < clock_.size(); ++r) {
    if (r == one.replica) continue;
    all += clock_[r];
    if (!one.seen.empty() && clock_[r] > one.seen[r]) unseen += clock_[r] - one.seen[r];
  }
  if (!one.seen.empty()) return unseen;
  return all > one.seen_steps ? all - one.seen_steps : 0;  // as far as the sums tell
}

void Replica::apply(const Delta& delta) {
  if (model_.options().exchange == exchange::updates || learner_->steps_in_place()) {
    learner_->add(delta);
  } else if (!delta.is_sparse()) {
    send();  // whether this replica's own step was finite can be asked until the next one
    if (!delta.values.empty()) learner_->update(*optimizer_, delta.values, {});
  } else if (learner_->touches_few()) {
    send();
    learner_->update_some(*optimizer_, delta.segments, delta.values, {});
  } else {
    send();
    kept_.assign(learner_->size(), 0);
    add(kept_, delta);
    learner_->update(*optimizer_, kept_, {});
  }
  for (const auto& one : delta.contributions) {
    const std::uint64_t unseen = unseen_by(one);
    last_staleness_ = std::max(last_staleness_, unseen);
    figures_.staleness_counts[std::min<std::size_t>(unseen, figures_.staleness_counts.size() - 1)] += one.steps;
  }
  for (const auto& one : delta.contributions) {
    clock_[one.replica] += one.steps;
    examples_[one.replica] += one.examples;
  }
}

// What replicas in phase send each other in the midst of a round comes in time for the next one. What is older, or
// comes from a replica that knows no rounds, is late.
auto Replica::is_late(const Delta& delta) const -> bool {
  return !delta.contributions.empty() &&
         std::all_of(delta.contributions.begin(), delta.contributions.end(),
                     [this](const Contribution& one) { return one.round != pace_.round(); });
}

// Of a step with a gradient that is taken now.
auto Replica::contribution_now() const -> Contribution {
  const auto others =
      std::accumulate(clock_.begin(), clock_.end(), std::uint64_t{0}) - clock_[static_cast<std::size_t>(number_)];
  return {static_cast<std::uint32_t>(number_),
          1,
          0,
          exchange_->tells_seen() && !exchange_->alone() ? clock_ : VersionVector{},
          others,
          pace_.round()};
}

void Replica::publish(std::shared_ptr<Delta> delta) {
  auto contribution = std::exchange(step_contribution_, {});
  contribution.examples = std::exchange(step_examples_, 0);
  const auto own = static_cast<std::size_t>(number_);
  ++clock_[own];
  examples_[own] += contribution.examples;
  ++figures_.steps;
  figures_.examples += contribution.examples;
  if (!delta) return;
  delta->contributions.push_back(std::move(contribution));
  unsent_ = std::move(delta);
  if (!learner_->updates_later()) send();
}

// What a step did may be on its way from a device yet. It is looked at and sent in the midst of the next step, or if
// there is none, at the end of the turn.
void Replica::send() {
  if (send_failure_) std::rethrow_exception(std::exchange(send_failure_, nullptr));
  send_unless_astray();
  if (!unchecked_) return;
  TensorBatch batch;
  batch.number = unchecked_->batch;
  batch.node = unchecked_->node;
  fail_astray(batch, clock_[static_cast<std::size_t>(number_)]);
}

void Replica::send_unless_astray() {
  if (unchecked_ && !learner_->update_was_finite()) return;
  unchecked_.reset();
  if (!unsent_) return;
  learner_->finish_change();
  if (model_.options().every.steps == 1) {
    exchange_->publish(number_, std::exchange(unsent_, nullptr));
  } else {
    hold(std::exchange(unsent_, nullptr));
  }
}

void Replica::hold(SharedDelta delta) {
  if (held_steps_++ == 0) held_since_ = node_.clock().now();
  held_.add(delta);
  if (held_steps_ >= model_.options().every.steps) publish_held();
}

auto Replica::held_until() const -> Time {
  const auto time = model_.options().every.time;
  return held_steps_ == 0 || time == time.zero() ? never : held_since_ + time;
}

void Replica::publish_held() {
  send();
  held_steps_ = 0;
  if (auto delta = held_.take()) exchange_->publish(number_, std::move(delta));
}

void Replica::tell_sketch_if_due() {
  const auto every = model_.options().measure_divergence;
  if (every == 0 || exchange_->alone()) return;
  const auto mark = version() / every;
  if (mark == mark_) return;
  mark_ = mark;
  exchange_->tell({static_cast<std::uint32_t>(number_), mark, sketch_of(learner_->values())});
}

auto Replica::averages() const -> bool {
  return model_.options().exchange == exchange::gradients && !exchange_->alone();
}

// Begins rounds, and ends those of which the mean is there. In the end, when nobody steps any more, the mean of one
// last round is what every replica ends with: rounds that are still open then count for nothing.
auto Replica::average_if_due(bool complete) -> bool {
  if (!averages() || averaged_last_) return false;
  bool busy = false;
  const auto begin = [&](std::uint64_t round) {
    exchange_->average(averaged_.begin(round, learner_->values()));
    busy = true;
  };
  for (const auto& mean : exchange_->means(number_)) {
    busy = true;
    const auto parameters = learner_->parameters();
    if (mean.round == last_round) {
      std::copy(mean.values->begin(), mean.values->end(), parameters.begin());
      averaged_last_ = true;
    } else if (!averaging_last_) {
      averaged_.finish(mean.round, *mean.values, parameters);
    }
  }
  if (averaging_last_) return busy;
  const auto every = model_.options().averaging.every;
  while (every > 0 && version() / every > averaged_marks_) begin(2 * ++averaged_marks_);
  for (const auto mark : exchange_->diverged(diverged_marks_)) {
    ++diverged_marks_;
    begin(2 * mark + 1);
  }
  if (complete) {
    averaging_last_ = true;
    begin(last_round);
  }
  return busy;
}

}  // namespace tensair
