#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <tensair/operators/exchange.hpp>
#include <tensair/operators/instances.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/runtime/loop_head_task.hpp>
#include <utility>
#include <vector>

// Loops: `stream.iterate(body)`. The chain in front ends in the loop's heads, one for each of its instances; the body
// begins behind them. The stream that the body feeds back ends in a FeedbackStage, which sends its records to a head on
// its own node: whoever wants them elsewhere has an exchange in the body.

namespace tensair::operators {

/// What the ends of a loop share on one node.
template <class T>
struct LoopPlan {
  using Inlet = runtime::Inlet<Chunk<T, EventTime>>;

  std::shared_ptr<plan::Operator> op, feedback_op;

  // Once the node is built:
  std::vector<Inlet> inlets{};  ///< by head
  std::shared_ptr<runtime::LoopTermination> termination{};

  /// How the feedback reaches the heads: on the same node.
  auto feedback_shape() const -> runtime::EdgeShape {
    return {runtime::Reach::own_node, feedback_op->sites, op->sites};
  }
};

/// Ends the stream that goes back.
template <class T>
class FeedbackStage : public LastStage {
 public:
  explicit FeedbackStage(std::shared_ptr<LoopPlan<T>> plan) : plan_(std::move(plan)) {}

  void open(StageContext& context) {
    const auto head = static_cast<std::size_t>(context.instance) % plan_->inlets.size();
    sender_->connect({plan_->inlets[head].any(), without_bound}, context.task,
                     plan_->feedback_shape().number_of(context.node.rank(), context.instance));
  }
  template <class Stamp>
  void operator()(T record, Stamp) {
    if (plan_->termination->ended()) {
      throw Error("a record was fed back after its loop had ended", plan_->op->title(),
                  "In a loop, emit when a record comes: not at the end of the stream, and not by a timer.");
    }
    sender_->push(std::move(record), EventTime{});
  }
  void watermark(EventTime time) { sender_->watermark(time); }
  void flush() { sender_->flush(); }
  void finish() { sender_->finish(); }

 private:
  // Chunks of feedback need no credit: see loop_head_task.hpp.
  static constexpr std::size_t without_bound = std::numeric_limits<std::size_t>::max() / 2;

  std::shared_ptr<LoopPlan<T>> plan_;
  Fresh<ChunkSender<T, EventTime>> sender_;
};

/// Records come from the input of a loop and from its feedback.
template <class T, class Upstream>
struct LoopHead {
  static constexpr bool everywhere = true;
  using Stamp = EventTime;

  Upstream upstream;
  std::shared_ptr<plan::Operator> from;  // the last operator in front
  std::shared_ptr<LoopPlan<T>> loop;

  template <class Fused>
  TENSAIR_COLD void end(plan::Graph& graph, Fused fused) {
    using InputStamp = typename Upstream::Stamp;
    using Item = Chunk<T, InputStamp>;
    using Task = runtime::LoopHeadTask<T, InputStamp, Fused>;
    auto edge = std::make_shared<EdgeEnd>();
    graph.on_build([loop = loop, from = from, edge,
                    prototype = std::optional<Fused>(std::move(fused))](runtime::Node& node) mutable {
      const auto& op = *loop->op;
      edge->build<Item>(node, op, {runtime::Reach::own_node, from->sites, op.sites});
      const int heads = op.sites.on(node.rank());
      // Feedback stays on its node, so the channel of its credits is free.
      const auto channel = channel_of(*loop->feedback_op);
      loop->termination = std::make_shared<runtime::LoopTermination>(node, channel | runtime::detail::credit_bit,
                                                                     static_cast<std::size_t>(heads));
      for (int i = 0; i < heads; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const auto senders = loop->feedback_shape().senders_to(node.rank(), i);
        loop->inlets.emplace_back(node, runtime::channel_of_receiver(channel, i), senders);
        node.start_when_built(std::make_unique<Task>(
            node, op.title(), runtime::TaskInput<T, InputStamp>{edge->inlet<Item>(at), edge->senders_to(at)},
            runtime::TaskInput<T, EventTime>{loop->inlets[at], senders}, loop->termination,
            instance_of(prototype, i + 1 == heads, op), i, heads));
      }
    });
    std::move(upstream).end(graph, FanOutStage<T, InputStamp, ToOwnNode>(edge, ToOwnNode{}));
  }
};

/// The stage where a stream from outside enters a loop. It holds the loop's markers back until it has ended: what it
/// brings may go round.
template <class Next>
class EnterLoopStage : public StageBase<Next> {
 public:
  explicit EnterLoopStage(Next next) : StageBase<Next>(std::move(next)) {}

  template <class T, class Stamp>
  void operator()(T&& record, Stamp) {
    this->next_(std::forward<T>(record), EventTime{});
  }
  void watermark(EventTime) {}
  void idle() {}
  void finish() {
    this->next_.watermark(end_of_time);
    this->next_.finish();
  }
};
struct EnterLoop {
  using StampBehind = EventTime;
  template <class Next>
  auto bind(Next next) && -> EnterLoopStage<Next> {
    return EnterLoopStage<Next>(std::move(next));
  }
};

/// The stage where a stream leaves a loop: what its times say means nothing outside.
template <class Next>
class LeaveLoopStage : public StageBase<Next> {
 public:
  explicit LeaveLoopStage(Next next) : StageBase<Next>(std::move(next)) {}

  template <class T, class Stamp>
  void operator()(T&& record, Stamp) {
    this->next_(std::forward<T>(record), Untimed{});
  }
  void watermark(EventTime) {}
  void idle() {}
};
struct LeaveLoop {
  using StampBehind = Untimed;
  template <class Next>
  auto bind(Next next) && -> LeaveLoopStage<Next> {
    return LeaveLoopStage<Next>(std::move(next));
  }
};

}  // namespace tensair::operators
