#pragma once

#include <array>
#include <memory>
#include <optional>
#include <tensair/operators/chunk.hpp>
#include <tensair/operators/instances.hpp>
#include <tensair/operators/stage.hpp>
#include <tensair/runtime/edge_channels.hpp>
#include <tensair/runtime/queue_task.hpp>
#include <tuple>
#include <utility>
#include <vector>

// Several streams become one. Every instance of every stream sends to an instance of the merged stream on its own node,
// so nothing leaves the node; an input that lives on node 0 alone reaches the merged stream there.

namespace tensair::operators {

/// How many instances of one input send to an instance of the merged stream: number `index` of `receivers`.
inline auto merge_senders(int senders, int receivers, int index) -> std::size_t {
  return static_cast<std::size_t>(senders > index ? (senders - index - 1) / receivers + 1 : 0);
}

/// What the inputs of a merge share on one node.
template <class T, class Stamp>
struct MergeChannels {
  using Inlet = runtime::Inlet<Chunk<T, Stamp>>;

  std::vector<Inlet> inlets;  // by instance of the merged stream
  std::vector<int> senders;   // by input: its instances on this node
};

/// Ends an input's chain.
template <class T, class Stamp>
class MergeStage : public LastStage {
 public:
  MergeStage(std::shared_ptr<MergeChannels<T, Stamp>> channels, std::size_t input)
      : channels_(std::move(channels)), input_(input) {}

  void operator()(T record, Stamp stamp) { sender_->push(std::move(record), stamp); }
  void open(StageContext& context) {
    const int receivers = static_cast<int>(channels_->inlets.size());
    const int receiver = context.instance % receivers;
    std::size_t number = static_cast<std::size_t>(context.instance / receivers);
    for (std::size_t i = 0; i < input_; ++i) number += merge_senders(channels_->senders[i], receivers, receiver);
    const auto& inlet = channels_->inlets[static_cast<std::size_t>(receiver)];
    sender_->connect({inlet.any(), chunk_credits}, context.task, static_cast<std::uint32_t>(number));
  }
  void watermark(EventTime time) { sender_->watermark(time); }
  void idle() { sender_->idle(); }
  void flush() { sender_->flush(); }
  void finish() { sender_->finish(); }
  auto blocked() -> bool { return sender_->blocked(); }

 private:
  std::shared_ptr<MergeChannels<T, Stamp>> channels_;
  std::size_t input_;
  Fresh<ChunkSender<T, Stamp>> sender_;
};

/// Records come from several chains.
template <class T, class... Inputs>
struct MergeHead {
  static constexpr bool everywhere = (Inputs::everywhere || ...);
  using Stamp = typename std::tuple_element_t<0, std::tuple<Inputs...>>::Stamp;

  std::tuple<Inputs...> inputs;
  std::array<std::shared_ptr<plan::Operator>, sizeof...(Inputs)> from;  // the last operator of each
  std::shared_ptr<plan::Operator> op;

  template <class Fused>
  TENSAIR_COLD void end(plan::Graph& graph, Fused fused) {
    using Channels = MergeChannels<T, Stamp>;
    auto channels = std::make_shared<Channels>();
    graph.on_build([channels, prototype = std::optional<Fused>(std::move(fused)), from = from,
                    op = op](runtime::Node& node) mutable {
      const int receivers = op->sites.on(node.rank());
      for (const auto& input : from) channels->senders.push_back(input->sites.on(node.rank()));
      for (int i = 0; i < receivers; ++i) {
        std::size_t senders = 0;
        for (const int of_input : channels->senders) senders += merge_senders(of_input, receivers, i);
        auto inlet = typename Channels::Inlet(node, runtime::channel_of_receiver(channel_of(*op), i), senders);
        channels->inlets.push_back(inlet);
        node.start_when_built(std::make_unique<runtime::QueueTask<T, Stamp, Fused>>(
            node, op->title(), inlet, senders, instance_of(prototype, i + 1 == receivers, *op), i, receivers));
      }
    });
    end_inputs(graph, channels, std::index_sequence_for<Inputs...>{});
  }

 private:
  template <std::size_t... I>
  void end_inputs(plan::Graph& graph, std::shared_ptr<MergeChannels<T, Stamp>> channels, std::index_sequence<I...>) {
    (std::move(std::get<I>(inputs)).end(graph, MergeStage<T, Stamp>(channels, I)), ...);
  }
};

}  // namespace tensair::operators
