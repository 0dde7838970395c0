#include <algorithm>
#include <tensair/model/model.hpp>
#include <tensair/model/replica.hpp>

#include "model/delta_of.hpp"

namespace tensair {
namespace {

using Kind = detail::ModelUse::Kind;

auto cause_of(Why why) -> Cause {
  if (why == Why::command) return Cause::command;
  return why == Why::converged ? Cause::converged : Cause::drift;
}

}  // namespace

void Challenger::start(std::unique_ptr<Learner> fresh, std::span<const float> weights, const ModelOptions& options,
                       std::uint64_t number) {
  if (fresh) learner_ = std::move(fresh);
  if (!weights.empty()) std::copy(weights.begin(), weights.end(), learner_->parameters().begin());
  optimizer_ = learner_->make_optimizer(options.optimizer);
  rule_.emplace(options, *learner_);
  if (exchange_) exchange_->collect(replica_);  // of one that was dropped
  number_ = number;
  steps_ = examples_ = 0;
}

void Challenger::share(std::shared_ptr<Exchange> exchange, int replica) {
  exchange_ = std::move(exchange);
  replica_ = replica;
}

auto Challenger::test(const TensorBatch& batch, at::Tensor* outputs) -> double {
  if (exchange_) {
    if (const auto others = exchange_->collect(replica_)) learner_->add(*others);
  }
  return (outputs ? learner_->score(batch, *outputs) : learner_->score(batch)).loss;
}

void Challenger::learn(const TensorBatch& batch) {
  const auto score = learner_->compute(batch);
  examples_ += score.examples;
  if (rule_->problem_of(score.loss, *learner_)) return;
  const auto gradient = rule_->takes_all() ? std::span<const float>{} : learner_->gradient();
  if (!rule_->take(gradient)) return;
  rule_->schedule(*optimizer_, {steps_, examples_, score.loss});
  const auto step = rule_->finish(gradient);
  ++steps_;
  if (!exchange_) return learner_->update(*optimizer_, step, {});
  if (!buffers_) {
    buffers_ = std::make_shared<DeltaBuffers>(learner_->size(),
                                              [this](std::size_t count) { return learner_->change_buffer(count); });
  }
  auto change = buffers_->get();
  learner_->update(*optimizer_, step, *change);
  learner_->finish_change();
  exchange_->publish(replica_, delta_of(std::move(change)));
}

void Adapting::keep(const TensorBatch& batch, std::size_t use) {
  if (wanted.buffer == 0) return;
  if (buffer.size() == wanted.buffer) buffer.pop_front();
  buffer.push_back({batch, use});
}

auto Replica::trains() const -> bool {
  return adapting_ && mode_.watching() ? adapting_->training : mode_.training();
}

// What holds for whatever batch may come next, whether or not one does.
void Replica::read_decisions() {
  adapting_->board->read();
  for (const auto& one : adapting_->board->decisions(static_cast<std::size_t>(number_))) obey(one);
}

// Batches that are trained on again come before new ones.
auto Replica::take_again() -> bool {
  auto& replay = adapting_->replay;
  if (replay.empty() || !trains()) return false;
  auto one = std::move(replay.front());
  replay.pop_front();
  adapting_->replays = true;
  begin_step(std::move(one.batch), one.use);
  return true;
}

auto Replica::begin_taken() -> bool {
  auto& board = *adapting_->board;
  const auto number = static_cast<std::size_t>(number_);
  const auto place = board.place_of(number, adapting_->taken->batch.number);
  if (!board.may_begin(number, place)) return false;
  board.read();
  for (const auto& one : board.decisions(number, place)) obey(one);
  if (take_again()) return true;
  auto [batch, use] = *std::exchange(adapting_->taken, std::nullopt);
  learn_and_tell(std::move(batch), use);
  return true;
}

void Replica::learn_and_tell(TensorBatch batch, std::size_t use_number) {
  auto& use = uses_[use_number];
  auto& own = *adapting_;
  own.replays = false;
  const bool errors = own.wanted.watched == Watched::errors;
  const bool training = trains();
  BatchOutcome outcome;
  outcome.batch = own.board->place_of(static_cast<std::size_t>(number_), batch.number);
  outcome.command = mode_.command();
  outcome.counts = mode_.watching();
  outcome.examples = static_cast<std::uint64_t>(batch.examples());
  bool scored = use.kind == Kind::evaluate;
  if (scored) {
    evaluate(batch, use);
  } else if (outcome.counts && (errors || !training)) {
    scored = true;
    last_loss_ =
        on_batch(batch, [&] { return errors ? learner_->score(batch, own.outputs) : learner_->score(batch); }).loss;
  }
  outcome.loss = last_loss_;
  if (outcome.counts && errors) outcome.errors = errors_of(own.outputs, batch);
  if (outcome.counts && own.challenger.number() != 0) compare_with_challenger(batch, outcome);
  if (own.buffers && outcome.counts) own.keep(batch, use_number);
  if (training) {
    begin_step(std::move(batch), use_number);
    if (!scored) outcome.loss = last_loss_;
  } else {
    figures_.untrained += outcome.examples;
  }
  own.board->tell(static_cast<std::size_t>(number_), outcome);
}

void Replica::compare_with_challenger(const TensorBatch& batch, BatchOutcome& outcome) {
  auto& challenger = adapting_->challenger;
  const bool errors = adapting_->wanted.watched == Watched::errors;
  at::Tensor outputs;
  outcome.challenger = challenger.number();
  outcome.challenger_loss = on_batch(batch, [&] { return challenger.test(batch, errors ? &outputs : nullptr); });
  if (errors) {
    const auto wrong = errors_of(outputs, batch);
    for (std::size_t i = 0; i < wrong.size(); ++i) outcome.errors[i] |= static_cast<std::uint8_t>(2 * wrong[i]);
  }
  on_batch(batch, [&] {
    challenger.learn(batch);
    return 0;
  });
}

auto Replica::errors_of(const at::Tensor& outputs, const TensorBatch& batch) const -> std::vector<std::uint8_t> {
  Evaluation one{number_, node_.rank(), version(), {}, outputs, batch.target};
  std::vector<std::uint8_t> errors;
  try {
    for (const auto& outcome : class_outcomes(one))
      errors.push_back(static_cast<std::uint8_t>(outcome.truth != outcome.prediction));
  } catch (const Error& error) {
    fail("is to watch its errors: " + error.failed(), batch,
         "Let it watch its losses: Automatic{.watched = tensair::Watched::losses}.");
  }
  return errors;
}

void Replica::obey(const Decision& decision) {
  auto& own = *adapting_;
  switch (decision.deed) {
    case Deed::warn:
      own.buffers = own.wanted.on_drift == OnDrift::from_buffer;
      break;
    case Deed::calm:
      own.buffers = false;
      own.buffer.clear();
      break;
    case Deed::drift:
      own.buffers = false;
      break;
    case Deed::train:
    case Deed::rest:
      own.training = decision.deed == Deed::train;
      obey_mode(decision);
      break;
    case Deed::reset_optimizer:
      reset_optimizer();
      break;
    case Deed::reset_weights: {
      const auto fresh = model_.make_learner(number_, "cpu");  // only its parameters are wanted
      jump_to(fresh->values(), decision);
      reset_optimizer();
      break;
    }
    case Deed::replay:
      own.replay = std::exchange(own.buffer, {});
      break;
    case Deed::start_challenger: {
      const bool fresh = own.wanted.challenger.fresh;
      const bool need = fresh || !own.challenger.has_learner();
      own.challenger.start(need ? model_.make_learner(number_) : nullptr,
                           fresh ? std::span<const float>{} : learner_->values(), model_.options(), decision.number);
      break;
    }
    case Deed::promote_challenger:
      jump_to(own.challenger.parameters(), decision);
      reset_optimizer();
      optimizer_->restore(own.challenger.optimizer_state());
      rule_.restore_schedule(own.challenger.schedule_state());
      own.challenger.drop();
      break;
    case Deed::drop_challenger:
      own.challenger.drop();
      break;
  }
  for (auto& use : uses_) {
    if (!use.decisions) continue;
    auto told = decision;
    told.replica = number_;
    told.node = node_.rank();
    told.step = figures_.steps;
    use.decisions->push(told);
  }
}

void Replica::obey_mode(const Decision& decision) {
  constexpr std::int32_t nobody = -1;
  for (auto& use : uses_) {
    if (use.mode_changes)
      use.mode_changes->push({number_, node_.rank(), Mode::automatic, adapting_->training, cause_of(decision.why),
                              nobody, decision.number, figures_.steps, examples_seen()});
  }
}

void Replica::reset_optimizer() {
  optimizer_ = learner_->make_optimizer(model_.options().optimizer);
  rule_ = StepRule(model_.options(), *learner_);
  step_examples_ = 0;
}

// What replicas that exchange updates have is the sum of all changes, and so it stays if one of them makes this change
// and tells the others like a step's: when it has arrived everywhere, all have the target, and what was learnt
// meanwhile. Which one does is no matter; it is another one each time. A delta with a jump is no sign of what the next
// one will be.
void Replica::jump_to(std::span<const float> target, const Decision& decision) {
  if (exchange_->alone() || model_.options().exchange != exchange::updates) {
    std::copy(target.begin(), target.end(), learner_->parameters().begin());
  } else {
    const auto replicas = static_cast<std::uint64_t>(model_.replicas());
    late_ = nullptr;
    adapting_->anticipates_from = figures_.steps + 4 * replicas;
    if (decision.number % replicas != static_cast<std::uint64_t>(number_)) return;
    const auto parameters = learner_->parameters();
    auto change = buffers_->get();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      (*change)[i] = target[i] - parameters[i];
      parameters[i] = target[i];
    }
    publish_held();
    exchange_->publish(number_, delta_of(std::move(change)));
  }
  if (!roll_back_) return;
  roll_back_.emplace();
  roll_back_->note(*learner_, *optimizer_);
}

// When no replica gets more batches, all that was decided for those that there were is obeyed.
auto Replica::has_decided_all() -> bool {
  auto& own = *adapting_;
  const auto begins_more = [&] { return own.taken || (!own.replay.empty() && trains()); };
  if (begins_more()) return false;
  if (!std::exchange(own.end_told, true)) own.board->end(static_cast<std::size_t>(number_));
  if (!own.board->ended()) return false;
  read_decisions();
  if (!begins_more()) return true;
  wake();
  return false;
}

}  // namespace tensair
