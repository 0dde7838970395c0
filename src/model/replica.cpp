#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tensair/model/replica.hpp>

#include "model/delta_of.hpp"

namespace tensair {
namespace {

using Kind = detail::ModelUse::Kind;
using Seconds = std::chrono::duration<double>;

// Larger staleness is counted as this: a replica thousands of steps behind has other troubles than a histogram's end.
constexpr std::size_t staleness_limit = 4096;

// LibTorch's messages go on for pages of addresses after the first line.
auto first_line(const std::string& text) -> std::string {
  return text.substr(0, text.find('\n'));
}

}  // namespace

Replica::Replica(runtime::Node& node, ModelRuntime& model, int number, std::unique_ptr<Learner> learner,
                 std::shared_ptr<Exchange> exchange)
    : Task(fmt::format("replica {} of model «{}»", number, model.name())),
      node_(node),
      model_(model),
      number_(number),
      learner_(std::move(learner)),
      optimizer_(learner_->make_optimizer(model.options().optimizer)),
      rule_(model.options(), *learner_),
      exchange_(std::move(exchange)),
      buffers_(std::make_shared<DeltaBuffers>(learner_->size(),
                                              [this](std::size_t count) { return learner_->change_buffer(count); })),
      pace_(model.replicas(), number, model.options().every.steps == 1 ? model.options().patience : 0),
      mode_(model.mode_board(), number, model.options().convergence),
      compensation_(model.options().staleness),
      held_(learner_->size()),
      clock_(static_cast<std::size_t>(model.replicas())),
      examples_(clock_.size()) {
  figures_.staleness_counts.resize(staleness_limit + 1);
  checkpoint_time_ = node.clock().now();
  if (model.automatic()) {
    adapting_ = std::make_unique<Adapting>(*model.automatic(), model.adaptation_board());
    adapting_->challenger.share(model.challenger_exchange(node, learner_->size()), number);
  }
  if (model.options().on_not_finite == not_finite::roll_back) {
    roll_back_.emplace();
    roll_back_->note(*learner_, *optimizer_);
  }
  for (std::size_t i = 0; i < model.uses_.size(); ++i) {
    auto& use = uses_.emplace_back();
    use.kind = model.uses_[i].kind;
    use.input = model.make_input(node, i, number);
    use.every = use.next = model.uses_[i].validate_every;
    use.outputs = model.uses_[i].outputs;
  }
}

void Replica::open() {
  exchange_->bind(number_, *this);
  learner_->meanwhile([this] {
    try {
      send_unless_astray();
    } catch (...) {
      send_failure_ = std::current_exception();  // is no fault of the batch in the midst of which it is sent
    }
  });
  const auto connect = [this](const auto& inlet, auto& sender) {
    if (!inlet || !*inlet) return;
    using Inlet = std::remove_cvref_t<decltype(*inlet)>;
    sender.emplace().connect(runtime::Outlet<typename Inlet::Item>(*inlet, operators::chunk_credits), *this);
  };
  for (std::size_t i = 0; i < uses_.size(); ++i) {
    auto& use = uses_[i];
    if (use.input.batches) use.input.batches.bind(*this);
    if (use.input.requests) {
      use.input.requests.bind(*this);
      use.input.replies = model_.reply_outlets(node_, i);
    }
    connect(model_.uses_[i].train_steps, use.train_steps);
    connect(model_.uses_[i].evaluations, use.evaluations);
    connect(model_.uses_[i].validations, use.validations);
    connect(model_.uses_[i].mode_changes, use.mode_changes);
    connect(model_.uses_[i].decisions, use.decisions);
  }
}

template <class Body>
void Replica::for_each_sender(Body body) {
  for (auto& use : uses_) {
    if (use.train_steps) body(*use.train_steps);
    if (use.evaluations) body(*use.evaluations);
    if (use.validations) body(*use.validations);
    if (use.mode_changes) body(*use.mode_changes);
    if (use.decisions) body(*use.decisions);
  }
}

auto Replica::run() -> runtime::Turn {
  if (!started_) {
    at::set_num_threads(model_.options().threads);  // a setting of each thread
    started_ = true;
  }
  return work();
}

// One turn: the end of a step, what the others did, one answer, and the begin of a step unless others are about to end
// theirs.
auto Replica::work() -> runtime::Turn {
  if (begun_) finish_step();
  for_each_sender([](auto& sender) { sender.flush(); });
  bool blocked = false;
  for_each_sender([&](auto& sender) { blocked = blocked || sender.blocked(); });
  if (results_finished_) return blocked ? runtime::Turn::wait() : runtime::Turn::done();

  // Asked before the deltas are collected: once all replicas have finished, what is collected then is the last.
  const bool complete = training_ended_ && exchange_->finished();
  read_mode();
  if (adapting_) read_decisions();
  bool applied = apply_deltas();
  bool busy = answer();
  if (held_until() <= node_.clock().now()) publish_held();
  Time resume = never;
  if (!blocked) {
    resume = wait_for_peers();
    if (resume == never) {
      applied = apply_deltas() || applied;  // what arrived since, which need not be waited for
      busy = learn() || busy;
    }
  }
  tell_sketch_if_due();
  busy = average_if_due(complete) || busy;
  finish_training_if_ended();
  for (auto& use : uses_) validate_if_due(use, complete && averaged_for_good());

  send();
  if (complete && averaged_for_good() && requests_ended() && validated()) {
    results_finished_ = true;
    write_checkpoint_if_due(true);
    for_each_sender([](auto& sender) { sender.finish(); });
    busy = true;
  }
  for_each_sender([](auto& sender) { sender.flush(); });
  if (busy) return runtime::Turn::again();
  // Others' deltas take next to no time, unlike a step: in virtual time, too.
  if (applied) return runtime::Turn::wait(node_.clock().now());
  return runtime::Turn::wait(std::min(resume, held_until()));
}

// Until when to let others finish their step; `never` when there is nobody to wait for.
auto Replica::wait_for_peers() -> Time {
  if (exchange_->alone()) return never;
  const Time now = node_.clock().now();
  const Time until = pace_.wait_until(now, exchange_->arrivals());
  return until > now ? until : never;
}

auto Replica::learn() -> bool {
  if (adapting_ && take_again()) return true;
  if (adapting_ && adapting_->taken) return begin_taken();
  for (std::size_t k = 0; k < uses_.size(); ++k) {
    auto& use = uses_[(turn_ + k) % uses_.size()];
    if (!use.input.batches) continue;
    auto batch = use.input.batches.take();
    if (!batch) continue;
    if (use.kind == Kind::validate) {
      use.held_out.push_back(std::move(*batch));
    } else if (adapting_) {
      adapting_->taken.emplace(Adapting::Taken{*std::move(batch), (turn_ + k) % uses_.size()});
      ++turn_;
      return begin_taken();
    } else {
      learn_from(*std::move(batch), (turn_ + k) % uses_.size());
    }
    ++turn_;
    return true;
  }
  if (adapting_) adapting_->board->idle(static_cast<std::size_t>(number_));
  return false;
}

void Replica::fail(const std::string& what, const TensorBatch& batch, const std::string& remedy) const {
  fail(what, batch, clock_[static_cast<std::size_t>(number_)] + 1, remedy);
}

void Replica::fail(const std::string& what, const TensorBatch& batch, std::uint64_t step,
                   const std::string& remedy) const {
  throw Error(fmt::format("model «{}» {}", model_.name(), what),
              fmt::format("replica {} on node {}, step {}, batch {} of node {}", number_, node_.rank(), step,
                          batch.number + 1, batch.node),
              remedy);
}

void Replica::fail_astray(const TensorBatch& batch, std::uint64_t step) const {
  fail("has parameters that are not finite", batch, step, "Lower the learning rate, or look for NaN in the gradient.");
}

void Replica::fail_at(const TensorBatch& batch, const std::exception& error) const {
  if (const auto* known = dynamic_cast<const Error*>(&error); known && !known->remedy().empty())
    fail("cannot take a batch: " + known->failed(), batch, known->remedy());
  fail("cannot take a batch: " + first_line(error.what()), batch,
       "Check the batch's shapes and targets against the module and the loss.");
}

// As the mode says: a batch that is not trained on is scored if somebody wants to know.
void Replica::learn_from(TensorBatch batch, std::size_t use_number) {
  auto& use = uses_[use_number];
  if (use.kind == Kind::evaluate) evaluate(batch, use);
  if (mode_.training()) {
    begin_step(std::move(batch), use_number);
    mode_.saw(last_loss_);
    return;
  }
  figures_.untrained += static_cast<std::uint64_t>(batch.examples());
  if (!mode_.watching()) return;
  if (use.kind != Kind::evaluate) last_loss_ = on_batch(batch, [&] { return learner_->score(batch); }).loss;
  mode_.saw(last_loss_);
}

void Replica::read_mode() {
  const auto verdict = mode_.read();
  if (!verdict) return;
  for (auto& use : uses_) {
    if (use.mode_changes)
      use.mode_changes->push({number_, node_.rank(), verdict->mode, trains(), verdict->cause, verdict->by,
                              verdict->number, figures_.steps, examples_seen()});
  }
}

void Replica::evaluate(const TensorBatch& batch, Use& use) {
  Evaluation one{number_, node_.rank(), version(), {}};
  const bool outputs = use.outputs || (adapting_ && adapting_->wanted.watched == Watched::errors);
  one.score = on_batch(batch, [&] { return outputs ? learner_->score(batch, one.outputs) : learner_->score(batch); });
  last_loss_ = one.score.loss;
  if (adapting_) adapting_->outputs = one.outputs;
  if (use.outputs) {
    one.targets = batch.target;
  } else {
    one.outputs = at::Tensor{};
  }
  if (use.evaluations) use.evaluations->push(std::move(one));
}

// The gradient of a batch. By the time it is applied, the others will have changed the parameters, most likely as they
// did during the last step: so it is taken where the parameters will be then (Hakimi et al., "Taming momentum in a
// distributed asynchronous environment", 2019, predict it from momentum).
auto Replica::compute(const TensorBatch& batch) -> Score {
  const bool elsewhere = late_ && model_.options().anticipate && model_.options().exchange == exchange::updates &&
                         !(adapting_ && figures_.steps < adapting_->anticipates_from);
  if (elsewhere) learner_->displace(*late_);
  if (compensation_.is_on()) compensation_.taken_at(learner_->values());
  const auto score = on_batch(batch, [&] { return learner_->compute(batch); });
  send();
  if (elsewhere) learner_->put_back();
  return score;
}

void Replica::begin_step(TensorBatch batch, std::size_t use) {
  const Time began = node_.clock().now();
  const auto core_before = node_.clock().core_time();
  const bool in_place = learner_->steps_in_place();
  // Nobody wants to know what was changed, nor will it be taken back: then nothing is noted.
  const bool noted = in_place && (!exchange_->alone() || model_.options().on_not_finite != not_finite::stop);
  auto change = noted ? changes_->get() : nullptr;
  const auto score = in_place ? on_batch(batch, [&] { return learner_->step(batch, change.get()); }) : compute(batch);
  last_loss_ = score.loss;
  auto contribution = contribution_now();  // says what this gradient has seen, so before anything is applied
  begun_.emplace(Begun{std::move(batch), use, score, std::move(contribution), began, core_before, std::move(change)});
}

// A step that was made where the parameters lie: what came in the midst of it is added, whatever the order.
void Replica::finish_in_place(Begun begun) {
  auto& use = uses_[begun.use];
  const auto& staleness = model_.options().staleness;
  const auto parameters = learner_->parameters();
  auto& change = begun.change;
  std::uint64_t unseen = 0;
  if (const auto in_midst = exchange_->collect(number_)) {
    for (const auto& one : in_midst->contributions) unseen += one.steps;
    apply(*in_midst);
  }
  const char* problem = nullptr;
  if (!std::isfinite(begun.score.loss)) problem = "has a loss that is not finite";
  if (change && !change->finite) problem = "has parameters that are not finite";
  if (problem) {
    if (change) change->take_back(parameters, 1);
    return reject(begun.batch, problem);
  }
  if (unseen > staleness.most) {
    change->take_back(parameters, 1);
    ++figures_.dropped;
    return note_pace(begun);
  }
  if (staleness.scale && unseen > 1) change->take_back(parameters, 1 - 1 / static_cast<float>(unseen));
  step_contribution_ = std::move(begun.contribution);
  step_examples_ += static_cast<std::uint64_t>(begun.batch.examples());
  publish(exchange_->alone() ? nullptr : delta_of(std::move(change)));
  if (roll_back_) roll_back_->note(*learner_, *optimizer_);
  write_checkpoint_if_due(false);
  note_pace(begun);
  if (use.train_steps && !(adapting_ && adapting_->replays)) {
    use.train_steps->push(
        {number_, node_.rank(), figures_.steps, examples_seen(), std::exchange(last_staleness_, 0), begun.score});
  }
}

void Replica::note_pace(const Begun& begun) {
  const Time ended = node_.clock().now();
  const auto core = node_.clock().core_time() - begun.core_before;
  pace_.stepped(begun.began, ended,
                ended > begun.began ? std::min(1.0, Seconds(core) / Seconds(ended - begun.began)) : 1);
}

void Replica::finish_step() {
  auto begun = *std::exchange(begun_, std::nullopt);
  if (learner_->steps_in_place()) return finish_in_place(std::move(begun));
  auto& batch = begun.batch;
  const auto& score = begun.score;
  auto& use = uses_[begun.use];
  const auto& staleness = model_.options().staleness;
  // What came while this was computed is too late for it, and is what to expect during the next step.
  auto in_midst = exchange_->collect(number_);
  late_ = in_midst && is_late(*in_midst) ? in_midst : nullptr;
  const char* problem = rule_.problem_of(score.loss, *learner_);
  std::uint64_t unseen = 0;
  if (in_midst) {
    for (const auto& one : in_midst->contributions) unseen += one.steps;
  }
  const bool dropped = problem == nullptr && unseen > staleness.most;
  const auto steps_before = figures_.steps;
  if (problem) {
    reject(batch, problem);
  } else if (dropped) {
    ++figures_.dropped;
  } else {
    // The learner's own as long as nothing is done to it: then it can stay where it is.
    std::span<const float> gradient;
    if (compensation_.is_on() || !rule_.takes_all()) gradient = learner_->gradient();
    if (compensation_.is_on()) {
      if (in_midst) apply(*std::exchange(in_midst, nullptr));
      gradient = compensation_.corrected(gradient, learner_->values(), learner_->trained());
    }
    step_contribution_ = std::move(begun.contribution);
    step_examples_ += static_cast<std::uint64_t>(batch.examples());
    step_loss_ = score.loss;
    if (rule_.take(gradient)) {
      make_step(batch, gradient, staleness.scale && unseen > 1 ? 1 / static_cast<float>(unseen) : 1);
    } else {
      last_batch_ = std::move(batch);
    }
  }
  if (in_midst) apply(*in_midst);
  if (problem) return;
  if (figures_.steps > steps_before || dropped) note_pace(begun);
  if (use.train_steps && !dropped && !(adapting_ && adapting_->replays)) {
    use.train_steps->push(
        {number_, node_.rank(), figures_.steps, examples_seen(), std::exchange(last_staleness_, 0), score});
  }
}

// With the gradient of all batches since the last step; `batch` is the last of them, and its gradient `latest`.
void Replica::make_step(const TensorBatch& batch, std::span<const float> latest, float share) {
  rule_.schedule(*optimizer_, {version(), examples_seen(), step_loss_});
  const auto gradient = rule_.finish(latest);
  auto delta = learner_->touches_few() ? delta_of(sparse_change(gradient, share)) : delta_of(change(gradient, share));
  // What ends the run can be looked at later; it is, before other replicas are told of the step, or it is written.
  const bool later = learner_->updates_later() && !roll_back_;
  if (!later && !learner_->update_was_finite()) {
    if (!roll_back_) fail_astray(batch, clock_[static_cast<std::size_t>(number_)] + 1);
    return reject(batch, "has parameters that are not finite");
  }
  if (later) unchecked_.emplace(Unchecked{batch.number, batch.node});
  publish(std::move(delta));
  if (roll_back_) roll_back_->note(*learner_, *optimizer_);
  write_checkpoint_if_due(false);
}

// A batch that nothing is to be learnt from.
void Replica::reject(const TensorBatch& batch, const char* problem) {
  if (model_.options().on_not_finite == not_finite::stop) {
    const auto input = batch.input.is_floating_point() && !batch.input.isfinite().all().item<bool>();
    fail(std::string(problem) + (input ? ", nor is its input" : ""), batch,
         input ? "Look for NaN in the data, or skip such batches: ModelOptions::on_not_finite."
               : "Lower the learning rate, or skip such batches: ModelOptions::on_not_finite.");
  }
  ++figures_.skipped;
  if (!roll_back_) return;
  rule_.discard();  // what waits for a step was computed with parameters that are left
  step_examples_ = 0;
  roll_back_->restore(*learner_, *optimizer_);
  ++figures_.rolled_back;
}

// Steps, by so large a share of what the optimiser would; returns what the others are to know of it.
auto Replica::change(std::span<const float> gradient, float share) -> std::shared_ptr<const std::span<float>> {
  if (exchange_->alone()) {
    learner_->update(*optimizer_, gradient, {});
    return nullptr;
  }
  auto buffer = buffers_->get();
  const auto values = *buffer;
  if (model_.options().exchange == exchange::updates) {
    learner_->update(*optimizer_, gradient, values);
    if (share < 1) take_back(values, 1 - share);
  } else {
    if (gradient.empty()) gradient = learner_->gradient();
    std::transform(gradient.begin(), gradient.end(), values.begin(), [share](float g) { return share * g; });
    learner_->update(*optimizer_, values, {});
  }
  return buffer;
}

// The same, of parameters of which the gradient is for few.
auto Replica::sparse_change(std::span<const float> gradient, float share) -> std::shared_ptr<SparseChange> {
  if (exchange_->alone()) {
    learner_->update(*optimizer_, gradient, {});
    return nullptr;
  }
  if (gradient.empty()) gradient = learner_->gradient();
  auto change = changes_->get();
  change->segments.assign(learner_->touched().begin(), learner_->touched().end());
  change->values.resize(gradient.size());
  if (model_.options().exchange == exchange::updates) {
    learner_->update_some(*optimizer_, change->segments, gradient, change->values);
    if (share < 1) change->take_back(learner_->parameters(), 1 - share);
  } else {
    std::transform(gradient.begin(), gradient.end(), change->values.begin(), [share](float g) { return share * g; });
    learner_->update_some(*optimizer_, change->segments, change->values, {});
  }
  return change;
}

// A share of what a step has changed, in main memory in one pass.
void Replica::take_back(std::span<float> change, float share) {
  if (!learner_->updates_later()) {
    const auto parameters = learner_->parameters();
    for (std::size_t i = 0; i < change.size(); ++i) {
      const float less = share * change[i];
      parameters[i] -= less;
      change[i] -= less;
    }
    return;
  }
  learner_->finish_change();
  kept_.resize(change.size());
  for (std::size_t i = 0; i < change.size(); ++i) {
    kept_[i] = -share * change[i];
    change[i] += kept_[i];
  }
  learner_->add({.values = kept_, .owner = nullptr, .contributions = {}});
}

auto Replica::answer() -> bool {
  for (auto& use : uses_) {
    if (!use.input.requests) continue;
    auto request = use.input.requests.take();
    if (!request) continue;
    Outputs output;
    try {
      TensorBatch batch;
      batch.input = std::move(request->input);
      batch.more_inputs = std::move(request->more_inputs);
      output = learner_->predict(batch);
    } catch (const std::exception& error) {
      throw Error(fmt::format("model «{}» cannot predict: {}", model_.name(), first_line(error.what())),
                  fmt::format("replica {} on node {}, request {} of node {}", number_, node_.rank(), request->number,
                              request->node),
                  "Check the input's shape against the module.");
    }
    use.input.replies.at(static_cast<std::size_t>(request->node))
        ->put({request->number, number_, version(), output.first(), output.more()});
    return true;
  }
  return false;
}

void Replica::finish_training_if_ended() {
  if (training_ended_ || begun_) return;
  for (const auto& use : uses_) {
    if (use.input.batches && use.kind != Kind::validate && !use.input.batches.ended()) return;
  }
  if (adapting_ && !has_decided_all()) return;
  training_ended_ = true;
  mode_.leave();
  if (rule_.waits()) make_step(last_batch_, {}, 1);  // fewer batches than a step has otherwise
  publish_held();
  exchange_->finish(number_);
  wake();  // whether all others have finished before us is asked at the beginning of a turn
}

void Replica::validate_if_due(Use& use, bool final) {
  if (use.kind != Kind::validate || !use.input.batches || !use.input.batches.ended() || use.validated_last) return;
  const auto seen = examples_seen();
  std::vector<std::uint64_t> due;  // several, when deltas brought more examples than lie between two validations
  for (; use.every > 0 && use.next <= seen; use.next += use.every) due.push_back(use.next);
  if (due.empty() && !final) return;
  use.validated_last = final;
  Score all;
  for (const auto& batch : use.held_out) {
    const auto score = on_batch(batch, [&] { return learner_->score(batch); });
    all.loss += score.loss * static_cast<double>(score.examples);
    all.examples += score.examples;
    all.correct += score.correct;
  }
  if (all.examples > 0) all.loss /= static_cast<double>(all.examples);
  if (!use.validations) return;
  for (const auto at : due) use.validations->push({seen, at, version(), false, all});
  if (final) use.validations->push({seen, seen, version(), true, all});
}

void Replica::write_checkpoint_if_due(bool final) {
  const auto& options = model_.options().checkpoint;
  if (number_ != 0 || options.file.empty()) return;
  const auto steps = clock_[static_cast<std::size_t>(number_)];
  const Time now = node_.clock().now();
  const bool by_steps = options.every_steps > 0 && steps - checkpoint_steps_ >= options.every_steps;
  const bool by_time = options.every > Duration::zero() && now - checkpoint_time_ >= options.every;
  if (!by_steps && !by_time && !final) return;
  send();  // what is not finite is not written
  write_checkpoint(options.file, checkpoint());
  checkpoint_steps_ = steps;
  checkpoint_time_ = now;
}

auto Replica::checkpoint() const -> ModelCheckpoint {
  std::string adaptation;
  if (adapting_) {
    adapting_->board->read();  // the outcome of this replica's last batch, too, if none before it is missing
    adaptation = adapting_->board->state(static_cast<std::size_t>(number_));
  }
  return {learner_->tensors(), optimizer_->state(), rule_.schedule_state(), clock_, examples_, std::move(adaptation)};
}

void Replica::resume(const ModelCheckpoint& checkpoint, const std::filesystem::path& file) {
  if (checkpoint.clock.empty()) return;  // a file of nothing but parameters
  try {
    optimizer_->restore(checkpoint.optimizer);
    rule_.restore_schedule(checkpoint.schedule);
    if (adapting_ && !checkpoint.adaptation.empty())
      adapting_->training = adapting_->board->restore(checkpoint.adaptation);
  } catch (const Error& error) {
    throw Error(fmt::format("model «{}» cannot go on from a checkpoint: {}", model_.name(), error.failed()),
                file.string(), error.remedy());
  }
  if (checkpoint.clock.size() == clock_.size() && checkpoint.examples.size() == examples_.size()) {
    clock_ = checkpoint.clock;
    examples_ = checkpoint.examples;
  } else {  // of another number of replicas: what matters is how far all of them had come
    clock_.front() = std::accumulate(checkpoint.clock.begin(), checkpoint.clock.end(), std::uint64_t{0});
    examples_.front() = std::accumulate(checkpoint.examples.begin(), checkpoint.examples.end(), std::uint64_t{0});
  }
  checkpoint_steps_ = clock_[static_cast<std::size_t>(number_)];
  // All replicas begin alike: there is nothing to compare, nor to average, for the marks that the steps before passed.
  const auto& options = model_.options();
  if (options.measure_divergence > 0) mark_ = version() / options.measure_divergence;
  if (options.averaging.every > 0) averaged_marks_ = version() / options.averaging.every;
  if (roll_back_) {
    roll_back_.emplace();
    roll_back_->note(*learner_, *optimizer_);
  }
}

auto Replica::requests_ended() const -> bool {
  return std::all_of(uses_.begin(), uses_.end(),
                     [](const Use& use) { return !use.input.requests || use.input.requests.ended(); });
}

auto Replica::validated() const -> bool {
  return std::all_of(uses_.begin(), uses_.end(), [](const Use& use) {
    return use.kind != Kind::validate || !use.input.batches || use.validated_last;
  });
}

auto Replica::version() const -> std::uint64_t {
  return std::accumulate(clock_.begin(), clock_.end(), std::uint64_t{0});
}
auto Replica::examples_seen() const -> std::uint64_t {
  return std::accumulate(examples_.begin(), examples_.end(), std::uint64_t{0});
}

}  // namespace tensair
