#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tensair/compression.hpp>
#include <tensair/overlay.hpp>
#include <vector>

namespace tensair {

/// A node, as far as it matters to where things run.
struct NodeSpec {
  int workers = 0;                    ///< threads that run tasks; 0: one for each core
  std::vector<std::string> labels{};  ///< what a user calls it: "gpu", "berlin"; see `Stream::on`
};

/// What the command line and the environment said about a run: which node this is, of which cluster, and what to
/// report.
struct Options {
  enum class Explain { none, text, dot };

  std::string program = "tensair";  ///< for messages: the program's name
  int rank = 0;                     ///< this node, from 0
  std::vector<std::string> nodes;  ///< `host:port` of every node in order of rank; empty: this process is the only node
  int local = 0;           ///< `--local N`: with N > 1 this process only launches N nodes; else it is a node itself
  int threads = 0;         ///< worker threads of this node; 0: one for each core
  std::uint64_t seed = 1;  ///< all randomness follows from it
  bool quiet = false;      ///< no progress bar
  Explain explain = Explain::none;    ///< print the plan and do nothing else
  std::filesystem::path json;         ///< where node 0 writes the run's figures; empty: nowhere
  std::filesystem::path profile;      ///< where node 0 writes what the run's parts cost; empty: nowhere, not measured
  std::filesystem::path use_profile;  ///< such a file, to place operators by; empty: without
  enum overlay overlay = overlay::automatic;  ///< the links that models' deltas travel
  std::string device;  ///< where models' replicas compute, unless `ModelOptions::device` says; empty: on the CPU
  enum compression compression = compression::none;    ///< of records that go to another node, unless a stream says
  std::chrono::milliseconds connect_deadline{30'000};  ///< how long to wait for the other nodes
  std::chrono::milliseconds heartbeat{500};            ///< how often a node tells another that it is alive; 0: never
  std::chrono::milliseconds silence{5'000};  ///< how long nothing may be heard of a node before it is taken for lost
  std::chrono::milliseconds outage{
      10'000};                         ///< how long a connection that was cut may take to come back; 0: it may not
  std::string token;                   ///< the cluster's secret, which every node must prove to have; empty: none
  int listen_socket = -1;              ///< an already listening socket, inherited from the launcher; -1: none
  std::vector<std::string> arguments;  ///< the command line as given, program first (the launcher starts nodes with it)

  std::vector<NodeSpec> specs;  ///< of every node, if a cluster file has said

  auto node_count() const -> int { return nodes.empty() ? 1 : static_cast<int>(nodes.size()); }
};

/// A program's own flags, beside the ones tensair gives every program (`--local`, `--nodes`, …).
///
/// @code
/// int least = 3;
/// auto flags = tensair::Flags{"long_words", "Counts the long words of a list."};
/// flags.add("--least", least, "how many letters make a word long");
/// tensair::Pipeline pipeline{argc, argv, flags};
/// @endcode
class Flags {
 public:
  explicit Flags(std::string program, std::string description = {});
  Flags(Flags&&) noexcept;
  auto operator=(Flags&&) noexcept -> Flags&;
  ~Flags();

  auto program() const -> const std::string&;

  /// A flag with a value; `variable` keeps its value when the flag is not given, and that value is shown by `--help` as
  /// the default. The variable must live until `parse` (so: until the `Pipeline` is made).
  auto add(std::string name, int& variable, std::string help) -> Flags&;
  auto add(std::string name, std::uint64_t& variable, std::string help) -> Flags&;
  auto add(std::string name, double& variable, std::string help) -> Flags&;
  auto add(std::string name, std::string& variable, std::string help) -> Flags&;
  auto add(std::string name, std::filesystem::path& variable, std::string help) -> Flags&;
  /// A text that must be one of `choices`.
  auto add(std::string name, std::string& variable, std::vector<std::string> choices, std::string help) -> Flags&;
  /// A switch: `--name` sets it, `--no-name` clears it.
  auto add(std::string name, bool& variable, std::string help) -> Flags&;

  /// Reads the command line, then what it left open from the environment (TENSAIR_NODES/TENSAIR_RANK, TENSAIR_TOKEN,
  /// Open MPI, Slurm, torchrun).
  /// @throws UsageError  an unknown flag, a bad value, a rank outside the list of nodes, …; names the flag and what it takes
  /// @throws HelpRequested  after `--help`: carries the text to print
  auto parse(int argc, const char* const* argv) -> Options;

  /// What an environment variable is set to, if it is.
  using Environment = std::function<std::optional<std::string>(const std::string& name)>;
  /// The same with the environment given by the caller.
  auto parse(int argc, const char* const* argv, const Environment& environment) -> Options;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// `--help` was given: not a failure. `Pipeline::run` prints the text to standard output and returns 0.
struct HelpRequested {
  std::string text;
};

}  // namespace tensair
