#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tensair/model/adaptation_board.hpp>
#include <tensair/model/evaluation.hpp>
#include <tensair/model/learner.hpp>
#include <tensair/model/mode_board.hpp>
#include <tensair/model/options.hpp>
#include <tensair/model/results.hpp>
#include <tensair/model/routing.hpp>
#include <tensair/model/tensor_batch.hpp>
#include <tensair/operators/chunk.hpp>
#include <tensair/plan/graph.hpp>
#include <tensair/runtime/channel.hpp>
#include <vector>

namespace tensair {

/// A request to predict, from the node whose stream it belongs to.
struct PredictRequest {
  std::uint64_t number = 0;
  std::int32_t node = 0;
  at::Tensor input;
  std::vector<at::Tensor> more_inputs{};

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& number& node& input& more_inputs;
  }
};

/// The answer.
struct PredictReply {
  std::uint64_t number = 0;
  std::int32_t replica = 0;
  std::uint64_t version = 0;
  at::Tensor output;
  std::vector<at::Tensor> more_outputs{};

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& number& replica& version& output& more_outputs;
  }
};

class Exchange;
class Replica;

namespace detail {

/// Where the results of a train, evaluate or validate stream go on this node, once its inlet is made; null inside:
/// nobody asked for them.
template <class T>
using ResultInlet = std::shared_ptr<runtime::Inlet<std::vector<T>>>;

/// One stream that uses a model, or (watch) a stream of what its replicas do.
struct ModelUse {
  enum class Kind { train, evaluate, validate, predict, watch };
  Kind kind;
  std::shared_ptr<plan::Operator> op;
  std::shared_ptr<plan::Operator> from;  ///< the last one of its stream: where that is, batches come from
  routing::Kind routing = routing::Kind::room;
  std::uint64_t validate_every = 0;  ///< training examples between two validations
  bool outputs = false;              ///< evaluations carry the model's outputs
  ResultInlet<TrainStep> train_steps;
  ResultInlet<Evaluation> evaluations;
  ResultInlet<Validation> validations;
  ResultInlet<ModeChange> mode_changes;
  ResultInlet<Decision> decisions;
};

/// What a replica receives of one stream: batches to learn from, or requests to answer; both null when that stream is
/// not for this replica.
struct ReplicaInput {
  runtime::Inlet<TensorBatch> batches;
  runtime::Inlet<PredictRequest> requests;
  std::vector<std::optional<runtime::Outlet<PredictReply>>> replies;  ///< by node
};

/// Batches that may wait at a replica from one sender: one being trained on and one to go on with.
inline constexpr std::size_t batch_credits = 2;

}  // namespace detail

/// What the replicas of one node have done; part of the figures of a run.
struct ModelFigures {
  std::size_t replicas = 0;
  std::uint64_t steps = 0, examples = 0;
  std::uint64_t dropped = 0;                   ///< steps not made, because they were too stale
  std::uint64_t skipped = 0, rolled_back = 0;  ///< batches with something that is not finite
  std::uint64_t untrained = 0;                 ///< examples that came and, as the mode said, were not trained on
  std::uint64_t unwatched = 0;                 ///< batches of all nodes whose loss was not finite: no detector saw it
  std::uint64_t deltas_sent = 0;               ///< over links
  double divergence = 0, largest_divergence = 0;
  std::uint64_t divergences = 0;                  ///< how often it was measured
  std::vector<std::uint64_t> staleness_counts{};  ///< [v]: steps of others applied with staleness v (the last: or more)
};

/// A model of the graph, and once the graph is built the replicas of it that live on this node.
class ModelRuntime {
 public:
  /// @param replicas  that exchange what they learn
  /// @param seed      of the parameters' first values
  using MakeLearner =
      std::function<std::unique_ptr<Learner>(const ModelOptions& options, int replicas, std::uint64_t seed)>;

  /// A model of `graph`, which shares it from then on.
  /// @throws UsageError  a number of replicas that cannot be
  static auto create(std::string name, plan::Graph& graph, std::uint64_t seed, MakeLearner make, ModelOptions options)
      -> std::shared_ptr<ModelRuntime>;
  ~ModelRuntime();

  auto add_use(detail::ModelUse use) -> std::size_t;
  auto uses() const -> const std::vector<detail::ModelUse>& { return uses_; }
  auto name() const -> const std::string& { return name_; }
  auto options() const -> const ModelOptions& { return options_; }
  auto op() const -> const plan::Operator& { return *op_; }
  /// What decides whether the replicas train.
  auto mode_board() const -> const std::shared_ptr<ModeBoard>& { return mode_board_; }
  /// Mode `automatic` from now on, by a detector. Before the run.
  /// @throws UsageError  a setting that cannot be; the run has begun
  void adapt(Automatic wanted);
  /// How, and what the replicas of this node know together; null without a detector.
  auto automatic() const -> const std::optional<Automatic>& { return automatic_; }
  auto adaptation_board() const -> const std::shared_ptr<AdaptationBoard>& { return adaptation_board_; }

  // Once the graph's operators have been placed:
  /// How many replicas there are on all nodes.
  auto replicas() const -> int { return op_->sites.total(); }
  /// How many live on this node.
  auto local_replicas(const runtime::Node& node) const -> std::size_t {
    return static_cast<std::size_t>(op_->sites.on(node.rank()));
  }
  /// The nodes that have replicas: replica i is on the i-th of them, round and round.
  auto owners() const -> std::vector<net::Rank>;

  /// An outlet to each replica for a stream of batches or requests, in order of replica. For the stage that ends the
  /// stream's chain.
  auto batch_outlets(runtime::Node& node, std::size_t use) -> std::vector<runtime::Outlet<TensorBatch>>;
  auto request_outlets(runtime::Node& node, std::size_t use) -> std::vector<runtime::Outlet<PredictRequest>>;
  /// Where a predict stream's replies arrive: set by the stream's task, read by this node's replicas.
  void set_reply_inlet(std::size_t use, runtime::Inlet<PredictReply> inlet);
  static auto reply_channel(const plan::Operator& op) -> net::ChannelId;

  /// The learners of this node's replicas, in order; for tests, after the run.
  auto learners() const -> std::vector<Learner*>;
  /// Of this node, after the run.
  auto figures() const -> ModelFigures;

 private:
  friend class Replica;
  struct State;

  ModelRuntime(std::string name, std::shared_ptr<plan::Operator> op, std::uint64_t seed, MakeLearner make,
               ModelOptions options);
  void check() const;
  void build(runtime::Node& node);
  void build_adaptation(runtime::Node& node);
  auto make_learner(int replica) const -> std::unique_ptr<Learner>;
  auto make_learner(int replica, const std::string& device) const -> std::unique_ptr<Learner>;
  auto challenger_exchange(runtime::Node& node, std::size_t parameters) -> std::shared_ptr<Exchange>;
  auto make_input(runtime::Node& node, std::size_t use, int replica) -> detail::ReplicaInput;
  auto reply_outlets(runtime::Node& node, std::size_t use) -> std::vector<std::optional<runtime::Outlet<PredictReply>>>;
  template <class T>
  auto outlets(runtime::Node& node, std::size_t use, const std::vector<std::vector<runtime::Inlet<T>>>& inlets)
      -> std::vector<runtime::Outlet<T>>;

  std::string name_;
  std::shared_ptr<plan::Operator> op_;
  std::uint64_t seed_;
  MakeLearner make_;
  ModelOptions options_;
  std::shared_ptr<ModeBoard> mode_board_;
  std::optional<Automatic> automatic_;
  std::shared_ptr<AdaptationBoard> adaptation_board_;
  std::vector<detail::ModelUse> uses_;
  std::unique_ptr<State> state_;
  std::shared_ptr<const ModelCheckpoint> start_;  // what replicas begin with; null: what the factory makes
};

/// A batch on its way to a replica.
struct RoutedBatch {
  TensorBatch batch;
  std::uint64_t hash = 0;  ///< of its key, if it goes by key
};

/// Ends a chain of tensor batches at a model: each goes where the use's routing says.
class RouterStage : public operators::LastStage {
 public:
  RouterStage(std::shared_ptr<ModelRuntime> model, std::size_t use);
  /// Another instance of the same stage, with nothing in it.
  RouterStage(const RouterStage& other);
  auto operator=(const RouterStage&) -> RouterStage& = delete;
  RouterStage(RouterStage&&) noexcept;
  auto operator=(RouterStage&&) noexcept -> RouterStage&;
  ~RouterStage();

  template <class Stamp>
  void operator()(RoutedBatch batch, Stamp) {
    push(std::move(batch));
  }
  void open(operators::StageContext& context);
  void flush();
  void finish();
  auto blocked() const -> bool { return blocked_; }  // asked before each record of the stream: here, to be inlined

 private:
  void push(RoutedBatch batch);

  struct State;
  std::unique_ptr<State> state_;
  bool blocked_ = false;
};

/// Ends a chain of modes at a model, which takes each.
class ControlStage : public operators::LastStage {
 public:
  explicit ControlStage(std::shared_ptr<ModelRuntime> model) : model_(std::move(model)) {}

  template <class Stamp>
  void operator()(Mode mode, Stamp) {
    model_->mode_board()->command(mode);
  }

 private:
  std::shared_ptr<ModelRuntime> model_;
};

/// The outlet with a credit that comes first in `order`, or null. Outlets of this node come first and take turns.
template <class T>
auto outlet_with_room(std::vector<runtime::Outlet<T>>& outlets, const std::vector<std::size_t>& order)
    -> runtime::Outlet<T>* {
  runtime::Outlet<T>* best = nullptr;
  for (const auto i : order) {
    auto& outlet = outlets[i];
    if (outlet.credits() == 0) continue;
    if (!best || (best->to_other_node() == outlet.to_other_node() && outlet.credits() > best->credits()))
      best = &outlet;
  }
  return best;
}

/// Numbers of the outlets, those to this node first; the others begin with the next node's, so that not all nodes ask
/// the same one.
template <class T>
auto local_first(const std::vector<runtime::Outlet<T>>& outlets, int rank) -> std::vector<std::size_t> {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < outlets.size(); ++i) {
    if (!outlets[i].to_other_node()) order.push_back(i);
  }
  for (std::size_t k = 0; k < outlets.size(); ++k) {
    const std::size_t i = (k + static_cast<std::size_t>(rank)) % outlets.size();
    if (outlets[i].to_other_node()) order.push_back(i);
  }
  return order;
}

}  // namespace tensair
