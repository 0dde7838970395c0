#include "support/topologies.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <cstdlib>
#include <exception>
#include <tensair/testing/cluster.hpp>
#include <thread>

namespace tensair::test {
namespace {

// A listening socket on a free loopback port, and that port.
auto listen_anywhere() -> std::pair<int, int> {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (socket < 0 || ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(socket, 64) != 0 ||
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no loopback port to be had");
  }
  return {socket, ntohs(address.sin_port)};
}

}  // namespace

auto Topology::name() const -> std::string {
  return tcp ? fmt::format("{} nodes with {} workers over TCP", nodes, workers)
             : fmt::format("{} simulated nodes, seed {}", nodes, seed);
}

auto topologies() -> std::vector<Topology> {
  std::vector<Topology> all;
  for (const int nodes : {1, 2, 5}) {
    for (const std::uint64_t seed : {1U, 2U, 3U}) all.push_back({nodes, seed, false});
    for (const int workers : {1, 3}) all.push_back({nodes, 1, true, workers});
  }
  return all;
}

auto some_topologies() -> std::vector<Topology> {
  return {{1, 1, false}, {2, 2, false}, {5, 3, false}, {2, 1, true}};
}

auto tcp_topologies() -> std::vector<Topology> {
  auto all = topologies();
  std::erase_if(all, [](const Topology& one) { return !one.tcp; });
  return all;
}

auto run(const Topology& topology, const std::function<void(Pipeline&)>& build) -> std::string {
  if (topology.tcp) return run_tcp(topology.nodes, build, 0, topology.workers);
  testing::Cluster cluster{{.nodes = topology.nodes, .seed = topology.seed}};
  cluster.run(build);
  return {};
}

auto run_tcp(int nodes, const std::function<void(Pipeline&)>& build, int whose, int workers) -> std::string {
  std::vector<Options> options(static_cast<std::size_t>(nodes));
  std::vector<std::string> addresses;
  for (auto& one : options) {
    const auto [socket, port] = listen_anywhere();
    one.listen_socket = socket;
    addresses.push_back(fmt::format("127.0.0.1:{}", port));
  }
  std::vector<std::unique_ptr<Pipeline>> pipelines;
  for (int rank = 0; rank < nodes; ++rank) {
    auto& one = options[static_cast<std::size_t>(rank)];
    one.program = "test";
    one.rank = rank;
    one.threads = workers;
    if (const char* device = std::getenv("TENSAIR_DEVICE")) one.device = device;
    if (nodes > 1) one.nodes = addresses;
    // Building is done here, in turn: a test's builder is not called by two threads at once.
    build(*pipelines.emplace_back(std::make_unique<Pipeline>(one)));
  }
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(nodes));
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < pipelines.size(); ++rank) {
    threads.emplace_back([&, rank] {
      try {
        pipelines[rank]->execute();
      } catch (...) {
        errors[rank] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  if (const auto& error = errors[static_cast<std::size_t>(whose)]) std::rethrow_exception(error);
  return pipelines[0]->figures();
}

auto explained(const Pipeline& pipeline, int nodes) -> std::string {
  pipeline.graph()->place(std::vector<NodeSpec>(static_cast<std::size_t>(nodes)));
  return pipeline.graph()->explain();
}

}  // namespace tensair::test
