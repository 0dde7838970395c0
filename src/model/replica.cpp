#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <tensair/model/replica.hpp>

namespace tensair {
namespace {

using Kind = detail::ModelUse::Kind;
using Seconds = std::chrono::duration<double>;

// Larger staleness is counted as this: a replica thousands of steps behind has other troubles than a histogram's end.
constexpr std::size_t staleness_limit = 4096;

// Infinities and NaN have all exponent bits set. Integers, because a float reduction would not be vectorised.
auto all_finite(std::span<const float> values) -> bool {
  constexpr std::uint32_t exponent = 0x7f80'0000U;
  std::uint32_t found = 0;
  for (const float value : values)
    found |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(value) & exponent) == exponent);
  return found == 0;
}

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
      optimizer_(model.options().optimizer(learner_->parameters().size())),
      exchange_(std::move(exchange)),
      buffers_(std::make_shared<DeltaBuffers>(learner_->parameters().size())),
      pace_(model.replicas(), number, model.options().patience),
      mode_(model.mode_board(), number, model.options().convergence),
      clock_(static_cast<std::size_t>(model.replicas())),
      examples_(clock_.size()) {
  figures_.staleness_counts.resize(staleness_limit + 1);
  for (std::size_t i = 0; i < model.uses_.size(); ++i) {
    auto& use = uses_.emplace_back();
    use.kind = model.uses_[i].kind;
    use.input = model.make_input(node, i, number);
    use.every = use.next = model.uses_[i].validate_every;
  }
}

void Replica::open() {
  exchange_->bind(number_, *this);
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
  }
}

template <class Body>
void Replica::for_each_sender(Body body) {
  for (auto& use : uses_) {
    if (use.train_steps) body(*use.train_steps);
    if (use.evaluations) body(*use.evaluations);
    if (use.validations) body(*use.validations);
    if (use.mode_changes) body(*use.mode_changes);
  }
}

auto Replica::run() -> runtime::Turn {
  if (!started_) {
    at::set_num_threads(model_.options().threads);  // a setting of each thread
    started_ = true;
  }
  return work();
}

// One turn: what the others did, one answer, and one batch unless others are about to end a step.
auto Replica::work() -> runtime::Turn {
  for_each_sender([](auto& sender) { sender.flush(); });
  bool blocked = false;
  for_each_sender([&](auto& sender) { blocked = blocked || sender.blocked(); });
  if (results_finished_) return blocked ? runtime::Turn::wait() : runtime::Turn::done();

  // Asked before the deltas are collected: once all replicas have finished, what is collected then is the last.
  const bool complete = training_ended_ && exchange_->finished();
  read_mode();
  bool busy = apply_deltas();
  busy = answer() || busy;
  Time resume = never;
  if (!blocked) {
    resume = wait_for_peers();
    if (resume == never) {
      busy = apply_deltas() || busy;  // what arrived since, which need not be waited for
      busy = learn() || busy;
    }
  }
  finish_training_if_ended();
  for (auto& use : uses_) validate_if_due(use, complete);

  if (complete && requests_ended() && validated()) {
    results_finished_ = true;
    for_each_sender([](auto& sender) { sender.finish(); });
    busy = true;
  }
  for_each_sender([](auto& sender) { sender.flush(); });
  return busy ? runtime::Turn::again() : runtime::Turn::wait(resume);
}

// Until when to let others finish their step; `never` when there is nobody to wait for.
auto Replica::wait_for_peers() -> Time {
  if (exchange_->alone()) return never;
  const Time now = node_.clock().now();
  const Time until = pace_.wait_until(now, exchange_->arrivals());
  return until > now ? until : never;
}

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
  if (model_.options().exchange == exchange::updates) {
    add(learner_->parameters(), delta.values);
  } else {
    optimizer_->step(learner_->parameters(), delta.values);
  }
  for (const auto& one : delta.contributions) {
    const std::uint64_t unseen = unseen_by(one);
    last_staleness_ = std::max(last_staleness_, unseen);
    figures_.staleness_counts[std::min<std::size_t>(unseen, staleness_limit)] += one.steps;
  }
  for (const auto& one : delta.contributions) {
    clock_[one.replica] += one.steps;
    examples_[one.replica] += one.examples;
  }
}

auto Replica::learn() -> bool {
  for (std::size_t k = 0; k < uses_.size(); ++k) {
    auto& use = uses_[(turn_ + k) % uses_.size()];
    if (!use.input.batches) continue;
    auto batch = use.input.batches.take();
    if (!batch) continue;
    if (use.kind == Kind::validate) {
      use.held_out.push_back(std::move(*batch));
    } else {
      learn_from(*batch, use);
    }
    ++turn_;
    return true;
  }
  return false;
}

void Replica::fail(const std::string& what, const TensorBatch& batch, const std::string& remedy) const {
  throw Error(fmt::format("model «{}» {}", model_.name(), what),
              fmt::format("replica {} on node {}, step {}, batch {} of node {}", number_, node_.rank(),
                          clock_[static_cast<std::size_t>(number_)] + 1, batch.number + 1, batch.node),
              remedy);
}

template <class Body>
auto Replica::on_batch(const TensorBatch& batch, Body body) const {
  try {
    return body();
  } catch (const std::exception& error) {
    fail("cannot take a batch: " + first_line(error.what()), batch,
         "Check the batch's shapes and targets against the module and the loss.");
  }
}

// As the mode says: a batch that is not trained on is scored if somebody wants to know.
void Replica::learn_from(const TensorBatch& batch, Use& use) {
  if (use.kind == Kind::evaluate) evaluate(batch, use);
  if (mode_.training()) {
    step(batch, use);
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
      use.mode_changes->push({number_, node_.rank(), verdict->mode, verdict->training, verdict->cause, verdict->by,
                              verdict->number, figures_.steps, examples_seen()});
  }
}

void Replica::evaluate(const TensorBatch& batch, Use& use) {
  const auto score = on_batch(batch, [&] { return learner_->score(batch); });
  last_loss_ = score.loss;
  if (use.evaluations) use.evaluations->push({number_, node_.rank(), version(), score});
}

// What replicas in phase send each other in the midst of a round comes in time for the next one. What is older, or
// comes from a replica that knows no rounds, is late.
auto Replica::is_late(const Delta& delta) const -> bool {
  return std::all_of(delta.contributions.begin(), delta.contributions.end(),
                     [this](const Contribution& one) { return one.round != pace_.round(); });
}

// The gradient of a batch. By the time it is applied, the others will have changed the parameters, most likely as they
// did during the last step: so it is taken where the parameters will be then (Hakimi et al., "Taming momentum in a
// distributed asynchronous environment", 2019, predict it from momentum).
auto Replica::compute(const TensorBatch& batch) -> Score {
  if (!late_ || !model_.options().anticipate || model_.options().exchange != exchange::updates)
    return on_batch(batch, [&] { return learner_->compute(batch); });
  const auto parameters = learner_->parameters();
  kept_.assign(parameters.begin(), parameters.end());
  add(parameters, late_->values);
  const auto score = on_batch(batch, [&] { return learner_->compute(batch); });
  std::copy(kept_.begin(), kept_.end(), parameters.begin());
  return score;
}

void Replica::step(const TensorBatch& batch, Use& use) {
  const Time began = node_.clock().now();
  const auto core_before = node_.clock().core_time();
  const auto score = compute(batch);
  last_loss_ = score.loss;
  // What came while this was computed is too late for it, and is what to expect during the next step.
  const auto in_midst = exchange_->collect(number_);
  late_ = in_midst && is_late(*in_midst) ? in_midst : nullptr;
  if (!std::isfinite(score.loss))
    fail("has a loss that is not finite", batch, "Look for NaN in the input, or lower the learning rate.");
  auto changed = change();
  if (!all_finite(learner_->parameters()))
    fail("has parameters that are not finite", batch, "Lower the learning rate, or look for NaN in the gradient.");
  publish(batch, std::move(changed));
  if (in_midst) apply(*in_midst);
  const Time ended = node_.clock().now();
  const auto core = node_.clock().core_time() - core_before;
  pace_.stepped(began, ended, ended > began ? std::min(1.0, Seconds(core) / Seconds(ended - began)) : 1);
  if (use.train_steps) {
    use.train_steps->push(
        {number_, node_.rank(), figures_.steps, examples_seen(), std::exchange(last_staleness_, 0), score});
  }
}

// Steps; returns what the others are to know of it.
auto Replica::change() -> std::shared_ptr<std::vector<float>> {
  if (exchange_->alone()) {
    optimizer_->step(learner_->parameters(), learner_->gradient());
    return nullptr;
  }
  auto buffer = buffers_->get();
  if (model_.options().exchange == exchange::updates) {
    optimizer_->tracked_step(learner_->parameters(), learner_->gradient(), *buffer);
  } else {
    optimizer_->step(learner_->parameters(), learner_->gradient());
    std::copy(learner_->gradient().begin(), learner_->gradient().end(), buffer->begin());
  }
  return buffer;
}

void Replica::publish(const TensorBatch& batch, std::shared_ptr<std::vector<float>> change) {
  const auto examples = static_cast<std::uint64_t>(batch.examples());
  const auto own = static_cast<std::size_t>(number_);
  if (change) {
    auto delta = std::make_shared<Delta>();
    delta->values = *change;
    delta->owner = std::move(change);
    const auto others = std::accumulate(clock_.begin(), clock_.end(), std::uint64_t{0}) - clock_[own];
    delta->contributions.push_back({static_cast<std::uint32_t>(number_), 1, examples,
                                    exchange_->tells_seen() ? clock_ : VersionVector{}, others, pace_.round()});
    exchange_->publish(number_, std::move(delta));
  }
  ++clock_[own];
  examples_[own] += examples;
  ++figures_.steps;
  figures_.examples += examples;
}

auto Replica::answer() -> bool {
  for (auto& use : uses_) {
    if (!use.input.requests) continue;
    auto request = use.input.requests.take();
    if (!request) continue;
    at::Tensor output;
    try {
      output = learner_->predict(request->input);
    } catch (const std::exception& error) {
      throw Error(fmt::format("model «{}» cannot predict: {}", model_.name(), first_line(error.what())),
                  fmt::format("replica {} on node {}, request {} of node {}", number_, node_.rank(), request->number,
                              request->node),
                  "Check the input's shape against the module.");
    }
    use.input.replies.at(static_cast<std::size_t>(request->node))
        ->put({request->number, number_, version(), std::move(output)});
    return true;
  }
  return false;
}

void Replica::finish_training_if_ended() {
  if (training_ended_) return;
  for (const auto& use : uses_) {
    if (use.input.batches && use.kind != Kind::validate && !use.input.batches.ended()) return;
  }
  training_ended_ = true;
  mode_.leave();
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
