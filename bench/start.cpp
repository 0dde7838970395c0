// What it costs to start a cluster and to end it.
//
//   start [--json FILE] [--nodes N] [--runs N] [--short-runs N]
//
// N nodes (64), each a process of this machine with a link to every other, start, come together, run an empty pipeline,
// and end: the median of `--runs` (5). Then 1,000 runs of two nodes each, one after the other, and what they leave
// behind: open files, processes, listening sockets, files in the folder for temporary ones. Nothing is what it must be.

#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <tensair/launch.hpp>
#include <tensair/pipeline.hpp>
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

auto listening() -> std::ptrdiff_t {
  std::ptrdiff_t count = 0;
  std::ifstream in{"/proc/net/tcp"};
  std::string line;
  while (std::getline(in, line)) count += line.find(" 0A ") != std::string::npos ? 1 : 0;
  return count;
}

struct Belongings {
  std::ptrdiff_t files = entries("/proc/self/fd");
  std::ptrdiff_t listening_sockets = listening();
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
  const Belongings after;
  report.table(fmt::format("{} runs of two nodes", short_runs), "ms a run", {{"tensair", each * 1e3}});
  report.note("left behind: {} open files, {} listening sockets, {} temporary files, {}", after.files - before.files,
              after.listening_sockets - before.listening_sockets, after.temporary_files - before.temporary_files,
              after.children ? "a process" : "no process");
  if (!json.empty()) report.write(json);
  const bool clean =
      after.files == before.files && after.listening_sockets <= before.listening_sockets && !after.children;
  return clean ? 0 : 1;
}
