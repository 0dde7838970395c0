#pragma once

#include <memory>
#include <optional>
#include <tensair/operators/chunk.hpp>
#include <tensair/operators/instances.hpp>
#include <tensair/operators/may_leave_node.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/runtime/edge_channels.hpp>
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

/// One node's end of the edge of one input.
template <class Item>
struct TwoInputEdge {
  runtime::EdgeShape shape{};
  std::optional<runtime::EdgeChannels<Item>> channels{};
  std::vector<std::vector<runtime::Outlet<Item>>> outlets{};

  void build(runtime::Node& node, const plan::Operator& from, const runtime::EdgeShape& of_shape) {
    shape = of_shape;
    channels.emplace(node, channel_of(from), shape, chunk_credits);
  }
  auto outlets_of(int sender) -> std::vector<runtime::Outlet<Item>> {
    if (outlets.empty()) outlets = channels->connect();
    return std::move(outlets[static_cast<std::size_t>(sender)]);
  }
};

/// Ends an input's chain: routes its records to the instances of the operator.
template <class T, class Stamp, class Routing>
class InputStage : public LastStage {
 public:
  InputStage(std::shared_ptr<TwoInputEdge<Chunk<T, Stamp>>> edge, Routing routing)
      : edge_(std::move(edge)), routing_(std::move(routing)) {}

  void open(StageContext& context) {
    if constexpr (requires { routing_.open(context); }) routing_.open(context);
    const std::uint32_t number = edge_->shape.number_of(context.node.rank(), context.instance);
    for (auto& outlet : edge_->outlets_of(context.instance))
      senders_->emplace_back().connect(std::move(outlet), context.task, number);
  }
  void operator()(T record, Stamp stamp) {
    if constexpr (requires { Routing::to_all; }) {
      static_assert(std::copy_constructible<T>, "what every instance gets must be copyable");
      for (auto& sender : *senders_) sender.push(record, stamp);
    } else {
      const std::size_t to = senders_->size() == 1 ? 0 : routing_(std::as_const(record), senders_->size());
      (*senders_)[to].push(std::move(record), stamp);
    }
  }
  void watermark(EventTime time) {
    for (auto& sender : *senders_) sender.watermark(time);
  }
  void idle() {
    for (auto& sender : *senders_) sender.idle();
  }
  void flush() {
    for (auto& sender : *senders_) sender.flush();
  }
  void finish() {
    for (auto& sender : *senders_) sender.finish();
  }
  auto blocked() -> bool {
    for (const auto& sender : *senders_) {
      if (sender.blocked()) return true;
    }
    return false;
  }

 private:
  std::shared_ptr<TwoInputEdge<Chunk<T, Stamp>>> edge_;
  [[no_unique_address]] Routing routing_;
  Fresh<std::vector<ChunkSender<T, Stamp>>> senders_;
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
  void end(plan::Graph& graph, Fused fused) {
    using First = decltype(std::move(two_input_operator).bind(std::move(fused)));
    using Task = runtime::TwoInputTask<typename Left::TaskInput, typename Right::TaskInput, First>;
    auto left_edge = std::make_shared<TwoInputEdge<typename Left::Item>>();
    auto right_edge = std::make_shared<TwoInputEdge<typename Right::Item>>();
    auto prototype = std::make_shared<std::optional<First>>(std::move(two_input_operator).bind(std::move(fused)));
    graph.on_build([=, op = op, left_from = left.from, right_from = right.from, left_number = left.numbered,
                    right_number = right.numbered](runtime::Node& node) {
      if (Left::Routing::reach != runtime::Reach::own_node) check_may_leave_node<typename Left::Record>(node);
      if (Right::Routing::reach != runtime::Reach::own_node) check_may_leave_node<typename Right::Record>(node);
      left_edge->build(
          node, *left_number,
          {Left::Routing::reach, Left::Upstream::everywhere, everywhere, left_from->parallel, op->parallel});
      right_edge->build(
          node, *right_number,
          {Right::Routing::reach, Right::Upstream::everywhere, everywhere, right_from->parallel, op->parallel});
      const int here = left_edge->shape.receivers_on(node.rank());
      for (int i = 0; i < here; ++i) {
        const auto input = [&](const auto& edge) { return edge.shape.senders_to(node.rank(), i, node.count()); };
        const auto at = static_cast<std::size_t>(i);
        auto task = std::make_shared<Task>(
            node, op->title(), typename Left::TaskInput{left_edge->channels->inlets()[at], input(*left_edge)},
            typename Right::TaskInput{right_edge->channels->inlets()[at], input(*right_edge)},
            instance_of(*prototype, i + 1 == here, *op), i, here);
        node.when_built([&node, task] {
          task->open();
          node.scheduler().spawn(task);
        });
      }
    });
    std::move(left.chain)
        .end(graph, InputStage<typename Left::Record, typename Left::Stamp, typename Left::Routing>(
                        left_edge, std::move(left.routing)));
    std::move(right.chain)
        .end(graph, InputStage<typename Right::Record, typename Right::Stamp, typename Right::Routing>(
                        right_edge, std::move(right.routing)));
  }
};

}  // namespace tensair::operators
