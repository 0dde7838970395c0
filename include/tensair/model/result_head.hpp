#pragma once

#include <memory>
#include <tensair/operators/chain.hpp>
#include <utility>
#include <vector>

// Results of a model are few, one a batch, and of three types. So what a user does with them is called through one
// virtual call a result, and the channels and tasks that bring them there are compiled once (src/model/result_head.cpp)
// and not in every unit that trains a model: there they would cost two seconds.

namespace tensair {

class ModelRuntime;

namespace operators {

/// Records come from the replicas of a model, on their nodes. R is `TrainStep`, `Evaluation`, `Validation`,
/// `ModeChange` or `Decision`.
template <class R>
class ResultHead {
 public:
  static constexpr bool everywhere = true;
  using Stamp = Untimed;

  ResultHead(std::shared_ptr<plan::Operator> op, std::shared_ptr<ModelRuntime> model);

  /// Where replicas put their results, once the node is built; null inside: nobody asked for them.
  auto inlet() const -> std::shared_ptr<runtime::Inlet<std::vector<R>>>;

  /// Results go through `fused` on each replica's node.
  template <class Fused>
  void end(plan::Graph& graph, Fused fused) {
    end(graph, behind_a_call(std::move(fused)));
  }

  /// Results of operator `from` go from all nodes to `last` on node 0, where operator `op` runs it.
  template <class Last>
  void gather(plan::Graph& graph, std::shared_ptr<plan::Operator> from, std::shared_ptr<plan::Operator> op, Last last) {
    gather(graph, std::move(from), std::move(op), behind_a_call(std::move(last)));
  }

 private:
  using Use = std::unique_ptr<ForkUse<R, Untimed>>;

  template <class Fused>
  static auto behind_a_call(Fused fused) -> Use {
    return std::make_unique<FusedForkUse<R, Untimed, Fused>>(std::move(fused));
  }
  void end(plan::Graph& graph, Use fused);
  void gather(plan::Graph& graph, std::shared_ptr<plan::Operator> from, std::shared_ptr<plan::Operator> op, Use last);

  std::shared_ptr<QueueHead<R, true>> queue_;
};

}  // namespace operators
}  // namespace tensair
