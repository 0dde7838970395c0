#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tensair/flags.hpp>
#include <tensair/io/collection.hpp>
#include <tensair/io/generator.hpp>
#include <tensair/runtime/source.hpp>
#include <tensair/stream.hpp>
#include <utility>
#include <vector>

namespace tensair {

class ModelHandle;
struct ModelOptions;
namespace detail {
class DrainSwitch;
}

/// Figures that a program adds to a run's, by name: functions that return JSON.
struct OwnFigures {
  std::vector<std::pair<std::string, std::function<std::string()>>> of_run;
  std::vector<std::pair<std::string, std::function<std::string(int)>>> by_node;
};

/// One program that runs as one process or as many: sources, operators, models and sinks, written once, and run on
/// every node.
///
/// @code
/// int main(int argc, char** argv) {
///   tensair::Pipeline pipeline{argc, argv};
///   pipeline.source(std::vector{1, 2, 3})
///       .map([](int n) { return n * n; })
///       .sink([](int n) { std::printf("%d\n", n); });
///   return pipeline.run();
/// }
/// @endcode
class Pipeline {
 public:
  /// A pipeline of this process alone, for programs with a command line of their own.
  explicit Pipeline(Options options = {});
  /// Reads the flags that every tensair program has (`--local`, `--nodes`, …); what is wrong with them is said by
  /// `run`.
  Pipeline(int argc, const char* const* argv);
  /// The same, with the program's own flags.
  Pipeline(int argc, const char* const* argv, Flags& flags);
  Pipeline(Pipeline&&) noexcept;
  auto operator=(Pipeline&&) noexcept -> Pipeline&;
  ~Pipeline();

  /// A stream of the elements of `records`, in order, from node 0.
  ///
  /// @code
  /// pipeline.source(std::vector<std::string>{"to", "be", "or", "not"}).sink(print);
  /// @endcode
  template <class T>
  auto source(std::vector<T> records) {
    return source(Collection<T>(std::move(records)));
  }

  /// A stream of what `f` returns (`std::optional<T>`) until it returns nothing, from node 0. `f` takes nothing, or a
  /// `std::stop_token` that tells when to stop waiting.
  ///
  /// @code
  /// pipeline.source([n = 0]() mutable { return n < 1'000 ? std::optional(n++) : std::nullopt; }).sink(print);
  /// @endcode
  template <Generating F>
  auto source(F f) {
    return source(Generator<F>(std::move(f)));
  }

  /// A stream from a source of your own, or one of `<tensair/io/…>`. One that can be split is read on every node, each
  /// its part.
  ///
  /// @code
  /// pipeline.source(tensair::lines("access.log")).filter(is_error).sink(print);
  /// @endcode
  template <Source S>
  auto source(S source) {
    using T = typename S::value_type;
    using Head = operators::SourceHead<S>;
    auto op = graph_->add("source", operators::stream_type<T>(),
                          Head::everywhere ? plan::Placement::every_node : plan::Placement::first_node);
    return Stream<T, operators::Chain<Head, operators::NoBinder>>(graph_, op, {Head{op, std::move(source)}, {}});
  }

  /// A model that streams can train and ask: `stream.model(net).train()`. (`<tensair/model/model.hpp>`)
  ///
  /// Replicas live on all nodes and exchange what they learn without waiting for each other.
  /// @param name     for reports and errors
  /// @param factory  makes one replica's module: returns a `torch::nn` module holder or `std::shared_ptr` of a module with `Tensor forward(Tensor)`
  ///
  /// @code
  /// auto net = pipeline.model("flowers", [] { return torch::nn::Linear(4, 3); });
  /// examples_of_flowers.batch(32).model(net).train();
  /// @endcode
  template <class Factory>
  auto model(std::string name, Factory factory) -> ModelHandle;
  template <class Factory>
  auto model(std::string name, Factory factory, ModelOptions options) -> ModelHandle;

  /// Runs the program: launches the nodes when `--local` asks for it, prints the plan when `--explain` does, else runs
  /// this node until every stream has ended on every node. An error is printed to standard error as one line.
  /// @return the exit status for `main`: 0, or what `ExitCode` says
  auto run() -> int;

  /// The same for a program that has work to do before its streams can be written down, such as reading a file: `build`
  /// does it and writes them. It is called where a node runs (not in the launcher of `--local`), and what it throws is
  /// reported as any other error.
  ///
  /// @code
  /// return pipeline.run([&] {
  ///   const auto files = tensair::find_files("logs", "*.txt");
  ///   pipeline.source(tensair::lines(files)).filter(is_error).sink(print);
  /// });
  /// @endcode
  auto run(const std::function<void()>& build) -> int;

  /// Runs this node and throws what goes wrong: for programs that want to handle it themselves. Neither launches nor
  /// prints.
  ///
  /// @code
  /// try {
  ///   pipeline.execute();
  /// } catch (const tensair::NodeError& error) {
  ///   std::printf("node %d is lost\n", error.node());
  /// }
  /// @endcode
  /// @throws Error
  void execute();

  /// Ends the run early and well: on every node sources give no more records, and what flows is finished. Any thread,
  /// before the run or in it; before all nodes are there, the run fails instead. `run` calls it at the first SIGINT or
  /// SIGTERM; the second ends the process.
  void drain();

  /// Adds a figure of the program's own to what `--json` writes: `value` is asked on node 0 when the run has ended
  /// well, and returns JSON.
  ///
  /// @code
  /// long count = 0;
  /// words.sink([&](const std::string&) { ++count; });
  /// pipeline.figure("words", [&] { return std::to_string(count); });
  /// pipeline.run();
  /// @endcode
  void figure(std::string name, std::function<std::string()> value);
  /// The same for each node: `value(rank)`, asked on node 0.
  void node_figure(std::string name, std::function<std::string(int)> value);

  auto options() const -> const Options& { return options_; }
  auto graph() const -> const std::shared_ptr<plan::Graph>& { return graph_; }

  /// This run's figures (what `--json` writes), on node 0 after `run` or `execute`: a JSON object as text.
  auto figures() const -> const std::string& { return figures_; }

 private:
  void place_graph(const std::vector<NodeSpec>& specs);

  Options options_;
  std::shared_ptr<detail::DrainSwitch> drain_;
  std::shared_ptr<plan::Graph> graph_ = std::make_shared<plan::Graph>();
  std::optional<Error> problem_;
  std::optional<std::string> help_;
  OwnFigures own_figures_;
  std::string figures_;
};

}  // namespace tensair
