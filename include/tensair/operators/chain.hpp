#pragma once

#include <memory>
#include <string>
#include <tensair/operators/filter.hpp>
#include <tensair/operators/flat_map.hpp>
#include <tensair/operators/fork.hpp>
#include <tensair/operators/gather.hpp>
#include <tensair/operators/map.hpp>
#include <tensair/operators/sink.hpp>
#include <tensair/runtime/queue_task.hpp>
#include <tensair/runtime/source_task.hpp>

// A chain is what a Stream's type carries: a head (where records come from) and a binder (the operators since then,
// still to be bound to the stage behind them). Ending a chain binds it to its last stage and registers with the graph
// the recipe that builds the task.

namespace tensair::operators {

/// A source whose records can be shared out: `split(i, n)` leaves it the i-th of n parts.
template <class S>
concept Splittable = requires(S source) {
  source.split(0, 1);
};

/// Records come from a source; the task is the source's.
template <class S>
struct SourceHead {
  static constexpr bool everywhere = Splittable<S>;

  std::shared_ptr<plan::Operator> op;
  S source;

  template <class Fused>
  void end(plan::Graph& graph, Fused fused) {
    auto parts =
        std::make_shared<std::optional<std::pair<S, Fused>>>(std::in_place, std::move(source), std::move(fused));
    graph.on_build([op = op, parts](runtime::Node& node) {
      if (!everywhere && node.rank() != 0) return;
      auto [own, stages] = std::move(parts->value());
      parts->reset();
      if constexpr (everywhere) own.split(node.rank(), node.count());
      auto task = std::make_shared<runtime::SourceTask<S, Fused>>(node, op, std::move(own), std::move(stages));
      node.when_built([&node, task] {
        task->open();
        node.scheduler().spawn(task);
      });
    });
  }
};

/// Records come out of a queue that another task fills; on every node, or on node 0 alone.
template <class T, bool Everywhere>
struct QueueHead {
  static constexpr bool everywhere = Everywhere;
  using Inlet = runtime::Inlet<std::vector<T>>;

  std::shared_ptr<plan::Operator> op;
  /// Filled when the node is built; whoever fills the queue holds the same pointer.
  std::shared_ptr<std::shared_ptr<Inlet>> inlet = std::make_shared<std::shared_ptr<Inlet>>();
  /// How many outlets end on this node's inlet.
  std::function<std::size_t(const runtime::Node&)> senders;

  template <class Fused>
  void end(plan::Graph& graph, Fused fused) {
    auto stages = std::make_shared<std::optional<Fused>>(std::move(fused));
    graph.on_build([*this, stages](runtime::Node& node) {
      if (!everywhere && node.rank() != 0) return;
      *inlet = std::make_shared<Inlet>(node, channel_of(*op), senders(node), chunk_credits);
      auto task = std::make_shared<runtime::QueueTask<T, Fused>>(node, op->title(), *inlet, std::move(stages->value()));
      stages->reset();
      node.when_built([&node, task] {
        task->open();
        node.scheduler().spawn(task);
      });
    });
  }
};

/// Records come from a stream that is used by name; the task is that stream's.
template <class T, bool Everywhere>
struct ForkHead {
  static constexpr bool everywhere = Everywhere;

  std::shared_ptr<ForkPoint<T>> point;

  template <class Fused>
  void end(plan::Graph&, Fused fused) {
    point->uses.push_back(std::make_unique<FusedForkUse<T, Fused>>(std::move(fused)));
  }
};

/// No operators yet.
struct NoBinder {
  template <class Next>
  auto bind(Next next) && -> Next {
    return next;
  }
};

/// The operators in `Before`, then one more. Named types and no lambdas, so that a type's name grows with the number of
/// operators only once.
template <class Before, class Last>
struct Then {
  Before before;
  Last last;

  template <class Next>
  auto bind(Next next) && {
    return std::move(before).bind(std::move(last).bind(std::move(next)));
  }
};

template <class Head, class Binder>
struct Chain {
  static constexpr bool everywhere = Head::everywhere;

  Head head;
  Binder binder;

  template <class Fused>
  void end(plan::Graph& graph, Fused last) && {
    head.end(graph, std::move(binder).bind(std::move(last)));
  }

  /// The chain with one operator more.
  template <class Operator>
  auto then(Operator last) && -> Chain<Head, Then<Binder, Operator>> {
    return {std::move(head), {std::move(binder), std::move(last)}};
  }
};

/// The chain's head knows how its records come together on node 0, and nothing is to be done to them on the way.
template <class SomeChain, class Last>
concept GathersItself = requires(SomeChain chain, plan::Graph& graph, std::shared_ptr<plan::Operator> op, Last last) {
  { chain.binder } -> std::same_as<NoBinder&>;
  chain.head.gather(graph, op, std::move(last));
};

/// Ends `chain` in one sink for the whole pipeline, on node 0: fused when the records are there, gathered from all
/// nodes when they are not.
template <class T, class SomeChain, class Last>
void end_on_first_node(plan::Graph& graph, SomeChain chain, const std::shared_ptr<plan::Operator>& op, Last last) {
  if constexpr (!SomeChain::everywhere) {
    std::move(chain).end(graph, std::move(last));
  } else if constexpr (GathersItself<SomeChain, Last>) {
    chain.head.gather(graph, op, std::move(last));
  } else {
    op->edge = plan::Edge::gather;
    op->placement = plan::Placement::first_node;
    auto head = QueueHead<T, false>{
        .op = op, .senders = [](const runtime::Node& node) { return static_cast<std::size_t>(node.count()); }};
    auto inlet = head.inlet;
    head.end(graph, std::move(last));
    std::move(chain).end(graph, GatherStage<T>(channel_of(*op), std::move(inlet)));
  }
}

}  // namespace tensair::operators
