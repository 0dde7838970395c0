#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <tensair/cold.hpp>
#include <tensair/compression.hpp>
#include <tensair/flags.hpp>
#include <tensair/runtime/edge_shape.hpp>
#include <tensair/runtime/node.hpp>
#include <tensair/where.hpp>
#include <utility>
#include <vector>

namespace tensair::plan {

/// Where an operator runs, if nobody says otherwise.
enum class Placement {
  first_node,  ///< one instance, on node 0
  every_node,  ///< one instance on each node, each with its share of the records
};

/// How records reach an operator.
enum class Edge {
  none,       ///< a source
  fused,      ///< called by the operator before it, in the same loop
  fork,       ///< from a stream that is used more than once: the same task hands each record to every user
  gather,     ///< from the instances on all nodes to the one on node 0
  key,        ///< by hash of the key, to the instance that keeps that key
  rebalance,  ///< in turn to all instances
  broadcast,  ///< a copy to every instance
  merge,      ///< from several streams into one
  feedback,   ///< back to the beginning of a loop
  route,      ///< to the model replica that has room
  forward,    ///< to the instance of the same number, a task of its own
  local,      ///< through a queue in memory, to another task of the same node
};

auto to_string(Edge edge) -> std::string;

/// One logical transformation, as the user wrote it.
struct Operator {
  int id = 0;
  std::string kind;                ///< "map", "source", "train", …
  std::string label;               ///< what the user called it; empty: not named
  std::string detail;              ///< what else all nodes must agree on: "exchange of updates, seed 1"
  std::string output;              ///< the type of its stream: "Stream<int>"; empty for a sink
  int input = -1;                  ///< the operator before it
  std::vector<int> more_inputs{};  ///< of one that takes several streams: those beside `input`
  Edge edge = Edge::none;
  runtime::Reach reach = runtime::Reach::every_instance;  ///< of an edge between tasks
  Placement placement = Placement::first_node;
  bool may_be_unused = false;  ///< its stream may go nowhere: training is worth something without its results
  bool is_model = false;
  int instances = 0;  ///< replicas of a model operator; 0: one on each of its nodes
  int parallel = 1;   ///< parallel instances on each node where it runs; 0: as many as it has workers
  Where where{};      ///< of one that a task begins with
  enum compression compression = compression::none;  ///< of records that come to it from another node
  int loop = -1;                                     ///< the `iterate` in whose body it stands; -1: in none
  runtime::Sites sites{};                            ///< its instances, once they have been placed

  /// "map «normalise»", or "map #3" when the user gave no name.
  auto title() const -> std::string;
};

/// An operator, as what runs refers to it: a pointer, because the graph outlives the run, and a stage that can be moved
/// as bytes is less code wherever it is.
class OperatorRef {
 public:
  OperatorRef(const std::shared_ptr<Operator>& op) : op_(op.get()) {}  // NOLINT(google-explicit-constructor)

  auto operator*() const -> Operator& { return *op_; }
  auto operator->() const -> Operator* { return op_; }

 private:
  Operator* op_;
};

/// Makes a task on a node. Not std::function: recipes hold stages, which may be impossible to copy, and there are many.
struct Recipe {
  Recipe() = default;
  Recipe(const Recipe&) = delete;
  auto operator=(const Recipe&) -> Recipe& = delete;
  virtual ~Recipe() = default;

  virtual void build(runtime::Node& node) = 0;
};

/// What the user composed: operators in the order they were written, and for each task a recipe that builds it on a
/// node.
///
/// Every node builds the same graph (SPMD), so operator ids mean the same everywhere; channels are numbered by them.
class Graph {
 public:
  /// @param output  the type of its stream; empty for a sink
  auto add(std::string kind, std::string output, Placement placement) -> std::shared_ptr<Operator>;

  /// How records that go to another node are compressed where no stream says.
  void compress(enum compression method) { compression_ = method; }

  /// Called once, with the node, before it connects; spawns what this node has to run.
  template <class F>
  TENSAIR_COLD void on_build(F recipe) {
    add(std::make_unique<RecipeOf<F>>(std::move(recipe)));
  }
  /// The same. @return the recipe, which others may keep
  auto add(std::unique_ptr<Recipe> recipe) -> std::shared_ptr<Recipe>;

  /// Called before anything starts; throws when the graph is not complete ("this model is never used").
  void on_check(std::function<void()> check);

  /// @throws UsageError  an empty pipeline, a stream without a sink, …
  void check() const;
  /// Says where the operators run; every node does it before it builds. (`<tensair/plan/place.hpp>`)
  /// @throws UsageError  a node or a label that the cluster does not have
  void place(std::span<const NodeSpec> nodes);
  void build(runtime::Node& node);

  auto operators() const -> const std::deque<std::shared_ptr<Operator>>& { return operators_; }

  /// One line an operator: what nodes compare before they work together.
  auto describe() const -> std::string;
  /// The plan for a person: operators, their chains, edges, and the nodes they run on. Precondition: placed
  auto explain() const -> std::string;
  /// The same as a Graphviz graph.
  auto explain_dot() const -> std::string;

 private:
  template <class F>
  struct RecipeOf final : Recipe {
    explicit RecipeOf(F function) : f(std::move(function)) {}
    void build(runtime::Node& node) override { f(node); }
    F f;
  };

  enum compression compression_ = compression::none;
  std::deque<std::shared_ptr<Operator>> operators_;
  std::vector<std::shared_ptr<Recipe>> recipes_;
  std::vector<std::function<void()>> checks_;
};

/// A type's name as a user would write it, without the standard library's inner namespaces and default arguments.
auto type_name(const char* mangled) -> std::string;

}  // namespace tensair::plan
