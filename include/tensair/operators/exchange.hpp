#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <tensair/operators/fan_out.hpp>
#include <tensair/operators/instances.hpp>
#include <tensair/operators/may_leave_node.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/runtime/queue_task.hpp>

// Where records change the task: by key, in turn, to everyone, or to node 0.
//
// The chain in front of an exchange ends in a BoundaryStage; the chain behind it is one object too, and both are known
// when the graph is written. Whether there is a channel between them is known only when it is built, from the number of
// nodes and instances. If each instance in front has one behind that hears from no other (always so for one instance on
// one node), the boundary holds that instance by value and calls it: one loop, no channel, no copy. Otherwise the
// instances behind become tasks of their own with an inlet each, and the boundary routes records into outlets. That is
// also what a user asks for who wants two tasks where one would do.

namespace tensair::operators {

/// All to the one instance on node 0.
struct ToFirstNode {
  static constexpr auto reach = runtime::Reach::every_instance;
  static constexpr auto edge = plan::Edge::gather;
  template <class T>
  auto operator()(const T&, std::size_t) -> std::size_t {
    return 0;
  }
};

/// To an instance on the same node.
struct ToOwnNode {
  static constexpr auto reach = runtime::Reach::own_node;
  static constexpr auto edge = plan::Edge::local;
  template <class T>
  auto operator()(const T&, std::size_t) -> std::size_t {
    return 0;
  }
};

/// To the instance of the same number on the same node, which is a task of its own even so.
struct ToOwnTask : ToOwnNode {
  static constexpr auto edge = plan::Edge::forward;
};

/// In turn to every instance. One that `may_forward` leaves records where they are if there are as many instances
/// behind as in front.
template <bool MayForward>
class InTurn {
 public:
  static constexpr auto reach = MayForward ? runtime::Reach::forward_or_every_instance : runtime::Reach::every_instance;
  static constexpr auto edge = plan::Edge::rebalance;

  /// Senders begin with different receivers.
  void open(const StageContext& context) {
    next_ = static_cast<std::size_t>(context.node.rank() * context.instances + context.instance);
  }
  template <class T>
  auto operator()(const T&, std::size_t receivers) -> std::size_t {
    return next_++ % receivers;
  }

 private:
  std::size_t next_ = 0;
};

/// A copy to every instance.
struct ToAll {
  static constexpr auto reach = runtime::Reach::every_instance;
  static constexpr auto edge = plan::Edge::broadcast;
  static constexpr bool to_all = true;
};

/// What the two sides of an exchange share on one node: how they are connected, and the stages behind.
template <class T, class Stamp, class Fused>
struct ExchangePlan final : plan::Recipe {
  ExchangePlan(runtime::Reach how, bool always_apart, std::shared_ptr<plan::Operator> from_op,
               std::shared_ptr<plan::Operator> to_op, Fused stages)
      : reach(how), apart(always_apart), from(std::move(from_op)), to(std::move(to_op)), prototype(std::move(stages)) {}

  runtime::Reach reach;
  bool apart;  // never one loop
  std::shared_ptr<plan::Operator> from, to;
  std::optional<Fused> prototype;  // of the stages behind

  std::shared_ptr<EdgeEnd> edge = std::make_shared<EdgeEnd>();

  bool fused = false;  // known once the node is built
  int instances_left = 0;

  TENSAIR_COLD void build(runtime::Node& node) override {
    const runtime::EdgeShape shape{reach, from->sites, to->sites};
    fused = !apart && !node.profiling() && shape.one_to_one();
    instances_left = shape.receivers.on(node.rank());
    if (fused) return;
    if (reach != runtime::Reach::own_node) check_may_leave_node<T>(node);
    using Item = Chunk<T, Stamp>;
    edge->build<Item>(node, *to, shape);
    for (std::size_t i = 0; i < edge->inlets(); ++i) {
      node.start_when_built(std::make_unique<runtime::QueueTask<T, Stamp, Fused>>(
          node, to->title(), edge->inlet<Item>(i), edge->senders_to(i), next_instance(), static_cast<int>(i),
          shape.receivers.on(node.rank())));
    }
  }

  TENSAIR_COLD auto next_instance() -> Fused { return instance_of(prototype, --instances_left == 0, *to); }
};

/// Ends a chain at an exchange: calls the stage behind, or routes records to other tasks.
template <class T, class Stamp, class Routing, class Fused>
class BoundaryStage {
 public:
  static constexpr bool heeds_watermarks = operators::heeds_watermarks<Fused>;
  /// The first stage behind the exchange.
  using Behind = Fused;

  BoundaryStage(std::shared_ptr<ExchangePlan<T, Stamp, Fused>> plan, Routing routing)
      : plan_(std::move(plan)), routed_(plan_->edge, std::move(routing)) {}

  TENSAIR_COLD void open(StageContext& context) {
    if (plan_->fused) {
      next_->emplace(plan_->next_instance());
      (*next_)->open(context);
    } else {
      routed_.open(context);
    }
  }

  template <class R>
  void operator()(R&& record, Stamp stamp) {
    if (is_fused()) {
      (**next_)(std::forward<R>(record), stamp);
    } else {
      route(std::forward<R>(record), stamp);
    }
  }

  /// Whether the stage behind is called and nothing is routed. Known once open.
  auto is_fused() const -> bool { return next_->has_value(); }
  /// Passes something to a fused stage that is no record of this edge. Precondition: `is_fused()`
  template <class Other>
  [[gnu::always_inline]] void pass(Other&& other, Stamp stamp) {
    (**next_)(std::forward<Other>(other), stamp);
  }

  // Without a fused stage nothing has a deadline here; with one there are no senders.
  [[gnu::always_inline]] void watermark(EventTime time) {
    if (is_fused()) return (*next_)->watermark(time);
    if constexpr (heeds_watermarks) routed_.watermark(time);
  }
  void idle() {
    if (is_fused()) return (*next_)->idle();
    if constexpr (heeds_watermarks) routed_.idle();
  }
  void flush() {
    if (is_fused()) return (*next_)->flush();
    routed_.flush();
  }
  void finish() {
    if (is_fused()) return (*next_)->finish();
    routed_.finish();
  }
  [[gnu::always_inline]] auto blocked() -> bool { return is_fused() ? (*next_)->blocked() : routed_.blocked(); }
  auto deadline() -> Time { return is_fused() ? (*next_)->deadline() : never; }
  void tick(Time now) {
    if (is_fused()) (*next_)->tick(now);
  }

 private:
  // Not inlined, so that the loop in which nothing is routed stays small.
  template <class R>
  [[gnu::noinline]] void route(R&& record, Stamp stamp) {
    routed_(std::forward<R>(record), stamp);
  }

  std::shared_ptr<ExchangePlan<T, Stamp, Fused>> plan_;
  FanOutStage<T, Stamp, Routing> routed_;
  Fresh<std::optional<Fused>> next_;
};

/// Records come over an exchange from the chain `Upstream`.
/// @tparam Placed  a user has said where: sinks behind it are there
template <class Upstream, class T, class Routing, bool Placed = false>
struct ExchangeHead {
  static constexpr bool everywhere =
      !std::same_as<Routing, ToFirstNode> && (Routing::reach != runtime::Reach::own_node || Upstream::everywhere);
  static constexpr bool placed = Placed;
  using Stamp = typename Upstream::Stamp;
  static constexpr bool can_be_placed =
      Routing::reach != runtime::Reach::own_node && !std::same_as<Routing, ToFirstNode>;
  using WherePlaced = ExchangeHead<Upstream, T, Routing, true>;

  Upstream upstream;
  std::shared_ptr<plan::Operator> from;  // the last operator in front
  std::shared_ptr<plan::Operator> op;    // the first one behind
  Routing routing;

  auto where_placed() && -> WherePlaced {
    return {std::move(upstream), std::move(from), std::move(op), std::move(routing)};
  }

  template <class Fused>
  TENSAIR_COLD void end(plan::Graph& graph, Fused fused) {
    using Plan = ExchangePlan<T, Stamp, Fused>;
    auto made = std::make_unique<Plan>(Routing::reach, std::same_as<Routing, ToOwnTask>, from, op, std::move(fused));
    auto* const plan = made.get();
    std::shared_ptr<Plan> shared(graph.add(std::move(made)), plan);
    std::move(upstream).end(graph, BoundaryStage<T, Stamp, Routing, Fused>(std::move(shared), std::move(routing)));
  }
};

}  // namespace tensair::operators
