#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <tensair/model/learner.hpp>
#include <tensair/model/libtorch_optimizer.hpp>
#include <tensair/model/model_runtime.hpp>
#include <tensair/model/options.hpp>
#include <tensair/model/outcomes.hpp>
#include <tensair/model/own_model.hpp>
#include <tensair/model/predict_task.hpp>
#include <tensair/model/result_head.hpp>
#include <tensair/model/routing.hpp>
#include <tensair/pipeline.hpp>
#include <utility>

namespace tensair {

/// A model in a pipeline: what `pipeline.model(…)` returns and `stream.model(…)` takes. Copies are the same model.
///
/// @code
/// auto net = pipeline.model("flowers", [] { return torch::nn::Linear(4, 3); },
///                           {.optimizer = tensair::adam({.lr = 1e-3}), .save = "flowers.pt"});
/// examples_of_flowers.batch(32).model(net).train();
/// @endcode
class ModelHandle {
 public:
  ModelHandle(std::shared_ptr<ModelRuntime> runtime, const std::shared_ptr<plan::Graph>& graph)
      : runtime_(std::move(runtime)), graph_(graph) {}

  auto name() const -> const std::string& { return runtime_->name(); }
  auto runtime() const -> const std::shared_ptr<ModelRuntime>& { return runtime_; }

  /// Says whether the model is to learn, from any thread: before the run (every node's program must then say the same)
  /// or in it, on a node that has a replica. It holds for all replicas on all nodes, until somebody says otherwise.
  ///
  /// Nobody waits for anybody to agree. What is said travels from its node to all others, and a replica obeys from its
  /// first batch after it has arrived there; of things said at the same time on several nodes, the same one wins
  /// everywhere (see `ModeChange::number`). So replicas differ at most for the time that a message is under way.
  ///
  /// @code
  /// net.mode(tensair::Mode::never);  // from here on it only predicts
  /// @endcode
  /// @throws UsageError  in the run, on a node without a replica
  void mode(Mode mode) const { runtime_->mode_board()->request(mode); }
  /// `Mode::automatic`, as a detector says: see `Automatic`. Before the run, the same in every node's program; in the
  /// run `mode(Mode::automatic)` goes back to it, and begins anew.
  ///
  /// @code
  /// net.mode(tensair::Automatic{.detector = tensair::adwin{.delta = 0.01}});
  /// @endcode
  /// @throws UsageError  without a detector; a setting that cannot be; in the run
  void mode(Automatic wanted) const { runtime_->adapt(std::move(wanted)); }
  /// The mode as this node knows it.
  auto mode() const -> Mode { return runtime_->mode_board()->mode(); }

  /// Each record of a stream of modes says what `mode(…)` would, wherever the stream is.
  ///
  /// @code
  /// net.control(words.map([](const std::string& word) {
  ///   return word == "stop" ? tensair::Mode::never : tensair::Mode::automatic;
  /// }));
  /// @endcode
  template <class Modes>
  void control(Modes&& modes) const;

  /// Where each replica began and ended to train, and why: a stream on the replicas' nodes, in order for each.
  ///
  /// @code
  /// net.mode_changes().sink([](const tensair::ModeChange& one) {
  ///   std::printf("replica %d %s at step %lu\n", one.replica, one.training ? "trains" : "rests", one.step);
  /// });
  /// @endcode
  auto mode_changes() const
      -> Stream<ModeChange, operators::Chain<operators::ResultHead<ModeChange>, operators::NoBinder>>;

  /// What was decided by `Automatic`, and why: a stream on the replicas' nodes, where each replica tells of every
  /// decision when it begins to obey it. Decisions that would hold only behind the stream's end are not told.
  ///
  /// @code
  /// net.decisions().sink([](const tensair::Decision& one) {
  ///   if (one.replica == 0 && one.deed == tensair::Deed::drift) std::printf("drift at example %lu\n", one.example);
  /// });
  /// @endcode
  auto decisions() const -> Stream<Decision, operators::Chain<operators::ResultHead<Decision>, operators::NoBinder>>;

 private:
  template <class R>
  auto watch(const char* kind, detail::ResultInlet<R> detail::ModelUse::*results) const
      -> Stream<R, operators::Chain<operators::ResultHead<R>, operators::NoBinder>>;

  std::shared_ptr<ModelRuntime> runtime_;
  std::weak_ptr<plan::Graph> graph_;  // functions in the graph may have a handle
};

/// When held-out examples are scored.
struct ValidateOptions {
  std::uint64_t every = 0;  ///< after so many training examples (of all replicas) more; 0: only at the end
};

namespace operators {

/// Makes tensors of batches, and says where they go.
template <class T, class Collate, class Routing, class Next>
class CollateStage : public StageBase<Next> {
 public:
  CollateStage(std::shared_ptr<plan::Operator> op, Collate collate, Routing routing, Next next)
      : StageBase<Next>(std::move(next)),
        op_(std::move(op)),
        collate_(std::move(collate)),
        routing_(std::move(routing)) {}

  template <class Stamp>
  void operator()(const Batch<T>& batch, Stamp stamp) {
    auto tensors = tensair::detail::to_batch(call(op_, collate_, std::span<const T>{batch.records}));
    this->next_(RoutedBatch{std::move(tensors), hash_of(batch)}, stamp);
  }
  template <class Stamp>
  void operator()(TensorBatch batch, Stamp stamp) {
    const auto hash = hash_of(batch);
    this->next_(RoutedBatch{std::move(batch), hash}, stamp);
  }

 private:
  template <class Some>
  auto hash_of(const Some& batch) -> std::uint64_t {
    const auto hash = [this](const Some& one) { return routing::hash_of(routing_, one); };
    return call(op_, hash, batch);
  }

  std::shared_ptr<plan::Operator> op_;
  Collate collate_;
  [[no_unique_address]] Routing routing_;
};

/// The operator before it is bound to the stage behind it.
template <class T, class Collate, class Routing>
struct CollateBatches {
  std::shared_ptr<plan::Operator> op;
  Collate collate;
  Routing routing;

  template <class Next>
  auto bind(Next next) && -> CollateStage<T, Collate, Routing, Next> {
    return {std::move(op), std::move(collate), std::move(routing), std::move(next)};
  }
};

/// Hands records to another task of the same node. Their times stay behind.
template <class T>
class LocalStage : public LastStage {
 public:
  using Inlet = runtime::Inlet<std::vector<T>>;
  explicit LocalStage(std::shared_ptr<Inlet> inlet) : inlet_(std::move(inlet)) {}

  template <class Stamp>
  void operator()(T record, Stamp) {
    sender_.push(std::move(record), Untimed{});
  }
  void open(StageContext& context) {
    sender_.connect(runtime::Outlet<std::vector<T>>(*inlet_, chunk_credits), context.task);
  }
  void flush() { sender_.flush(); }
  void finish() { sender_.finish(); }
  auto blocked() -> bool { return sender_.blocked(); }

 private:
  std::shared_ptr<Inlet> inlet_;
  ChunkSender<T> sender_;
};

/// Records come out of a model as predictions.
template <class T, bool Everywhere, class Collate, class Routing>
struct PredictHead {
  static constexpr bool everywhere = Everywhere;
  using Stamp = Untimed;

  std::shared_ptr<plan::Operator> op;
  std::shared_ptr<ModelRuntime> model;
  std::size_t use;
  PredictOptions options;
  Collate collate;
  Routing routing;
  std::shared_ptr<runtime::Inlet<std::vector<T>>> inlet = std::make_shared<runtime::Inlet<std::vector<T>>>();

  template <class Fused>
  void end(plan::Graph& graph, Fused fused) {
    graph.on_build([*this, stages = std::optional<Fused>(std::move(fused))](runtime::Node& node) mutable {
      if (op->sites.on(node.rank()) == 0) return;
      auto task = std::make_shared<PredictTask<T, Collate, Routing, Fused>>(node, op, model, use, options, collate,
                                                                            routing, instance_of(stages, true, *op));
      *inlet = task->inlet();
      node.when_built([&node, task] {
        task->open();
        node.scheduler().spawn(task);
      });
    });
  }
};

}  // namespace operators

template <class T>
struct RecordOf {
  using type = T;
};
template <class T>
struct RecordOf<Batch<T>> {
  using type = T;
};

/// A stream on its way into a model; what for is still to be said. What `stream.model(net)` returns.
template <class T, class SomeChain, class Collate>
class CollatedModelStream {
  using Record = typename RecordOf<T>::type;
  template <class R>
  using Results = Stream<R, operators::Chain<operators::ResultHead<R>, operators::NoBinder>>;

 public:
  CollatedModelStream(Stream<T, SomeChain> stream, ModelHandle net, Collate collate)
      : stream_(std::move(stream)), net_(std::move(net)), collate_(std::move(collate)) {}

  /// Trains the model on every batch, once, on whichever replica has room, or as the routing says: see `routing`. The
  /// model's mode decides whether it does: see `Mode`.
  ///
  /// @code
  /// examples_of_flowers.batch(32).model(net).train().sink([](const tensair::TrainStep& step) {
  ///   std::printf("loss %.3f\n", step.score.loss);
  /// });
  /// @endcode
  /// @return a stream of the steps, on each replica's node; it need not be used
  template <routing::Routing Routing = routing::Room>
  auto train(Routing routing = {}) && -> Results<TrainStep> {
    return learn<TrainStep>("train", detail::ModelUse::Kind::train, &detail::ModelUse::train_steps, std::move(routing));
  }

  /// Scores every batch as a prediction, then trains on it (prequential, test-then-train evaluation: Gama et al.,
  /// Machine Learning 90, 2013).
  ///
  /// @code
  /// examples_of_flowers.batch(1).model(net).evaluate().sink([right = 0UL](const tensair::Evaluation& one) mutable {
  ///   right += one.score.correct;
  /// });
  /// @endcode
  ///
  /// With outputs, metrics can be made of what it said of each record (see `class_outcomes` and its like):
  ///
  /// @code
  /// examples_of_flowers.batch(32)
  ///     .model(net)
  ///     .evaluate({.outputs = true})
  ///     .flat_map(tensair::class_outcomes)
  ///     .measure({.every = 1'000}, tensair::metrics::Kappa{})
  ///     .sink(print);
  /// @endcode
  /// @return a stream of the scores, on each replica's node; it need not be used
  auto evaluate(EvaluateOptions options = {}) && -> Results<Evaluation> {
    return std::move(*this).evaluate(routing::room, options);
  }
  template <routing::Routing Routing>
  auto evaluate(Routing routing, EvaluateOptions options = {}) && -> Results<Evaluation> {
    return learn<Evaluation>("evaluate", detail::ModelUse::Kind::evaluate, &detail::ModelUse::evaluations,
                             std::move(routing), 0, options.outputs);
  }

  /// Keeps the stream's batches, which must fit in memory, at the first replica, and scores them each time the model
  /// has been trained on `every` examples more, and once more when training has ended and every delta has arrived. They
  /// are never trained on.
  ///
  /// @code
  /// held_out.batch(256).model(net).validate({.every = 10'000}).sink([](const tensair::Validation& one) {
  ///   std::printf("after %lu examples: accuracy %.3f\n", one.examples_seen, one.score.accuracy());
  /// });
  /// @endcode
  auto validate(ValidateOptions options = {}) && -> Results<Validation> {
    return learn<Validation>("validate", detail::ModelUse::Kind::validate, &detail::ModelUse::validations,
                             routing::room, options.every);
  }

  /// Asks the model about every record. Single records are batched by size or deadline and come back one by one,
  /// batches come back as batches; in order on each node (with `routing::by_key`, in order for each key). What one
  /// replica answers to a stream never comes from parameters with fewer steps than what it answered before.
  ///
  /// @code
  /// queries.model(net).predict({.max_batch = 32}).sink([](const tensair::Prediction<at::Tensor>& one) {
  ///   std::printf("class %ld\n", one.output.argmax().item<long>());
  /// });
  /// @endcode
  /// @throws UserError  (stops the pipeline) when `collate` throws
  template <routing::Routing Routing = routing::Room>
  auto predict(PredictOptions options = {}, Routing routing = {}) && {
    constexpr bool fits = is_collatable();
    if constexpr (fits) {
      using Head = operators::PredictHead<T, SomeChain::everywhere, Collate, Routing>;
      auto op = stream_.follow("predict", operators::stream_type<Prediction<T>>());
      op->edge = plan::Edge::local;
      op->parallel = 1;
      const auto use = net_.runtime()->add_use(use_of(detail::ModelUse::Kind::predict, op, Routing::kind));
      auto head = Head{op, net_.runtime(), use, options, std::move(collate_), std::move(routing)};
      stream_.one_on_each_node().end(*stream_.graph_, operators::LocalStage<T>(head.inlet));
      return Stream<Prediction<T>, operators::Chain<Head, operators::NoBinder>>(stream_.graph_, op,
                                                                                {std::move(head), {}});
    } else {
      return detail::Mistake{};
    }
  }

 private:
  static constexpr auto is_collatable() -> bool {
    constexpr bool fits = std::invocable<Collate&, std::span<const Record>>;
    static_assert(fits,
                  "a model needs tensors: give the record's namespace a function collate(std::span<const Record>), or "
                  "stream.model(net, collate) one");
    return fits;
  }
  static constexpr auto can_be_learnt() -> bool {
    if constexpr (is_batch<T>) return is_collatable();
    constexpr bool fits = std::same_as<T, TensorBatch> || is_batch<T>;
    static_assert(fits, "a model learns from batches: write .batch(n) before .model(net)");
    return fits;
  }

  auto use_of(detail::ModelUse::Kind kind, std::shared_ptr<plan::Operator> op, routing::Kind routing) const
      -> detail::ModelUse {
    if (routing != routing::Kind::room) op->detail = routing::to_string(routing);
    detail::ModelUse use;
    use.kind = kind;
    use.routing = routing;
    use.op = std::move(op);
    use.from = stream_.op_;
    return use;
  }

  template <class R, class Routing>
  auto learn(std::string kind, detail::ModelUse::Kind use_kind, detail::ResultInlet<R> detail::ModelUse::*results,
             Routing routing, std::uint64_t every = 0, bool outputs = false) -> Results<R> {
    constexpr bool fits = can_be_learnt();
    auto op = stream_.follow(std::move(kind), operators::stream_type<R>());
    op->edge = plan::Edge::route;
    op->parallel = 1;
    op->may_be_unused = true;
    op->placement = plan::Placement::every_node;
    auto head = operators::ResultHead<R>(op, net_.runtime());
    auto use = use_of(use_kind, op, Routing::kind);
    use.validate_every = every;
    use.outputs = outputs;
    use.*results = head.inlet();
    if (use_kind == detail::ModelUse::Kind::validate) op->placement = plan::Placement::first_node;
    const auto number = net_.runtime()->add_use(std::move(use));
    if constexpr (fits) {
      stream_.one_on_each_node()
          .then(operators::CollateBatches<Record, Collate, Routing>{op, std::move(collate_), std::move(routing)})
          .end(*stream_.graph_, RouterStage(net_.runtime(), number));
    }
    return {stream_.graph_, op, {std::move(head), {}}};
  }

  // Ends a stream of modes at the model.
  void control() && {
    constexpr bool fits = std::convertible_to<T, Mode>;
    static_assert(fits, "net.control(stream): the stream's records are of type tensair::Mode");
    if constexpr (fits) {
      auto op = stream_.follow("control", "");
      op->edge = plan::Edge::local;
      op->parallel = 1;
      stream_.one_on_each_node().end(*stream_.graph_, ControlStage(net_.runtime()));
    }
  }
  friend class ModelHandle;

  Stream<T, SomeChain> stream_;
  ModelHandle net_;
  Collate collate_;
};

template <class T, class SomeChain>
class ModelStream : public CollatedModelStream<T, SomeChain, detail::DefaultCollate> {
 public:
  ModelStream(Stream<T, SomeChain> stream, ModelHandle net)
      : CollatedModelStream<T, SomeChain, detail::DefaultCollate>(std::move(stream), std::move(net), {}) {}
};

template <class Modes>
void ModelHandle::control(Modes&& modes) const {
  std::forward<Modes>(modes).model(*this).control();
}

template <class R>
auto ModelHandle::watch(const char* kind, detail::ResultInlet<R> detail::ModelUse::*results) const
    -> Stream<R, operators::Chain<operators::ResultHead<R>, operators::NoBinder>> {
  auto graph = graph_.lock();
  if (!graph) throw UsageError(std::string(kind) + " of a model whose pipeline is gone", runtime_->name());
  auto op = graph->add(kind, operators::stream_type<R>(), plan::Placement::every_node);
  op->input = runtime_->op().id;
  op->edge = plan::Edge::route;
  auto head = operators::ResultHead<R>(op, runtime_);
  detail::ModelUse use;
  use.kind = detail::ModelUse::Kind::watch;
  use.op = op;
  use.*results = head.inlet();
  runtime_->add_use(std::move(use));
  return {std::move(graph), op, {std::move(head), {}}};
}

inline auto ModelHandle::mode_changes() const
    -> Stream<ModeChange, operators::Chain<operators::ResultHead<ModeChange>, operators::NoBinder>> {
  return watch("mode_changes", &detail::ModelUse::mode_changes);
}

inline auto ModelHandle::decisions() const
    -> Stream<Decision, operators::Chain<operators::ResultHead<Decision>, operators::NoBinder>> {
  return watch("decisions", &detail::ModelUse::decisions);
}

namespace detail {

/// All replicas of a model begin alike: LibTorch's generator, of which a process has one, is set before each is made,
/// and locked meanwhile.
auto seed_libtorch(std::uint64_t seed) -> std::unique_lock<std::mutex>;

}  // namespace detail

template <class Factory>
auto Pipeline::model(std::string name, Factory factory, ModelOptions options) -> ModelHandle {
  static_assert(std::invocable<Factory&>, "pipeline.model takes a function without arguments that makes a module");
  if (options.overlay == overlay::automatic) options.overlay = options_.overlay;
  if (options.device.empty()) options.device = options_.device;
  auto make = [factory = std::move(factory)](const ModelOptions& from, int replicas, std::uint64_t seed) mutable {
    const auto lock = detail::seed_libtorch(seed);
    return detail::learner_of(factory(), from, replicas);
  };
  return ModelHandle(ModelRuntime::create(std::move(name), *graph_, options_.seed, std::move(make), std::move(options)),
                     graph_);
}

template <class Factory>
auto Pipeline::model(std::string name, Factory factory) -> ModelHandle {
  return model(std::move(name), std::move(factory), ModelOptions{});
}

}  // namespace tensair
