// What a link between two nodes costs, and what it keeps apart.
//
//   link [--json FILE] [--quick] [--repetitions N] [--text FILE]
//
// Two processes of this machine over loopback TCP, on one side tensair's nodes, on the other the same without:
//
//   throughput  records of 64 bytes, trivially copyable: encoded, sent, and looked at where they lie; against plain
//   sockets
//               with writes of 64 KiB, looked at too
//   ping-pong   a control message of 16 bytes and back, on an idle link; against as many bytes with bare Asio
//   delays      of a control message each millisecond and a record each 0.1 ms, while deltas of 120 MB follow one
//               another; against those without deltas
//   edge        the same records from node to node of a pipeline, and such as have to be serialized; processor time of
//               both nodes
//   idle        processor time of two nodes of a pipeline that waits for records
//   text        with --text and instead of the others: the lines of a file over an edge of a pipeline, as they are and
//               compressed by all methods there are; bytes on the link, and the text's bytes a second

#include <CLI/CLI.hpp>
#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "child.hpp"
#include "link_nodes.hpp"
#include "link_plain.hpp"
#include "link_text.hpp"
#include "listener.hpp"
#include "report.hpp"
#include "statistics.hpp"

namespace {

/// What the benchmark tells one of its processes.
struct Task {
  std::string name;
  int node = -1, socket = -1;
  std::string addresses;
  double amount = 0;
  std::filesystem::path text;
};

constexpr auto methods = {tensair::compression::none, tensair::compression::lz4, tensair::compression::zstd};

/// In a process of its own: does its part, and says five numbers.
void run_task(const Task& task) {
  const double cpu = bench::cpu_seconds();
  const auto comma = task.addresses.find(',');
  tensair::Options options;
  options.program = "link";
  options.rank = task.node;
  options.threads = 1;
  options.quiet = true;
  options.nodes = {task.addresses.substr(0, comma), task.addresses.substr(comma + 1)};
  const auto plain = [&] { return bench::plain_connection(task.node, task.socket, options.nodes[0]); };
  const auto records = static_cast<std::uint64_t>(task.amount);
  bench::Delays delays;
  double value = 0;
  if (task.name.starts_with("plain")) {
    const int socket = plain();
    value = task.name == "plain-throughput"
                ? bench::plain_throughput(task.node, socket, records)
                : bench::PlainPingPong{task.node, socket, static_cast<int>(task.amount)}.run();
  } else {
    options.listen_socket = task.socket;
    if (task.name == "throughput") value = bench::link_throughput(options, records, false);
    if (task.name == "checked") value = bench::link_throughput(options, records, true);
    if (task.name == "pipeline") value = bench::pipeline_throughput<bench::Record>(options, records);
    if (task.name == "letters") value = bench::pipeline_throughput<bench::Letter>(options, records);
    if (task.name == "ping-pong") value = bench::link_ping_pong(options, static_cast<int>(task.amount));
    if (task.name == "idle") value = bench::pipeline_idle(options, task.amount);
    if (task.name == "quiet") delays = bench::link_delays(options, task.amount, false);
    if (task.name == "deltas") delays = bench::link_delays(options, task.amount, true);
    for (const auto method : methods) {
      if (task.name != "text " + to_string(method)) continue;
      const auto run = bench::text_over_edge(options, task.text, method);
      value = run.seconds;
      delays.control_median = run.bytes;
    }
  }
  bench::say(fmt::format("{} {} {} {} {}", value, delays.control_median, delays.control_p99, delays.data_p99,
                         bench::cpu_seconds() - cpu));
}

struct Outcome {
  double value = 0;
  bench::Delays delays{};
  std::array<double, 2> cpu{};  ///< seconds, of each node
};

/// Does a task on two nodes. @return  what node `whose` says
auto measure(const std::string& name, double amount, int whose = 0, const std::filesystem::path& text = "-")
    -> Outcome {
  const auto first = bench::listen_anywhere(), second = bench::listen_anywhere();
  std::vector<bench::Child> children;
  for (const int node : {0, 1}) {
    const int socket = node == 0 ? first.socket : second.socket;
    children.emplace_back(
        std::vector<std::string>{"--task", name, "--node", std::to_string(node), "--addresses",
                                 first.address + "," + second.address, "--socket", std::to_string(socket), "--amount",
                                 fmt::format("{}", amount), "--text", text.string()},
        std::vector<int>{socket});
  }
  ::close(first.socket);
  ::close(second.socket);
  std::vector<std::string> said;
  for (auto& child : children) said.push_back(child.hear());
  Outcome outcome;
  for (const std::size_t node : {1U - static_cast<unsigned>(whose), static_cast<unsigned>(whose)}) {
    auto& d = outcome.delays;
    if (std::sscanf(said[node].c_str(), "%lf %lf %lf %lf %lf", &outcome.value, &d.control_median, &d.control_p99,
                    &d.data_p99, &outcome.cpu[node]) != 5)
      throw tensair::Error("a node says what it should not", said[node]);
  }
  return outcome;
}

void run_text(int repetitions, const std::filesystem::path& text, const std::filesystem::path& json) {
  std::map<enum tensair::compression, std::vector<double>> seconds, bytes;
  for (int i = 0; i < repetitions; ++i) {
    for (const auto method : methods) {
      if (!is_available(method)) continue;
      const auto outcome = measure("text " + to_string(method), 0, 0, text);
      seconds[method].push_back(outcome.value);
      bytes[method].push_back(outcome.delays.control_median);
    }
  }
  using bench::median;
  const auto size = static_cast<double>(std::filesystem::file_size(text));
  std::vector<bench::Row> sent, speed;
  for (const auto& [method, each] : seconds) {
    const auto system = "tensair, " + to_string(method);
    sent.push_back({system, median(bytes[method]) / 1e6, median(bytes[method]) / size});
    speed.push_back({system, size / 1e6 / median(each)});
  }
  bench::Report report;
  report.table(fmt::format("text over an edge, {:.1f} MB", size / 1e6), "MB sent", sent);
  report.table("the same", "MB of text/s", speed);
  if (!json.empty()) report.write(json);
}

/// What an edge of a pipeline has done, a figure for each time.
struct Edge {
  std::vector<double> rates, sender, receiver;  ///< records a second, and a second of a node's processor time

  void add(double records, const Outcome& outcome) {
    rates.push_back(records / outcome.value);
    sender.push_back(records / outcome.cpu[1]);
    receiver.push_back(records / outcome.cpu[0]);
  }
};

void run(int repetitions, bool quick, const std::filesystem::path& json) {
  const double records = (quick ? 4'000 : 16'000) * static_cast<double>(bench::records_of_chunk);
  const double rounds = quick ? 5'000 : 30'000;
  const double seconds = quick ? 1 : 5;
  std::vector<double> plain, link, checked, plain_round, link_round, idle;
  Edge edge, letters;
  std::vector<double> control, control_p99, data_p99, control_busy, control_p99_busy, data_p99_busy;
  for (int i = 0; i < repetitions; ++i) {
    plain.push_back(records / measure("plain-throughput", records).value);
    link.push_back(records / measure("throughput", records).value);
    checked.push_back(records / measure("checked", records).value);
    edge.add(records, measure("pipeline", records));
    letters.add(records / 4, measure("letters", records / 4));
    plain_round.push_back(1e6 * measure("plain-ping-pong", rounds).value);
    link_round.push_back(1e6 * measure("ping-pong", rounds).value);
    const auto quiet = measure("quiet", seconds, 1).delays, busy = measure("deltas", seconds, 1).delays;
    control.push_back(quiet.control_median);
    control_p99.push_back(quiet.control_p99);
    data_p99.push_back(quiet.data_p99);
    control_busy.push_back(busy.control_median);
    control_p99_busy.push_back(busy.control_p99);
    data_p99_busy.push_back(busy.data_p99);
    idle.push_back(100 * measure("idle", seconds).value);
  }
  using bench::median;
  bench::Report report;
  const double limit = median(plain);
  report.table(
      "throughput, records of 64 bytes", "records/s",
      {{"limit", limit, 1, "plain sockets, 64 KiB a write (the limit)"},
       {"tensair", median(link), median(link) / limit, "tensair, a link"},
       {"tensair, checksums", median(checked), median(checked) / limit, "the same, pieces with checksums"},
       {"tensair, pipeline", median(edge.rates), median(edge.rates) / limit, "tensair, an edge of a pipeline"}});
  report.table("an edge of a pipeline, records that are serialized", "records/s",
               {{"tensair", median(letters.rates), median(letters.rates) / 1e6,
                 "tensair, a string and a number; of 1 M wanted"}});
  for (const auto& [name, of, wanted] : {std::tuple{"64 bytes", &edge, 1e7}, {"serialized", &letters, 1e6}}) {
    const double sender = median(of->sender), receiver = median(of->receiver);
    report.table(
        fmt::format("an edge of a pipeline, {}, by processor time", name), "records/s a core",
        {{"tensair, sender", sender, sender / wanted, fmt::format("its sender; of {:g} M wanted", wanted / 1e6)},
         {"tensair, receiver", receiver, receiver / wanted, "its receiver"}});
    report.note("{:.0f} ns + {:.0f} ns a record", 1e9 / sender, 1e9 / receiver);
  }
  report.table("ping-pong, a control message on an idle link", "us a round",
               {{"limit", median(plain_round), 1, "bare Asio (the limit)"},
                {"tensair", median(link_round), median(link_round) / median(plain_round)}});
  report.table("control message while deltas of 120 MB are sent", "ms",
               {{"without deltas", median(control), std::nullopt, "without deltas, median"},
                {"tensair", median(control_busy), std::nullopt, "with, median"},
                {"without deltas, p99", median(control_p99), std::nullopt, "without deltas, p99"},
                {"tensair, p99", median(control_p99_busy), std::nullopt, "with, p99"}});
  report.note("more: {:.2f} ms at the median (2 wanted), {:.2f} ms at p99", median(control_busy) - median(control),
              median(control_p99_busy) - median(control_p99));
  report.table("data record while deltas of 120 MB are sent", "ms",
               {{"without deltas, p99", median(data_p99), std::nullopt, "without deltas, p99"},
                {"tensair, p99", median(data_p99_busy), std::nullopt, "with, p99"}});
  report.note("more: {:.2f} ms at p99 (5 wanted)", median(data_p99_busy) - median(data_p99));
  report.table("idle node of a pipeline", "% of a core",
               {{"tensair", median(idle), median(idle), "tensair, of at most 1 %"}});
  if (!json.empty()) report.write(json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What a link costs."};
  std::filesystem::path json;
  int repetitions = 5;
  bool quick = false;
  Task task;
  app.add_option("--json", json, "where to write the rows");
  app.add_option("--repetitions", repetitions, "how often each is run")->check(CLI::PositiveNumber);
  app.add_flag("--quick", quick, "within 20 s");
  // What the benchmark tells its own processes.
  app.add_option("--task", task.name)->group("");
  app.add_option("--node", task.node)->group("");
  app.add_option("--addresses", task.addresses)->group("");
  app.add_option("--socket", task.socket)->group("");
  app.add_option("--amount", task.amount)->group("");
  app.add_option("--text", task.text, "a file whose lines are sent over an edge, and nothing else is measured");
  CLI11_PARSE(app, argc, argv);
  if (quick) repetitions = 1;
  try {
    if (task.node >= 0) {
      run_task(task);
    } else if (!task.text.empty()) {
      run_text(repetitions, task.text, json);
    } else {
      run(repetitions, quick, json);
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "link: {}\n", error.what());
    return 1;
  }
}
