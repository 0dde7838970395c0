#pragma once

#include <memory>
#include <string>
#include <tensair/operators/exchange.hpp>
#include <tensair/operators/filter.hpp>
#include <tensair/operators/flat_map.hpp>
#include <tensair/operators/fork.hpp>
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

/// Records come from a source; the task is the source's, or several tasks are if it can be split.
/// @tparam Placed  a user has said where
template <class S, bool Placed = false>
struct SourceHead {
  static constexpr bool everywhere = Splittable<S> || Placed;
  static constexpr bool placed = Placed;
  using Stamp = Untimed;
  static constexpr bool can_be_placed = true;
  using WherePlaced = SourceHead<S, true>;

  std::shared_ptr<plan::Operator> op;
  S source;

  auto where_placed() && -> WherePlaced { return {std::move(op), std::move(source)}; }

  template <class Fused>
  TENSAIR_COLD void end(plan::Graph& graph, Fused fused) {
    graph.on_build([op = op, source = std::optional<S>(std::move(source)),
                    stages = std::optional<Fused>(std::move(fused))](runtime::Node& node) mutable {
      const int instances = op->sites.on(node.rank());
      for (int i = 0; i < instances; ++i) {
        const bool last = i + 1 == instances;
        S own = instance_of(source, last, *op);
        if constexpr (Splittable<S>) own.split(op->sites.before(node.rank()) + i, op->sites.total());
        node.start_when_built(std::make_unique<runtime::SourceTask<S, Fused>>(
            node, op, std::move(own), instance_of(stages, last, *op), i, instances));
      }
    });
  }
};

/// Records come out of a queue that somebody else fills; on every node, or on node 0 alone.
template <class T, bool Everywhere, StampType StampOf = Untimed>
struct QueueHead {
  static constexpr bool everywhere = Everywhere;
  using Stamp = StampOf;
  using Inlet = runtime::Inlet<Chunk<T, Stamp>>;

  std::shared_ptr<plan::Operator> op;
  /// Filled when the node is built; whoever fills the queue holds the same pointer.
  std::shared_ptr<Inlet> inlet = std::make_shared<Inlet>();
  /// How many outlets end on this node's inlet.
  std::function<std::size_t(const runtime::Node&)> senders;

  template <class Fused>
  TENSAIR_COLD void end(plan::Graph& graph, Fused fused) {
    graph.on_build([*this, stages = std::optional<Fused>(std::move(fused))](runtime::Node& node) mutable {
      if (op->sites.on(node.rank()) == 0) return;
      *inlet = Inlet(node, channel_of(*op), senders(node));
      node.start_when_built(std::make_unique<runtime::QueueTask<T, Stamp, Fused>>(
          node, op->title(), *inlet, senders(node), instance_of(stages, true, *op)));
    });
  }
};

/// Records come from a stream that is used by name; the task is that stream's.
template <class T, bool Everywhere, StampType StampOf = Untimed>
struct ForkHead {
  static constexpr bool everywhere = Everywhere;
  using Stamp = StampOf;

  std::shared_ptr<ForkPoint<T, Stamp>> point;

  template <class Fused>
  void end(plan::Graph&, Fused fused) {
    point->uses.push_back(std::make_unique<FusedForkUse<T, Stamp, Fused>>(std::move(fused)));
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
  TENSAIR_COLD auto bind(Next next) && {
    return std::move(before).bind(std::move(last).bind(std::move(next)));
  }
};

/// What travels beside the records behind an operator: what it says, or what travelled in front of it.
template <class Operator, class Before>
struct StampBehind {
  using type = Before;
};
template <class Operator, class Before>
requires requires {
  typename Operator::StampBehind;
}
struct StampBehind<Operator, Before> {
  using type = typename Operator::StampBehind;
};

/// @tparam LastInput  the records that the last operator takes; void where that is not known
template <class SomeHead, class SomeBinder, StampType StampAtEnd = typename SomeHead::Stamp, class LastInput = void>
struct Chain {
  using Input = LastInput;
  using Head = SomeHead;
  using Binder = SomeBinder;
  /// Whether it may have instances elsewhere than one on node 0.
  static constexpr bool everywhere = Head::everywhere;
  /// What travels beside the records at the chain's end.
  using Stamp = StampAtEnd;
  static constexpr bool timed = is_timed<Stamp>;

  Head head;
  Binder binder;

  template <class Fused>
  TENSAIR_COLD void end(plan::Graph& graph, Fused last) && {
    head.end(graph, std::move(binder).bind(std::move(last)));
  }

  /// The chain with one operator more, which takes records of type In.
  template <class In = void, class Operator>
  TENSAIR_COLD auto then(Operator last) && {
    using Longer = Chain<Head, Then<Binder, Operator>, typename StampBehind<Operator, Stamp>::type, In>;
    return Longer{std::move(head), {std::move(binder), std::move(last)}};
  }
};

template <class T>
inline constexpr bool is_split_source = false;
/// A chain that is nothing but a source that can be split.
template <class S, bool Placed>
inline constexpr bool is_split_source<Chain<SourceHead<S, Placed>, NoBinder>> = Splittable<S>;

/// A chain in which nothing stands behind a head that can be placed.
template <class SomeChain>
concept Placeable = std::same_as<typename SomeChain::Binder, NoBinder> && requires {
  requires SomeChain::Head::can_be_placed;
};
/// Whether a user has said where the chain's task is.
template <class SomeChain>
inline constexpr bool is_placed = false;
template <class SomeChain>
requires requires {
  SomeChain::Head::placed;
}
inline constexpr bool is_placed<SomeChain> = SomeChain::Head::placed;

/// The chain of type T that goes on behind an exchange. `from` is the last operator in front of it, `op` the first one
/// behind.
template <class T, class SomeChain, class Routing>
auto exchange(SomeChain chain, std::shared_ptr<plan::Operator> from, std::shared_ptr<plan::Operator> op,
              Routing routing) {
  using Head = ExchangeHead<SomeChain, T, Routing>;
  op->edge = Routing::edge;
  op->reach = Routing::reach;
  op->placement = Head::everywhere ? plan::Placement::every_node : plan::Placement::first_node;
  return Chain<Head, NoBinder>{Head{std::move(chain), std::move(from), std::move(op), std::move(routing)}, {}};
}

/// The chain's head knows how its records come together on node 0, and nothing is to be done to them on the way.
template <class SomeChain, class Last>
concept GathersItself = requires(SomeChain chain, plan::Graph& graph, std::shared_ptr<plan::Operator> op, Last last) {
  { chain.binder } -> std::same_as<NoBinder&>;
  chain.head.gather(graph, op, op, std::move(last));
};

/// Ends `chain` in one sink for the whole pipeline, on node 0: fused when the records are there, gathered from all
/// nodes when they are not. `from` is the last operator of the chain, `op` the sink.
template <class T, class SomeChain, class Last>
TENSAIR_COLD void end_on_first_node(plan::Graph& graph, SomeChain chain, std::shared_ptr<plan::Operator> from,
                                    std::shared_ptr<plan::Operator> op, Last last) {
  if constexpr (GathersItself<SomeChain, Last>) {
    chain.head.gather(graph, std::move(from), std::move(op), std::move(last));
  } else {
    exchange<T>(std::move(chain), std::move(from), std::move(op), ToFirstNode{}).end(graph, std::move(last));
  }
}

}  // namespace tensair::operators
