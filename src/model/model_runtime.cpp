#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <tensair/model/model_runtime.hpp>
#include <tensair/model/replica.hpp>

#include "device_name.hpp"
#include "io/replace_file.hpp"
#include "model/device_of.hpp"

namespace tensair {
namespace {

// A channel's number is its operator's in the low bits; a replica's own channels add the replica, the replies' channel
// one bit more.
constexpr int replica_shift = 16;
constexpr int most_replicas = (1 << 13) - 1;
constexpr net::ChannelId reply_bit = 0x4000'0000U;

auto replica_channel(const plan::Operator& op, int replica) -> net::ChannelId {
  return operators::channel_of(op) | (static_cast<net::ChannelId>(replica) + 1) << replica_shift;
}

auto to_string(exchange what) -> const char* {
  return what == exchange::updates ? "updates" : what == exchange::gradients ? "gradients" : "nothing";
}

// Replicas that exchange begin alike, and members of an ensemble each in another way.
auto seed_of(int replica, std::uint64_t seed, exchange what) -> std::uint64_t {
  constexpr std::uint64_t golden = 0x9e37'79b9'7f4a'7c15;  // 2^64 over the golden ratio: far from each other
  return what == exchange::none ? seed + golden * static_cast<std::uint64_t>(replica) : seed;
}

auto nodes_with(const runtime::Sites& sites) -> std::vector<net::Rank> {
  std::vector<net::Rank> nodes;
  for (net::Rank rank = 0; rank < sites.nodes(); ++rank) {
    if (sites.on(rank) > 0) nodes.push_back(rank);
  }
  return nodes;
}

void check(const ModelOptions& options, const std::string& name) {
  const auto require = [&](bool good, const std::string& what, const char* option, const std::string& remedy) {
    if (!good) throw UsageError(fmt::format("model «{}» {}", name, what), option, remedy);
  };
  require(options.patience >= 0 && options.patience <= 1, fmt::format("has a patience of {}", options.patience),
          "ModelOptions::patience", "It must be a share of a step: 0 to 1.");
  const auto& every = options.every;
  require(every.steps > 0 && every.time >= every.time.zero(),
          fmt::format("exchanges every {} steps or {} ms", every.steps, every.time.count()), "ModelOptions::every",
          "Give at least one step, and a time that is not negative.");
  const auto compensation = options.staleness.compensation;
  require(compensation >= 0 && std::isfinite(compensation), fmt::format("has a delay compensation of {}", compensation),
          "StalenessOptions::compensation", "It must be a number from 0.");
  require(options.replicas >= 0 && options.replicas <= most_replicas,
          fmt::format("is to have {} replicas", options.replicas), "ModelOptions::replicas",
          fmt::format("Give a number from 1 to {}, or 0 for one on each node.", most_replicas));
  require(options.accumulate >= 1, fmt::format("is to step after {} batches", options.accumulate),
          "ModelOptions::accumulate", "It must be 1 or more.");
  require(options.clip_norm >= 0, fmt::format("has a clip_norm of {}", options.clip_norm), "ModelOptions::clip_norm",
          "It must be 0 or more.");
  require(options.clip_value >= 0, fmt::format("has a clip_value of {}", options.clip_value),
          "ModelOptions::clip_value", "It must be 0 or more.");
  require(options.device.empty() || tensair::detail::is_device_name(options.device),
          fmt::format("is to compute on «{}»", options.device), "ModelOptions::device",
          fmt::format("Say {}.", tensair::detail::device_names));
  const auto& to = options.checkpoint;
  require(!to.file.empty() || (to.every_steps == 0 && to.every <= Duration::zero() && !to.resume),
          "has a checkpoint without a file", "ModelOptions::checkpoint", "Name one.");
  const auto& rule = options.convergence;
  require(rule.window >= 1 && rule.windows >= 1 && rule.factor >= 1 && rule.rise > 0,
          fmt::format("has {} windows of {} batches, a factor of {} and a rise of {}", rule.windows, rule.window,
                      rule.factor, rule.rise),
          "ModelOptions::convergence", "Give at least one of each, and a rise above 0.");
}

/// The checkpoint that a run goes on from, if it is to and there is one.
auto find_start(const ModelOptions& options) -> std::shared_ptr<const ModelCheckpoint> {
  if (!options.checkpoint.resume) return nullptr;
  auto found = find_checkpoint(options.checkpoint.file);
  if (!found) return nullptr;
  if (const auto& warning = found->warning; !warning.empty()) {
    if (const auto& warn = options.checkpoint.warn) {
      warn(warning);
    } else {
      fmt::print(stderr, "tensair: {}\n", warning);
    }
  }
  return std::make_shared<const ModelCheckpoint>(std::move(found->checkpoint));
}

/// Where what replicas begin with is from, for errors.
auto begins_with(const ModelOptions& options) -> const std::filesystem::path& {
  return options.checkpoint.resume && !options.checkpoint.file.empty() ? options.checkpoint.file : options.load;
}

auto sum_of(const VersionVector& clock) -> std::uint64_t {
  return std::accumulate(clock.begin(), clock.end(), std::uint64_t{0});
}

}  // namespace

struct ModelRuntime::State {
  std::shared_ptr<Exchange> exchange;
  std::shared_ptr<Exchange> challengers;              // where they tell each other what they learn; null: nowhere
  std::vector<std::shared_ptr<Replica>> replicas;     // of this node
  std::vector<runtime::Inlet<PredictReply>> replies;  // by use
};

ModelRuntime::ModelRuntime(std::string name, std::shared_ptr<plan::Operator> op, std::uint64_t seed, MakeLearner make,
                           ModelOptions options)
    : name_(std::move(name)),
      op_(std::move(op)),
      seed_(seed),
      make_(std::move(make)),
      options_(std::move(options)),
      mode_board_(std::make_shared<ModeBoard>(options_.mode)),
      state_(std::make_unique<State>()) {}

auto ModelRuntime::create(std::string name, plan::Graph& graph, std::uint64_t seed, MakeLearner make,
                          ModelOptions options) -> std::shared_ptr<ModelRuntime> {
  tensair::check(options, name);
  auto op = graph.add("model", "", plan::Placement::every_node);
  op->label = name;
  op->is_model = true;
  op->instances = options.replicas;
  op->where = options.on;
  op->detail = fmt::format("exchange of {}, seed {}", to_string(options.exchange), seed);
  if (options.every.steps != 1 || options.every.time.count() != 0)
    op->detail += fmt::format(", every {} steps or {} ms", options.every.steps, options.every.time.count());
  if (options.compression.make) op->detail += ", compressed to " + options.compression.name;
  auto start = find_start(options);
  // In the plan, so that nodes that would go on from different places refuse each other.
  if (start) op->detail += fmt::format(", goes on from step {}", sum_of(start->clock));
  if (options.overlay != overlay::automatic)
    op->detail += options.overlay == overlay::mesh ? ", over a mesh" : ", over a tree";
  const std::shared_ptr<ModelRuntime> model{
      new ModelRuntime(std::move(name), std::move(op), seed, std::move(make), std::move(options))};
  model->start_ = std::move(start);
  graph.on_check([model] { model->check(); });
  graph.on_build([model](runtime::Node& node) { model->build(node); });
  return model;
}

ModelRuntime::~ModelRuntime() = default;

void ModelRuntime::check() const {
  using Kind = detail::ModelUse::Kind;
  if (!options_.save.empty()) check_replaceable(options_.save);
  if (!options_.checkpoint.file.empty()) check_replaceable(options_.checkpoint.file);
  if (std::all_of(uses_.begin(), uses_.end(), [](const auto& use) { return use.kind == Kind::watch; }))
    throw UsageError(fmt::format("model «{}» is never used", name_), {},
                     "Send it a stream: stream.model(net).train().");
  for (const auto& use : uses_) {
    if (use.kind == Kind::predict || use.routing != routing::Kind::all || options_.exchange == exchange::none) continue;
    throw UsageError(fmt::format("model «{}» is to learn each batch at every replica, and replicas tell each other "
                                 "what they learnt: everything would count several times",
                                 name_),
                     use.op->title(), "Give the model exchange::none, or the stream another routing.");
  }
}

auto ModelRuntime::add_use(detail::ModelUse use) -> std::size_t {
  uses_.push_back(std::move(use));
  return uses_.size() - 1;
}

auto ModelRuntime::owners() const -> std::vector<net::Rank> {
  return nodes_with(op_->sites);
}

void ModelRuntime::adapt(Automatic wanted) {
  const auto require = [&](bool good, const std::string& what, const std::string& remedy) {
    if (!good) throw UsageError(fmt::format("model «{}» {}", name_, what), "Automatic", remedy);
  };
  require(!adaptation_board_, "is to get a detector in the run", "Give it one before, and set its mode in the run.");
  require(static_cast<bool>(wanted.detector), "is to be automatic without a detector",
          "Name one (.detector = tensair::optwin{}), or set Mode::automatic.");
  const auto& rule = wanted.convergence;
  require(rule.window >= 1 && rule.windows >= 1 && rule.factor >= 1,
          fmt::format("has {} windows of {} batches and a factor of {}", rule.windows, rule.window, rule.factor),
          "Give at least one of each.");
  require(wanted.fades_after >= 1, "has warnings that fade before they are there", "Let them last one value or more.");
  require(wanted.challenger.level > 0 && wanted.challenger.level < 1 && wanted.challenger.examples >= 1,
          fmt::format("has challengers with a level of {} and {} examples", wanted.challenger.level,
                      wanted.challenger.examples),
          "Give a level between 0 and 1, and at least one example.");
  if (!automatic_) op_->detail += fmt::format(", adapts by {}", wanted.detector.name());
  automatic_ = std::move(wanted);
  mode_board_->request(Mode::automatic);
}

// As the factory makes it.
auto ModelRuntime::make_learner(int replica) const -> std::unique_ptr<Learner> {
  return make_learner(replica, device_of(options_.device, replica / static_cast<int>(owners().size()), name_));
}

auto ModelRuntime::make_learner(int replica, const std::string& device) const -> std::unique_ptr<Learner> {
  const bool together = options_.exchange != exchange::none;
  auto options = options_;
  options.device = device;
  return make_(options, together ? replicas() : 1, seed_of(replica, seed_, options_.exchange));
}

// Of updates, whatever the models exchange. Channels as below.
auto ModelRuntime::challenger_exchange(runtime::Node& node, std::size_t parameters) -> std::shared_ptr<Exchange> {
  const bool alone = replicas() == 1 || options_.exchange == exchange::none;
  if (!state_->challengers && !alone && automatic_->on_drift == OnDrift::challenge) {
    auto options = options_;
    options.exchange = exchange::updates;
    state_->challengers = std::make_shared<Exchange>(node, replica_channel(*op_, 1), Overlay{owners(), options.overlay},
                                                     replicas(), parameters, options);
  }
  return state_->challengers;
}

void ModelRuntime::build_adaptation(runtime::Node& node) {
  using Kind = detail::ModelUse::Kind;
  std::size_t streams = 0, senders = 0;
  for (const auto& use : uses_) {
    if (use.kind != Kind::train && use.kind != Kind::evaluate) continue;
    ++streams;
    senders += nodes_with(use.from->sites).size();
    if (use.routing == routing::Kind::all)
      throw UsageError(fmt::format("model «{}» is to adapt, and to learn each batch at every replica", name_),
                       use.op->title(), "Take another routing, or another mode.");
  }
  const auto all = static_cast<std::size_t>(replicas());
  adaptation_board_ = std::make_shared<AdaptationBoard>(*automatic_, automatic_->lag.value_or(4 * (all - 1)));
  // The model's operator has no batches of its own: the channel that its first replica would get them by is free.
  adaptation_board_->attach(node, replica_channel(*op_, 0), all, owners(), streams == 1 && senders == 1);
}

void ModelRuntime::build(runtime::Node& node) {
  at::set_num_threads(options_.threads);
  auto& state = *state_;
  state.replies.resize(uses_.size());
  const auto owners = this->owners();
  const bool together = options_.exchange != exchange::none;
  if (options_.on_not_finite == not_finite::roll_back && replicas() > 1 && together) {
    throw UsageError(fmt::format("model «{}» is to roll back, and has {} replicas", name_, replicas()),
                     "ModelOptions::on_not_finite", "Let it have one, or let it skip such batches.");
  }
  mode_board_->attach(node, operators::channel_of(*op_) | reply_bit, static_cast<std::size_t>(replicas()), owners);
  if (automatic_) build_adaptation(node);
  for (int i = 0; i < replicas(); ++i) {
    if (owners[static_cast<std::size_t>(i) % owners.size()] != node.rank()) continue;
    auto learner = make_learner(i);
    if (!start_ && !options_.load.empty())
      start_ = std::make_shared<const ModelCheckpoint>(read_checkpoint(options_.load));
    if (start_) learner->assign(start_->model, begins_with(options_).string());
    if (!state.exchange) {
      state.exchange = std::make_shared<Exchange>(node, operators::channel_of(*op_), Overlay{owners, options_.overlay},
                                                  replicas(), learner->size(), options_);
      if (!together) state.exchange->make_independent();
    }
    auto replica = std::make_shared<Replica>(node, *this, i, std::move(learner), state.exchange);
    if (start_) replica->resume(*start_, begins_with(options_));
    state.replicas.push_back(replica);
    mode_board_->add(*replica);
    if (adaptation_board_) adaptation_board_->add(static_cast<std::size_t>(i), *replica);
    node.when_built([&node, replica] {
      replica->open();
      node.scheduler().spawn(replica);
    });
  }
  if (state.replicas.empty()) return;
  node.report(name_, [this] {
    const auto all = figures();
    return fmt::format(
        R"({{"replicas":{},"steps":{},"examples":{},"dropped":{},"skipped":{},"rolled_back":{},"untrained":{},"unwatched":{},"deltas_sent":{},)"
        R"("divergence":{{"last":{},"largest":{},"measured":{}}},"staleness_counts":[{}]}})",
        all.replicas, all.steps, all.examples, all.dropped, all.skipped, all.rolled_back, all.untrained, all.unwatched,
        all.deltas_sent, all.divergence, all.largest_divergence, all.divergences, fmt::join(all.staleness_counts, ","));
  });
  if (node.rank() == owners.front() && !options_.save.empty()) {
    node.at_end([this] { state_->replicas.front()->learner().save(options_.save); });
  }
}

auto ModelRuntime::figures() const -> ModelFigures {
  ModelFigures all;
  all.replicas = state_->replicas.size();
  for (const auto& replica : state_->replicas) {
    const auto& one = replica->figures();
    all.steps += one.steps;
    all.examples += one.examples;
    all.dropped += one.dropped;
    all.skipped += one.skipped;
    all.rolled_back += one.rolled_back;
    all.untrained += one.untrained;
    all.staleness_counts.resize(one.staleness_counts.size());
    for (std::size_t v = 0; v < one.staleness_counts.size(); ++v) all.staleness_counts[v] += one.staleness_counts[v];
  }
  if (adaptation_board_) all.unwatched = adaptation_board_->rejected();
  if (!state_->exchange) return all;
  const auto apart = state_->exchange->divergence();
  all.deltas_sent = state_->exchange->deltas_sent();
  all.divergence = apart.last;
  all.largest_divergence = apart.largest;
  all.divergences = apart.measured;
  return all;
}

template <class T>
auto ModelRuntime::outlets(runtime::Node& node, std::size_t use,
                           const std::vector<std::vector<runtime::Inlet<T>>>& inlets)
    -> std::vector<runtime::Outlet<T>> {
  std::vector<runtime::Outlet<T>> outlets;
  const auto& op = *uses_[use].op;
  const auto owners = this->owners();
  const int count = uses_[use].kind == detail::ModelUse::Kind::validate ? 1 : replicas();
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const net::Rank owner = owners[at % owners.size()];
    if (owner == node.rank()) {
      outlets.emplace_back(inlets[use].at(at / owners.size()), detail::batch_credits);
      continue;
    }
    auto& outlet = outlets.emplace_back(node, owner, replica_channel(op, i), 0);
    auto returns = std::vector<std::shared_ptr<runtime::detail::CreditReturn>>(static_cast<std::size_t>(node.count()));
    returns[static_cast<std::size_t>(owner)] = outlet.credit_return();
    runtime::receive_credits(node, replica_channel(op, i), std::move(returns));
  }
  return outlets;
}

auto ModelRuntime::batch_outlets(runtime::Node& node, std::size_t use) -> std::vector<runtime::Outlet<TensorBatch>> {
  std::vector<std::vector<runtime::Inlet<TensorBatch>>> inlets(uses_.size());
  for (auto& replica : state_->replicas) inlets[use].push_back(replica->batches(use));
  return outlets(node, use, inlets);
}

auto ModelRuntime::request_outlets(runtime::Node& node, std::size_t use)
    -> std::vector<runtime::Outlet<PredictRequest>> {
  std::vector<std::vector<runtime::Inlet<PredictRequest>>> inlets(uses_.size());
  for (auto& replica : state_->replicas) inlets[use].push_back(replica->requests(use));
  return outlets(node, use, inlets);
}

void ModelRuntime::set_reply_inlet(std::size_t use, runtime::Inlet<PredictReply> inlet) {
  state_->replies.resize(uses_.size());
  state_->replies[use] = std::move(inlet);
}

auto ModelRuntime::reply_channel(const plan::Operator& op) -> net::ChannelId {
  return operators::channel_of(op) | reply_bit;
}

auto ModelRuntime::learners() const -> std::vector<Learner*> {
  std::vector<Learner*> learners;
  for (const auto& replica : state_->replicas) learners.push_back(&replica->learner());
  return learners;
}

auto ModelRuntime::make_input(runtime::Node& node, std::size_t use, int replica) -> detail::ReplicaInput {
  using Kind = detail::ModelUse::Kind;
  const auto& one = uses_[use];
  if (one.kind == Kind::watch) return {};
  const auto channel = replica_channel(*one.op, replica);
  const auto senders = nodes_with(one.from->sites);
  detail::ReplicaInput input;
  if (one.kind == Kind::predict) {
    input.requests = runtime::Inlet<PredictRequest>(node, channel, senders.size(), runtime::Granting::prefer_local);
    input.requests.withhold(senders, detail::batch_credits);
  } else if (one.kind != Kind::validate || replica == 0) {
    input.batches = runtime::Inlet<TensorBatch>(node, channel, senders.size(), runtime::Granting::prefer_local);
    input.batches.withhold(senders, detail::batch_credits);
  }
  return input;
}

auto ModelRuntime::reply_outlets(runtime::Node& node, std::size_t use)
    -> std::vector<std::optional<runtime::Outlet<PredictReply>>> {
  constexpr auto unlimited = std::numeric_limits<std::size_t>::max() / 2;  // the requests bound the replies
  std::vector<std::optional<runtime::Outlet<PredictReply>>> outlets(static_cast<std::size_t>(node.count()));
  const auto& one = uses_[use];
  for (const net::Rank to : nodes_with(one.from->sites)) {
    auto& outlet = outlets[static_cast<std::size_t>(to)];
    if (to == node.rank()) {
      outlet.emplace(state_->replies.at(use), unlimited);
    } else {
      outlet.emplace(node, to, reply_channel(*one.op), unlimited);
    }
  }
  return outlets;
}

}  // namespace tensair
