#include "placement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster_file.hpp"
#include "device_name.hpp"
#include "token.hpp"

// Which node this is, of which cluster. The flags say it, else TENSAIR_NODES and TENSAIR_RANK, else the variables of
// the launcher that started the processes. Of several launchers the innermost counts: srun and mpirun start torchruns,
// and mpirun runs inside a Slurm job, never the other way round.
//
// No launcher says at which port a rank listens. On one host that can be agreed on beforehand (a base port plus the
// rank); across hosts it cannot, and TENSAIR_NODES must say it.

namespace tensair::detail {
namespace {

constexpr int first_port = 7700;
constexpr int most_ports = 65'535;

auto read(const Flags::Environment& environment, const std::string& name) -> std::optional<std::string> {
  auto value = environment(name);
  return value && value->empty() ? std::nullopt : value;
}

auto read_number(const Flags::Environment& environment, const std::string& name, int low,
                 int high = std::numeric_limits<int>::max()) -> std::optional<int> {
  const auto text = read(environment, name);
  if (!text) return std::nullopt;
  return read_whole(name, *text, low, high);
}

/// The first of `names` that is set.
auto read_first_number(const Flags::Environment& environment, std::initializer_list<const char*> names, int low)
    -> std::optional<int> {
  for (const char* name : names) {
    if (auto number = read_number(environment, name, low)) return number;
  }
  return std::nullopt;
}

struct Launcher {
  std::string name;
  int rank;
  int size;
  bool one_host;
  int base_port;
};

auto find_launcher(const Flags::Environment& environment) -> std::optional<Launcher> {
  const auto number = [&](const char* name, int low) { return read_number(environment, name, low); };
  const auto is_set = [&](const char* name) { return read(environment, name).has_value(); };
  const auto base_port = [&](int otherwise) {
    return read_number(environment, "TENSAIR_PORT", 1, most_ports).value_or(otherwise);
  };

  auto launcher = std::optional<Launcher>{};
  if (is_set("RANK") && is_set("WORLD_SIZE") && is_set("MASTER_ADDR") && is_set("MASTER_PORT")) {
    const int size = *number("WORLD_SIZE", 1);
    // MASTER_PORT itself belongs to torchrun's own rendezvous.
    launcher = Launcher{"torchrun", *number("RANK", 0), size, number("LOCAL_WORLD_SIZE", 1) == size,
                        base_port(*read_number(environment, "MASTER_PORT", 1, most_ports) + 1)};
  } else if (is_set("OMPI_COMM_WORLD_RANK") && is_set("OMPI_COMM_WORLD_SIZE")) {
    const int size = *number("OMPI_COMM_WORLD_SIZE", 1);
    launcher = Launcher{"Open MPI", *number("OMPI_COMM_WORLD_RANK", 0), size,
                        number("OMPI_COMM_WORLD_LOCAL_SIZE", 1) == size, base_port(first_port)};
  } else if (is_set("SLURM_PROCID") && is_set("SLURM_NTASKS")) {
    // A step may have fewer tasks and hosts than its job.
    const int size = *read_first_number(environment, {"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}, 1);
    const auto hosts =
        read_first_number(environment, {"SLURM_STEP_NUM_NODES", "SLURM_NNODES", "SLURM_JOB_NUM_NODES"}, 1);
    auto list = read(environment, "SLURM_STEP_NODELIST");
    if (!list) list = read(environment, "SLURM_JOB_NODELIST");
    const bool one_host = hosts ? *hosts == 1 : list && list->find_first_of(",[") == std::string::npos;
    launcher = Launcher{"Slurm", *number("SLURM_PROCID", 0), size, one_host, base_port(first_port)};
  }
  if (!launcher || launcher->size == 1) return std::nullopt;
  if (launcher->rank >= launcher->size) {
    throw UsageError{fmt::format("{} says this is rank {} of {}", launcher->name, launcher->rank, launcher->size),
                     "environment", "Ranks count from 0."};
  }
  return launcher;
}

auto addresses_on_one_host(const Launcher& launcher) -> std::vector<std::string> {
  if (launcher.base_port + launcher.size - 1 > most_ports) {
    throw UsageError{fmt::format("there are no {} ports from {} on", launcher.size, launcher.base_port), "environment",
                     "Set TENSAIR_PORT to a lower one."};
  }
  auto nodes = std::vector<std::string>{};
  for (int rank = 0; rank < launcher.size; ++rank) {
    nodes.push_back(fmt::format("127.0.0.1:{}", launcher.base_port + rank));
  }
  return nodes;
}

auto read_nodes(const std::string& source, const std::string& text) -> std::vector<std::string> {
  auto nodes = std::vector<std::string>{};
  for (std::size_t start = 0; start <= text.size();) {
    const auto end = std::min(text.find(',', start), text.size());
    auto address = text.substr(start, end - start);
    start = end + 1;
    if (address.empty()) {
      throw UsageError{fmt::format("{} '{}' has an empty address", source, text), {}, "Write host:port,host:port,…"};
    }
    check_address(source, address);
    const auto same = std::find(nodes.begin(), nodes.end(), address);
    if (same != nodes.end()) {
      throw UsageError{fmt::format("{}: nodes {} and {} have the same address {}", source, same - nodes.begin(),
                                   nodes.size(), address),
                       {},
                       "Give each node its own port."};
    }
    nodes.push_back(std::move(address));
  }
  if (nodes.size() > most_nodes) {
    throw UsageError{fmt::format("{} lists {} nodes; the limit is {}", source, nodes.size(), most_nodes)};
  }
  return nodes;
}

/// The list of nodes that holds, and who gave it.
struct NodeList {
  std::string source;
  std::vector<std::string> nodes;
};

auto find_list(const Given& given, const std::optional<ClusterFile>& cluster, const Flags::Environment& environment)
    -> std::optional<NodeList> {
  if (given.nodes) return NodeList{"--nodes", read_nodes("--nodes", *given.nodes)};
  // The launcher of --local has made addresses of its own for the nodes of a cluster file.
  const auto listed = read(environment, "TENSAIR_NODES");
  const bool launched = read(environment, "TENSAIR_LISTEN_SOCKET").has_value();
  if (cluster && !(listed && launched)) return NodeList{"the cluster file", cluster->addresses};
  if (listed) return NodeList{"TENSAIR_NODES", read_nodes("TENSAIR_NODES", *listed)};
  return std::nullopt;
}

void place_in_list(Options& options, NodeList list, const Given& given, const Flags::Environment& environment) {
  const auto source = std::move(list.source);
  options.nodes = std::move(list.nodes);

  const auto ranked = read_number(environment, "TENSAIR_RANK", 0);
  std::string rank_source = "--rank";
  if (given.rank) {
    options.rank = *given.rank;
  } else if (ranked) {
    rank_source = "TENSAIR_RANK";
    options.rank = *ranked;
  } else if (const auto launcher = find_launcher(environment)) {
    rank_source = launcher->name + "'s rank";
    options.rank = launcher->rank;
    if (launcher->size != options.node_count()) {
      throw UsageError{fmt::format("{} lists {} nodes, but {} started {}", source, options.nodes.size(), launcher->name,
                                   launcher->size),
                       {},
                       "List one address for each rank."};
    }
  } else {
    throw UsageError{source + " without a rank: which of the nodes is this?", {}, "Give --rank R or set TENSAIR_RANK."};
  }
  if (options.rank >= options.node_count()) {
    throw UsageError{fmt::format("{} {} is outside the list: {} has {} node{}", rank_source, options.rank, source,
                                 options.nodes.size(), options.nodes.size() == 1 ? "" : "s"),
                     {},
                     "Ranks count from 0."};
  }
  // The launcher of --local made this socket for exactly this list and rank.
  if (!given.nodes && !given.rank) {
    options.listen_socket = read_number(environment, "TENSAIR_LISTEN_SOCKET", 0).value_or(-1);
  }
}

}  // namespace

void check_address(const std::string& source, std::string_view address) {
  const auto refuse = [&](const char* why) -> UsageError {
    return UsageError{fmt::format("{}: '{}' {}", source, address, why),
                      {},
                      "Write host:port, an IPv6 address in brackets, and a comma between two nodes."};
  };
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos) throw refuse("has no port");
  const auto host = address.substr(0, colon);
  const auto port = address.substr(colon + 1);
  if (address.front() == '[') {
    if (host.size() < 3 || host.find(']') != host.size() - 1) throw refuse("is not [address]:port");
  } else if (host.empty()) {
    throw refuse("has no host");
  } else if (host.find_first_of(":[] \t/") != std::string_view::npos) {
    throw refuse("is not host:port");
  }
  int number = 0;
  const auto [stop, failure] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (stop != port.data() + port.size() || failure != std::errc{} || number < 1 || number > most_ports) {
    throw refuse("has a port that is not a number from 1 to 65535");
  }
}

auto bad_value(const std::string& name, const std::string& takes, const std::string& text) -> UsageError {
  return UsageError{fmt::format("{} takes {}, not '{}'", name, takes, text),
                    name.starts_with('-') ? "" : "environment"};
}

auto read_whole(const std::string& name, const std::string& text, int low, int high) -> int {
  int value = 0;
  const auto [stop, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || stop != text.data() + text.size() || failure != std::errc{} || value < low || value > high) {
    const auto range = high == std::numeric_limits<int>::max() ? fmt::format("a whole number from {} on", low)
                                                               : fmt::format("a whole number from {} to {}", low, high);
    throw bad_value(name, range, text);
  }
  return value;
}

void place(Options& options, const Given& given, const Flags::Environment& environment) {
  options.threads =
      given.threads ? *given.threads : read_number(environment, "TENSAIR_THREADS", 0, most_threads).value_or(0);
  if (auto token = read(environment, "TENSAIR_TOKEN"); token && options.token.empty()) {
    options.token = checked_token("TENSAIR_TOKEN", *std::move(token));
  }
  if (auto device = read(environment, "TENSAIR_DEVICE"); device && options.device.empty()) {
    if (!is_device_name(*device)) throw bad_value("TENSAIR_DEVICE", device_names, *device);
    options.device = *std::move(device);
  }
  auto cluster = std::optional<ClusterFile>{};
  if (given.cluster) {
    cluster = read_cluster_file(*given.cluster);
    options.specs = cluster->specs;
  } else if (const auto file = read(environment, "TENSAIR_CLUSTER"); file && !given.nodes) {
    cluster = read_cluster_file(*file);
    options.specs = cluster->specs;
  }
  if (given.nodes && given.cluster) {
    throw UsageError{"--nodes and --cluster exclude each other", {}, "The cluster file has the nodes' addresses."};
  }
  if (given.local) {
    if (given.nodes || given.rank) {
      throw UsageError{fmt::format("--local and {} exclude each other", given.nodes ? "--nodes" : "--rank"),
                       {},
                       "--local makes the addresses and ranks itself."};
    }
    if (cluster && *given.local != std::ssize(cluster->specs)) {
      throw UsageError{fmt::format("--local {} with a cluster file of {} nodes", *given.local, cluster->specs.size()),
                       {},
                       "Give the same number, to run the whole cluster on this machine."};
    }
    options.local = *given.local;
    return;
  }
  if (auto list = find_list(given, cluster, environment)) {
    return place_in_list(options, *std::move(list), given, environment);
  }
  if (given.rank || read(environment, "TENSAIR_RANK")) {
    throw UsageError{fmt::format("{} without a list of nodes", given.rank ? "--rank" : "TENSAIR_RANK"),
                     {},
                     "Give --nodes host:port,… or a file with --cluster, or set TENSAIR_NODES."};
  }
  const auto launcher = find_launcher(environment);
  if (!launcher) return;
  if (!launcher->one_host) {
    throw UsageError{
        fmt::format("{} started {} nodes on several hosts, and at which addresses they listen is not known",
                    launcher->name, launcher->size),
        "environment", "Set TENSAIR_NODES to host:port of every rank, in order."};
  }
  options.rank = launcher->rank;
  options.nodes = addresses_on_one_host(*launcher);
}

}  // namespace tensair::detail
