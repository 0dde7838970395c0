#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <tensair/error.hpp>
#include <tensair/launch.hpp>
#include <thread>
#include <utility>

#include "launch/file_descriptor.hpp"
#include "launch/output.hpp"
#include "launch/signals.hpp"
#include "token.hpp"

// One poll loop and no thread: what nodes print, the end of a node and signals all wake it, and it never blocks on
// anything else. Above all not on its own output: text that standard output cannot take yet waits here, and a node is
// not read from while much of it waits, so that a slow reader slows the nodes while signals still get through.
//
// No node survives: the kernel kills each when the launcher dies, however that happens, and when `launch_local` is
// left, by return or exception, every node has been waited for.

extern char** environ;

namespace tensair {
namespace {

using Clock = std::chrono::steady_clock;

struct Listener {
  detail::FileDescriptor socket;
  std::string address;
};

auto listen_on_loopback() -> Listener {
  auto socket = detail::FileDescriptor{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"};
  auto address = sockaddr_in{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(socket.get(), generic, size) != 0) detail::fail_to_start("bind");
  if (listen(socket.get(), SOMAXCONN) != 0) detail::fail_to_start("listen");
  if (getsockname(socket.get(), generic, &size) != 0) detail::fail_to_start("getsockname");
  return {std::move(socket), fmt::format("127.0.0.1:{}", ntohs(address.sin_port))};
}

/// Strings as exec wants them.
class Strings {
 public:
  explicit Strings(std::vector<std::string> strings) : strings_(std::move(strings)) {
    for (auto& string : strings_) pointers_.push_back(string.data());
    pointers_.push_back(nullptr);
  }
  Strings(const Strings&) = delete;
  auto operator=(const Strings&) -> Strings& = delete;
  auto data() const -> char* const* { return pointers_.data(); }

 private:
  std::vector<std::string> strings_;
  std::vector<char*> pointers_;
};

auto without_local(const std::vector<std::string>& given) -> std::vector<std::string> {
  auto arguments = std::vector<std::string>{};
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i] == "--") {
      arguments.insert(arguments.end(), given.begin() + static_cast<std::ptrdiff_t>(i), given.end());
      break;
    }
    if (given[i] == "--local") {
      ++i;
    } else if (!given[i].starts_with("--local=")) {
      arguments.push_back(given[i]);
    }
  }
  return arguments;
}

auto usable_cores() -> int {
  auto set = cpu_set_t{};
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::thread::hardware_concurrency());  // more than 1024
}

auto environment_with(const std::vector<std::pair<std::string, std::string>>& changes) -> std::vector<std::string> {
  auto environment = std::vector<std::string>{};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const auto text = std::string_view{*entry};
    const auto name = text.substr(0, text.find('='));
    if (std::none_of(changes.begin(), changes.end(), [&](const auto& change) { return change.first == name; })) {
      environment.emplace_back(text);
    }
  }
  for (const auto& [name, value] : changes) {
    if (!value.empty()) environment.push_back(name + "=" + value);
  }
  return environment;
}

/// What a child needs between fork and exec, where nothing may be allocated.
struct Start {
  const char* program;
  char* const* arguments;
  char* const* environment;
  pid_t launcher;
  int input, output, error, socket;  // input, error: -1 for the launcher's own
  int failure;                       // gets errno when exec fails
};

[[noreturn]] void become_node(const Start& start, const detail::Signals& signals) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != start.launcher) _exit(1);  // it died before the kernel knew that this one must die with it
  const bool ready = (start.input < 0 || dup2(start.input, STDIN_FILENO) >= 0) &&
                     dup2(start.output, STDOUT_FILENO) >= 0 &&
                     (start.error < 0 || dup2(start.error, STDERR_FILENO) >= 0) && fcntl(start.socket, F_SETFD, 0) == 0;
  if (ready) {
    signals.give_back();
    execve(start.program, start.arguments, start.environment);
  }
  const int number = errno;
  [[maybe_unused]] const auto written = write(start.failure, &number, sizeof number);
  _exit(127);
}

struct Node {
  int rank;
  pid_t process;
  bool runs = true;
  std::vector<detail::Source> streams = {};
};

class Nodes {
 public:
  Nodes(detail::Signals& signals, std::chrono::milliseconds grace) : signals_(signals), grace_(grace) {}
  Nodes(const Nodes&) = delete;
  auto operator=(const Nodes&) -> Nodes& = delete;
  ~Nodes() {
    signal_all(SIGKILL);
    for (const auto& node : nodes_) {
      while (node.runs && waitpid(node.process, nullptr, 0) < 0 && errno == EINTR) continue;
    }
  }

  void start_all(const Options& options, const std::filesystem::path& program);
  auto wait() -> int;

 private:
  void start(int rank, Start start);
  void poll_once();
  void take_signals();
  void reap();
  void note_end(const Node& node, int status);
  void enforce_deadline();
  auto milliseconds_to_deadline() const -> int;

  void signal_all(int signal) const {
    for (const auto& node : nodes_) {
      if (node.runs) kill(node.process, signal);
    }
  }
  auto any_runs() const -> bool {
    return std::any_of(nodes_.begin(), nodes_.end(), [](const auto& node) { return node.runs; });
  }
  auto any_to_write() const -> bool { return output_.wants_to_write() || error_.wants_to_write(); }

  detail::Signals& signals_;
  std::chrono::milliseconds grace_;
  std::vector<Node> nodes_;
  detail::Output output_{STDOUT_FILENO};
  detail::Output error_{STDERR_FILENO};
  detail::Output& errors_to_ = detail::are_the_same(STDOUT_FILENO, STDERR_FILENO) ? output_ : error_;
  int exit_code_ = 0;
  std::optional<Clock::time_point> deadline_;  // of the others, once a node has failed
  bool killed_ = false;                        // the deadline has passed
  bool stopped_ = false;                       // by SIGINT or SIGTERM
  bool abandoned_ = false;                     // by such a signal when only output was left to write
};

void Nodes::start_all(const Options& options, const std::filesystem::path& program) {
  auto listeners = std::vector<Listener>{};
  auto addresses = std::string{};
  for (int rank = 0; rank < options.local; ++rank) {
    listeners.push_back(listen_on_loopback());
    addresses += (rank == 0 ? "" : ",") + listeners.back().address;
  }
  const auto arguments = Strings{without_local(options.arguments)};
  // Only this machine's users reach loopback, but they all do. The environment of a process is its own user's to read.
  const auto token = options.token.empty() ? detail::random_token() : options.token;
  const auto null = detail::FileDescriptor{open("/dev/null", O_RDONLY | O_CLOEXEC), "/dev/null"};
  const bool on_terminal = isatty(STDERR_FILENO) == 1;
  const int threads = options.threads > 0 ? options.threads : std::max(1, usable_cores() / options.local);

  for (int rank = 0; rank < options.local; ++rank) {
    auto& socket = listeners[static_cast<std::size_t>(rank)].socket;
    const bool shows_progress = rank == 0 && on_terminal;
    const auto environment = Strings{environment_with({{"TENSAIR_NODES", addresses},
                                                       {"TENSAIR_RANK", fmt::format("{}", rank)},
                                                       {"TENSAIR_LISTEN_SOCKET", fmt::format("{}", socket.get())},
                                                       {"TENSAIR_TOKEN", token},
                                                       {"TENSAIR_THREADS", fmt::format("{}", threads)},
                                                       {"TENSAIR_TERMINAL", shows_progress ? "1" : ""}})};
    auto node = Start{};
    node.program = program.c_str();
    node.arguments = arguments.data();
    node.environment = environment.data();
    node.input = rank == 0 ? -1 : null.get();
    node.error = shows_progress ? -1 : 0;
    node.socket = socket.get();
    start(rank, node);
    socket.close();  // so that a node that is gone refuses connections
  }
}

void Nodes::start(int rank, Start start) {
  auto output = detail::make_pipe();
  auto error = start.error < 0 ? detail::Pipe{} : detail::make_pipe();
  auto failure = detail::make_pipe();
  start.launcher = getpid();
  start.output = output.write.get();
  start.error = error.write.get();
  start.failure = failure.write.get();
  {
    const auto held_back = detail::SignalsHeldBack{};
    const pid_t process = fork();
    if (process < 0) detail::fail_to_start("fork");
    if (process == 0) become_node(start, signals_);
    nodes_.push_back({rank, process});
  }
  auto& streams = nodes_.back().streams;
  streams.emplace_back(std::move(output.read), rank, output_);
  if (error.read.get() >= 0) streams.emplace_back(std::move(error.read), rank, errors_to_);

  failure.write.close();
  int number = 0;
  ssize_t count = 0;
  do {
    count = read(failure.read.get(), &number, sizeof number);  // ends when exec closes the other side
  } while (count < 0 && errno == EINTR);
  if (count == sizeof number) {
    throw Error{fmt::format("node {} cannot be started", rank),
                fmt::format("{}: {}", start.program, std::strerror(number)), "Is the program still there?"};
  }
}

auto Nodes::wait() -> int {
  while (any_runs() || (any_to_write() && !abandoned_)) {
    poll_once();
    take_signals();
    reap();
    enforce_deadline();
  }
  return exit_code_;
}

void Nodes::poll_once() {
  auto polled = std::vector<pollfd>{{signals_.file(), POLLIN, 0}};
  auto outputs = std::vector<detail::Output*>{};
  auto streams = std::vector<detail::Source*>{};
  for (auto* output : {&output_, &error_}) {
    if (!output->wants_to_write()) continue;
    outputs.push_back(output);
    polled.push_back({output->file(), POLLOUT, 0});
  }
  for (auto& node : nodes_) {
    for (auto& stream : node.streams) {
      if (!stream.is_open() || stream.output().is_full()) continue;
      streams.push_back(&stream);
      polled.push_back({stream.file(), POLLIN, 0});
    }
  }
  if (poll(polled.data(), polled.size(), milliseconds_to_deadline()) <= 0) return;
  auto next = polled.begin() + 1;
  for (auto* output : outputs) {
    if ((next++)->revents != 0) output->write_some();
  }
  for (auto* stream : streams) {
    if ((next++)->revents != 0 && !stream->output().is_full()) stream->read_some();
  }
}

void Nodes::take_signals() {
  while (const int event = signals_.next()) {
    const int signal = event & ~detail::from_terminal;
    if (signal == SIGCHLD) continue;  // it has woken the loop, which looks after every node
    if (!any_runs()) abandoned_ = true;
    stopped_ = true;
    if (event == signal) signal_all(signal);
  }
}

void Nodes::reap() {
  for (auto& node : nodes_) {
    int status = 0;
    if (!node.runs || waitpid(node.process, &status, WNOHANG) != node.process) continue;
    node.runs = false;
    for (auto& stream : node.streams) stream.read_rest();
    note_end(node, status);
  }
}

void Nodes::note_end(const Node& node, int status) {
  const bool by_signal = WIFSIGNALED(status);
  const int code = by_signal ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  if (code == 0 || exit_code_ != 0) return;
  exit_code_ = code;
  deadline_ = Clock::now() + grace_;
  if (by_signal && !stopped_) {  // such a node had no chance to say it itself
    errors_to_.add(fmt::format("tensair: node {} was ended by signal {} ({})\n", node.rank, WTERMSIG(status),
                               strsignal(WTERMSIG(status))));
  }
}

void Nodes::enforce_deadline() {
  if (killed_ || !deadline_ || Clock::now() < *deadline_) return;
  killed_ = true;
  for (const auto& node : nodes_) {
    if (!node.runs) continue;
    errors_to_.add(fmt::format("tensair: node {} had not ended {} s after another failed, and was killed\n", node.rank,
                               std::chrono::duration<double>{grace_}.count()));
  }
  signal_all(SIGKILL);
}

auto Nodes::milliseconds_to_deadline() const -> int {
  if (killed_ || !deadline_) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000));
}

}  // namespace

auto launch_local(const Options& options, const std::filesystem::path& program, std::chrono::milliseconds grace)
    -> int {
  auto signals = detail::Signals{};
  auto nodes = Nodes{signals, grace};
  nodes.start_all(options, program);
  return nodes.wait();
}

}  // namespace tensair
