// What it costs to start a cluster and to end it.
//
//   start [--json FILE] [--nodes N] [--runs N] [--short-runs N]
//
// N nodes (64), each a process of this machine with a link to every other, start, come together, run an empty pipeline,
// and end: the median of `--runs` (5). Then 1,000 runs of two nodes each, one after the other, and what they leave
// behind: open files, processes, sockets, files in the folder for temporary ones, which is their own. Nothing is what
// it must be, or the exit code is 1. Where the machine allows it, all run in a network namespace; else others' sockets
// are there, too, and only more listening ones count.

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <tensair/launch.hpp>
#include <tensair/pipeline.hpp>
#include <thread>
#include <vector>

#include "report.hpp"
#include "seconds.hpp"
#include "statistics.hpp"

namespace {

namespace fs = std::filesystem;

constexpr auto as_node = "node";

auto run_node(int argc, char** argv) -> int {
  std::vector<const char*> arguments(argv, argv + argc);
  arguments.erase(arguments.begin() + 1);
  tensair::Pipeline pipeline{static_cast<int>(arguments.size()), arguments.data()};
  pipeline.source(std::vector<int>{}).rebalance().sink([](int) {});
  return pipeline.run();
}

void run_cluster(int nodes) {
  tensair::Options options;
  options.local = nodes;
  options.arguments = {"start", as_node};
  if (const int code = tensair::launch_local(options); code != 0)
    throw tensair::Error{fmt::format("a run of {} nodes ended with {}", nodes, code)};
}

auto entries(const fs::path& folder) -> std::ptrdiff_t {
  return std::distance(fs::directory_iterator{folder}, {});
}

/// A network of this process and those it starts alone, with nothing but loopback.
/// @return false  that is not allowed here
auto leave_the_network() -> bool {
  if (unshare(CLONE_NEWNET) != 0) return false;
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool up = ioctl(socket, SIOCSIFFLAGS, &loopback) == 0;
  ::close(socket);
  if (!up) throw tensair::Error("a network of its own has no loopback");
  return true;
}

struct Sockets {
  Sockets() {
    for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
      std::ifstream in{file};
      std::string line, number, local, remote, state;
      std::getline(in, line);
      while (in >> number >> local >> remote >> state && std::getline(in, line)) {
        if (state == "0A") ++listening;
        if (state != "0A" && state != "06") ++connected;  // 06: TIME_WAIT, which is nobody's any more
      }
    }
  }
  std::ptrdiff_t listening = 0, connected = 0;
};

struct Belongings {
  std::ptrdiff_t files = entries("/proc/self/fd");
  Sockets sockets{};
  std::ptrdiff_t temporary_files = entries(fs::temp_directory_path());
  bool children = waitpid(-1, nullptr, WNOHANG) == 0 || errno != ECHILD;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string{as_node}) return run_node(argc, argv);
  fs::path json;
  int nodes = 64, runs = 5, short_runs = 1'000;
  CLI::App app{"What it costs to start a cluster and to end it."};
  app.add_option("--json", json, "write the figures there");
  app.add_option("--nodes", nodes, "of the big cluster");
  app.add_option("--runs", runs, "of it");
  app.add_option("--short-runs", short_runs, "of two nodes");
  CLI11_PARSE(app, argc, argv);

  const bool alone = leave_the_network();
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // orphans become children
  std::string temporary = (fs::temp_directory_path() / "tensair-start-XXXXXX").string();
  if (mkdtemp(temporary.data()) == nullptr) throw tensair::Error("no folder to be had for temporary files", temporary);
  setenv("TMPDIR", temporary.c_str(), 1);

  bench::Report report;
  std::vector<double> seconds;
  for (int i = 0; i < runs; ++i) {
    const double begin = bench::wall_seconds();
    run_cluster(nodes);
    seconds.push_back(bench::wall_seconds() - begin);
  }
  constexpr double limit = 10;
  const double median = bench::median(seconds);
  report.table(fmt::format("{} processes start, connect, end", nodes), "s",
               {{"tensair", median, median / limit, "tensair, of at most 10 s"}});
  report.end_of_section();

  const Belongings before;
  const double begin = bench::wall_seconds();
  for (int i = 0; i < short_runs; ++i) run_cluster(2);
  const double each = (bench::wall_seconds() - begin) / std::max(short_runs, 1);
  // The last connection may be on its way out.
  for (int i = 0; i < 100 && Sockets{}.connected > before.sockets.connected; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  const Belongings after;
  report.table(fmt::format("{} runs of two nodes", short_runs), "ms a run", {{"tensair", each * 1e3}});
  report.note("left behind: {} open files, {} listening sockets, {} connected ones{}, {} temporary files, {}",
              after.files - before.files, after.sockets.listening - before.sockets.listening,
              after.sockets.connected - before.sockets.connected, alone ? "" : " (with others')", after.temporary_files,
              after.children ? "a process" : "no process");
  fs::remove_all(temporary);
  if (!json.empty()) report.write(json);
  const bool no_sockets = after.sockets.listening <= before.sockets.listening &&
                          (!alone || after.sockets.connected <= before.sockets.connected);
  return after.files == before.files && no_sockets && after.temporary_files == 0 && !after.children ? 0 : 1;
}
