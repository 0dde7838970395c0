#pragma once

#include <memory>
#include <optional>
#include <tensair/operators/fan_out.hpp>
#include <tensair/operators/instances.hpp>
#include <tensair/operators/may_leave_node.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/runtime/two_input_task.hpp>
#include <utility>
#include <vector>

// Two streams of different types meet in one operator. Each has an exchange of its own, with a routing of its own, and
// both lead to the same instances: tasks with an inlet for each. (One stream with one exchange: exchange.hpp. Several
// of one type: merge.hpp.)

namespace tensair::operators {

/// What an input of an operator with two is: the chain in front, its records, and how they find their instance.
template <class SomeChain, class T, class SomeRouting>
struct TwoInputSide {
  using Upstream = SomeChain;
  using Record = T;
  using Routing = SomeRouting;
  using Stamp = typename SomeChain::Stamp;
  using Item = Chunk<T, Stamp>;
  using TaskInput = runtime::TaskInput<T, Stamp>;

  SomeChain chain;
  std::shared_ptr<plan::Operator> from;  // the last operator in front
  Routing routing;
  std::shared_ptr<plan::Operator> numbered = from;  // the edge's channels have its number, and no other's
};

/// Records come from two chains, and the first stage behind is that of `Operator`, which takes both.
template <class Left, class Right, class Operator, bool Everywhere, StampType StampOf>
struct TwoInputHead {
  static constexpr bool everywhere = Everywhere;
  using Stamp = StampOf;

  Left left;
  Right right;
  std::shared_ptr<plan::Operator> op;
  Operator two_input_operator;

  template <class Fused>
  TENSAIR_COLD void end(plan::Graph& graph, Fused fused) {
    using First = decltype(std::move(two_input_operator).bind(std::move(fused)));
    using Task = runtime::TwoInputTask<typename Left::TaskInput, typename Right::TaskInput, First>;
    auto left_edge = std::make_shared<EdgeEnd>();
    auto right_edge = std::make_shared<EdgeEnd>();
    graph.on_build([=, op = op, prototype = std::optional<First>(std::move(two_input_operator).bind(std::move(fused))),
                    left_from = left.from, right_from = right.from, left_number = left.numbered,
                    right_number = right.numbered](runtime::Node& node) mutable {
      if (Left::Routing::reach != runtime::Reach::own_node) check_may_leave_node<typename Left::Record>(node);
      if (Right::Routing::reach != runtime::Reach::own_node) check_may_leave_node<typename Right::Record>(node);
      left_edge->build<typename Left::Item>(node, *left_number, {Left::Routing::reach, left_from->sites, op->sites});
      right_edge->build<typename Right::Item>(node, *right_number,
                                              {Right::Routing::reach, right_from->sites, op->sites});
      const int here = op->sites.on(node.rank());
      for (int i = 0; i < here; ++i) {
        const auto at = static_cast<std::size_t>(i);
        node.start_when_built(std::make_unique<Task>(
            node, op->title(),
            typename Left::TaskInput{left_edge->inlet<typename Left::Item>(at), left_edge->senders_to(at)},
            typename Right::TaskInput{right_edge->inlet<typename Right::Item>(at), right_edge->senders_to(at)},
            instance_of(prototype, i + 1 == here, *op), i, here));
      }
    });
    std::move(left.chain)
        .end(graph, FanOutStage<typename Left::Record, typename Left::Stamp, typename Left::Routing>(
                        left_edge, std::move(left.routing)));
    std::move(right.chain)
        .end(graph, FanOutStage<typename Right::Record, typename Right::Stamp, typename Right::Routing>(
                        right_edge, std::move(right.routing)));
  }
};

}  // namespace tensair::operators
