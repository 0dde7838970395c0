#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <tensair/error.hpp>
#include <tensair/launch.hpp>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "support/redirected.hpp"

// The nodes are shell scripts, or this very program with the hidden case "[launched-node]". Real processes run in real
// time: where a case waits, it waits for something that happens, never for a time to pass.

namespace {

using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using tensair::test::Redirected;

/// A directory that is there as long as the object.
class Directory {
 public:
  Directory() {
    std::string name = "/tmp/tensair-launch-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  Directory(const Directory&) = delete;
  auto operator=(const Directory&) -> Directory& = delete;
  ~Directory() {
    auto ignored = std::error_code{};
    std::filesystem::remove_all(path_, ignored);
  }
  auto operator/(const std::string& name) const -> std::string { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

auto open_file(const std::string& path) -> int {
  return open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

auto content(const std::string& path) -> std::string {
  auto text = std::ostringstream{};
  text << std::ifstream{path}.rdbuf();
  return text.str();
}

auto lines(const std::string& text) -> std::vector<std::string> {
  auto all = std::vector<std::string>{};
  auto stream = std::istringstream{text};
  for (std::string line; std::getline(stream, line);) all.push_back(line);
  return all;
}

auto sorted_lines(const std::string& text) -> std::vector<std::string> {
  auto all = lines(text);
  std::sort(all.begin(), all.end());
  return all;
}

auto script(int nodes, const std::string& text) -> tensair::Options {
  auto options = tensair::Options{};
  options.local = nodes;
  options.arguments = {"sh", "-c", text, "--local", std::to_string(nodes)};
  return options;
}

struct Result {
  int code;
  std::string output, error;
};

auto launch(const tensair::Options& options, std::chrono::milliseconds grace = 5s,
            const std::filesystem::path& program = "/bin/sh") -> Result {
  const auto directory = Directory{};
  const int output = open_file(directory / "output"), error = open_file(directory / "error");
  auto result = Result{};
  {
    const auto redirected_output = Redirected{STDOUT_FILENO, output};
    const auto redirected_error = Redirected{STDERR_FILENO, error};
    result.code = tensair::launch_local(options, program, grace);
  }
  close(output);
  close(error);
  result.output = content(directory / "output");
  result.error = content(directory / "error");
  return result;
}

auto launch(int nodes, const std::string& text, std::chrono::milliseconds grace = 5s) -> Result {
  return launch(script(nodes, text), grace);
}

auto has_children() -> bool {
  return !(waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD);
}

auto open_files(bool only_inherited) -> std::vector<std::string> {
  auto files = std::vector<std::string>{};
  for (int file = 0; file < 1024; ++file) {
    const int flags = fcntl(file, F_GETFD);
    if (flags >= 0 && !(only_inherited && (flags & FD_CLOEXEC))) files.push_back(std::to_string(file));
  }
  return files;
}

constexpr auto wait_for = R"(wait_for() { until [ -e "$1" ]; do sleep 0.01; done; }; )";

}  // namespace

TEST_CASE("what nodes print comes out behind their ranks", "[launch]") {
  const auto result = launch(3, "echo out; echo err >&2; printf unfinished");
  CHECK(result.code == 0);
  CHECK(sorted_lines(result.output) == std::vector<std::string>{"[0] out", "[0] unfinished", "[1] out",
                                                                "[1] unfinished", "[2] out", "[2] unfinished"});
  CHECK(result.output.back() == '\n');
  CHECK(sorted_lines(result.error) == std::vector<std::string>{"[0] err", "[1] err", "[2] err"});
  CHECK_FALSE(has_children());
}

TEST_CASE("a node gets its arguments less --local, and its place in the environment", "[launch]") {
  setenv("TENSAIR_RANK", "77", 1);
  setenv("TENSAIR_TERMINAL", "1", 1);
  auto options = script(2, "echo \"$0 $* | $TENSAIR_RANK $TENSAIR_NODES ${TENSAIR_TERMINAL-none}\"");
  options.arguments.resize(3);
  for (const char* argument : {"a", "--local", "2", "b", "--local=2", "c", "--", "--local"}) {
    options.arguments.emplace_back(argument);
  }
  const auto result = launch(options);
  unsetenv("TENSAIR_RANK");
  unsetenv("TENSAIR_TERMINAL");

  const auto printed = sorted_lines(result.output);
  REQUIRE(printed.size() == 2);
  CHECK_THAT(printed[0], Catch::Matchers::StartsWith("[0] a b c -- --local | 0 127.0.0.1:"));
  CHECK_THAT(printed[1], Catch::Matchers::StartsWith("[1] a b c -- --local | 1 127.0.0.1:"));
  CHECK_THAT(printed[0], Catch::Matchers::EndsWith(" none"));
  CHECK(printed[0].substr(printed[0].find("127.")) == printed[1].substr(printed[1].find("127.")));
}

TEST_CASE("the cores are divided among the nodes unless --threads says otherwise", "[launch]") {
  const auto threads = [](int nodes, int given) {
    auto options = script(nodes, "echo $TENSAIR_THREADS");
    options.threads = given;
    return lines(launch(options).output).front();
  };
  auto set = cpu_set_t{};
  REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
  const int cores = CPU_COUNT(&set);
  CHECK(threads(1, 0) == "[0] " + std::to_string(cores));
  CHECK(threads(2, 0).substr(4) == std::to_string(std::max(1, cores / 2)));
  CHECK(threads(2, 3).substr(4) == "3");
}

TEST_CASE("a node inherits its listening socket and nothing else of the launcher", "[launch]") {
  auto expected = open_files(true);
  const auto before = open_files(false);
  const auto result = launch(3, R"(
    printf '%s:' $TENSAIR_LISTEN_SOCKET
    i=0; while [ $i -lt 256 ]; do [ -e /proc/$$/fd/$i ] && printf ' %s' $i; i=$((i + 1)); done)");
  CHECK(open_files(false) == before);
  for (const auto& line : lines(result.output)) {
    const auto socket = line.substr(4, line.find(':') - 4);
    auto files = expected;
    files.push_back(socket);
    auto found = std::vector<std::string>{};
    auto words = std::istringstream{line.substr(line.find(':') + 1)};
    for (std::string word; words >> word;) found.push_back(word);
    std::sort(files.begin(), files.end());
    std::sort(found.begin(), found.end());
    CHECK(found == files);
  }
}

TEST_CASE("every node can be reached by every other from the start", "[launch]") {
  auto options = tensair::Options{};
  options.local = 4;
  options.arguments = {"node", "--local=4", "[launched-node]"};
  const auto result = launch(options, 5s, "/proc/self/exe");
  INFO(result.output << result.error);
  CHECK(result.code == 0);
}

TEST_CASE("a node that this program starts", "[.][launched-node]") {
  const char* const argv[] = {"node", nullptr};
  const auto options = tensair::Flags{"node"}.parse(1, argv);
  REQUIRE(options.node_count() > 1);
  for (int rank = 0; rank < options.node_count(); ++rank) {
    if (rank == options.rank) continue;
    const auto& address = options.nodes[static_cast<std::size_t>(rank)];
    auto peer = sockaddr_in{};
    peer.sin_family = AF_INET;
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1))));
    const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(connect(connection, reinterpret_cast<sockaddr*>(&peer), sizeof peer) == 0);
  }
  for (int rank = 1; rank < options.node_count(); ++rank) REQUIRE(accept(options.listen_socket, nullptr, nullptr) >= 0);
}

TEST_CASE("the nodes of a launch share a token that no other launch has", "[launch]") {
  const auto tokens = [](const std::string& given) {
    auto options = script(3, "echo $TENSAIR_TOKEN");
    options.token = given;
    auto all = lines(launch(options).output);
    for (auto& line : all) line = line.substr(line.find(' ') + 1);
    return all;
  };
  const auto one = tokens(""), other = tokens("");
  REQUIRE(one.size() == 3);
  CHECK(one[0].size() == 64);
  CHECK(one == std::vector<std::string>(3, one[0]));
  CHECK(other[0] != one[0]);
  CHECK(tokens("one that was given") == std::vector<std::string>(3, "one that was given"));
}

TEST_CASE("only node 0 reads standard input", "[launch]") {
  auto ends = std::array<int, 2>{};
  REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
  REQUIRE(write(ends[1], "hello\n", 6) == 6);
  close(ends[1]);
  const auto redirected = Redirected{STDIN_FILENO, ends[0]};
  close(ends[0]);
  const auto result = launch(2, "read -r line; echo \"<$line>\"");
  CHECK(sorted_lines(result.output) == std::vector<std::string>{"[0] <hello>", "[1] <>"});
}

TEST_CASE("lines of many nodes never mix", "[launch]") {
  const auto result = launch(8, R"(
    i=0; while [ $i -lt 500 ]; do
      printf '%s' "<$TENSAIR_RANK:"; printf '%01000d' 0; printf '%s\n' ":$TENSAIR_RANK:$i>"; i=$((i + 1))
    done)");
  const auto zeros = std::string(1000, '0');
  auto next = std::map<char, int>{};
  for (const auto& line : lines(result.output)) {
    const char rank = line.at(1);
    const auto expected =
        std::string{"["} + rank + "] <" + rank + ":" + zeros + ":" + rank + ":" + std::to_string(next[rank]++) + ">";
    REQUIRE(line == expected);
  }
  REQUIRE(next.size() == 8);
  for (const auto& [rank, count] : next) CHECK(count == 500);
}

TEST_CASE("lines do not mix when standard output and error are one file", "[launch]") {
  const auto directory = Directory{};
  const int file = open_file(directory / "both");
  {
    const auto output = Redirected{STDOUT_FILENO, file}, error = Redirected{STDERR_FILENO, file};
    CHECK(tensair::launch_local(script(2, R"(
      i=0; while [ $i -lt 100 ]; do printf '%010000d\n' 1; printf '%010000d\n' 2 >&2; i=$((i + 1)); done)"),
                                "/bin/sh") == 0);
  }
  close(file);
  const auto printed = lines(content(directory / "both"));
  CHECK(printed.size() == 400);
  const auto whole = [](const auto& line) {
    return line.size() == 10'004 && line.find_first_not_of('0', 4) == line.size() - 1;
  };
  CHECK(std::all_of(printed.begin(), printed.end(), whole));
}

TEST_CASE("a line without end is cut, not kept", "[launch]") {
  const auto result = launch(1, "head -c 5000000 /dev/zero | tr '\\0' x");
  const auto x = std::count(result.output.begin(), result.output.end(), 'x');
  CHECK(x == 5'000'000);
  CHECK(lines(result.output).size() > 1);
}

TEST_CASE("the first node that fails gives the exit status, and the others end", "[launch]") {
  SECTION("by themselves within the grace") {
    const auto directory = Directory{};
    const auto pid = directory / "pid";
    const auto result =
        launch(3, wait_for + ("if [ $TENSAIR_RANK = 1 ]; then echo $$ > " + pid + ".new; mv " + pid + ".new " + pid +
                              "; exit 3; fi; wait_for " + pid + "; while kill -0 $(cat " + pid +
                              ") 2>/dev/null; do sleep 0.01; done; echo tidy; exit 4"));
    CHECK(result.code == 3);
    CHECK_THAT(result.output, ContainsSubstring("[0] tidy\n"));
    CHECK_THAT(result.output, ContainsSubstring("[2] tidy\n"));
    CHECK(result.error.empty());
  }
  SECTION("or are killed, SIGTERM ignored or not") {
    const auto result = launch(3, "[ $TENSAIR_RANK = 2 ] && exit 5; trap '' TERM INT; exec sleep 1000", 50ms);
    CHECK(result.code == 5);
    CHECK_THAT(result.error, ContainsSubstring("tensair: node 0 had not ended 0.05 s after another failed"));
    CHECK_THAT(result.error, ContainsSubstring("tensair: node 1 had not ended"));
  }
  SECTION("a signal is told, and counts as 128 and its number") {
    const auto result =
        launch(2, "[ $TENSAIR_RANK = 1 ] && { echo last words >&2; kill -SEGV $$; }; exec sleep 1000", 50ms);
    CHECK(result.code == 128 + SIGSEGV);
    CHECK_THAT(result.error,
               ContainsSubstring("[1] last words\ntensair: node 1 was ended by signal 11 (Segmentation fault)\n"));
  }
  CHECK_FALSE(has_children());
}

TEST_CASE("SIGTERM is passed on to every node, and the program's own handlers come back", "[launch]") {
  struct Handlers {
    struct sigaction of[4] = {};
    Handlers() {
      int i = 0;
      for (int signal : {SIGINT, SIGTERM, SIGCHLD, SIGPIPE}) sigaction(signal, nullptr, &of[i++]);
    }
  };
  const auto directory = Directory{};
  const auto before = Handlers{};
  const auto result = launch(2, wait_for + std::string{"trap 'echo stopped; exit 0' TERM; : > "} +
                                    (directory / "$TENSAIR_RANK") + "; if [ $TENSAIR_RANK = 0 ]; then wait_for " +
                                    (directory / "1") + "; kill -TERM $PPID; fi; while :; do sleep 0.01; done");
  CHECK(result.code == 0);
  CHECK(sorted_lines(result.output) == std::vector<std::string>{"[0] stopped", "[1] stopped"});
  const auto after = Handlers{};
  for (int i = 0; i < 4; ++i) CHECK(before.of[i].sa_handler == after.of[i].sa_handler);
}

TEST_CASE("nodes ended by a signal that was passed on are no news", "[launch]") {
  const auto result = launch(2, "[ $TENSAIR_RANK = 0 ] && kill -TERM $PPID; exec sleep 1000");
  CHECK(result.code == 128 + SIGTERM);
  CHECK(result.error.empty());
}

TEST_CASE("a run goes on when nobody reads its output any more", "[launch]") {
  auto ends = std::array<int, 2>{};
  REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
  close(ends[0]);
  const auto directory = Directory{};
  int code = -1;
  {
    const auto output = Redirected{STDOUT_FILENO, ends[1]};
    code = tensair::launch_local(script(2, "seq 100000; : > " + (directory / "done-$TENSAIR_RANK")), "/bin/sh");
  }
  close(ends[1]);
  CHECK(code == 0);
  CHECK(std::filesystem::exists(directory / "done-0"));
  CHECK(std::filesystem::exists(directory / "done-1"));
}

TEST_CASE("nodes can be stopped while nobody takes their output", "[launch]") {
  auto ends = std::array<int, 2>{};
  REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
  const pid_t launcher = fork();
  if (launcher == 0) {
    std::signal(SIGTERM, [](int) {});  // those that come after the run
    dup2(ends[1], STDOUT_FILENO);
    // The first signal ends the node; the second, when it is gone, gives up what it printed.
    _exit(tensair::launch_local(script(1,
                                       "launcher=$PPID; while sleep 0.1 && kill -TERM $launcher; do :; done "
                                       ">/dev/null 2>&1 & exec seq 1000000000"),
                                "/bin/sh"));
  }
  REQUIRE(launcher > 0);
  int status = 0;
  CHECK(waitpid(launcher, &status, 0) == launcher);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 128 + SIGTERM);
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("a process that a node leaves behind does not hold up the launcher", "[launch]") {
  const auto result = launch(1, "sleep 1000 & echo $!");
  CHECK(result.code == 0);
  const auto left = std::stoi(lines(result.output).at(0).substr(4));
  CHECK(kill(left, SIGKILL) == 0);
}

TEST_CASE("a program that ignores its children's ends can launch all the same", "[launch]") {
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  CHECK(launch(2, "exit 6").code == 6);
  std::signal(SIGCHLD, before);
}

TEST_CASE("a program that cannot be started is an error", "[launch]") {
  const auto before = open_files(false);
  try {
    tensair::launch_local(script(2, ""), "/nonexistent/program");
    FAIL("it was started");
  } catch (const tensair::Error& error) {
    CHECK_THAT(error.what(), ContainsSubstring("node 0 cannot be started (/nonexistent/program: No such file"));
  }
  CHECK_FALSE(has_children());
  CHECK(open_files(false) == before);
}

TEST_CASE("when the launcher is killed its nodes die", "[launch]") {
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // the nodes become this process's children when their parent is gone
  const auto directory = Directory{};
  const pid_t launcher = fork();
  if (launcher == 0) {
    const int quiet = open("/dev/null", O_RDWR);
    dup2(quiet, STDOUT_FILENO);
    tensair::launch_local(
        script(3, "echo $$ > " + (directory / "$TENSAIR_RANK.new") + "; mv " + (directory / "$TENSAIR_RANK.new") + " " +
                      (directory / "$TENSAIR_RANK") + "; exec sleep 1000"),
        "/bin/sh");
    _exit(0);
  }
  REQUIRE(launcher > 0);
  auto nodes = std::vector<pid_t>{};
  for (const char* rank : {"0", "1", "2"}) {
    while (!std::filesystem::exists(directory / rank)) std::this_thread::sleep_for(1ms);
    nodes.push_back(std::stoi(content(directory / rank)));
  }
  kill(launcher, SIGKILL);
  int status = 0;
  CHECK(waitpid(launcher, &status, 0) == launcher);
  for (const pid_t node : nodes) {
    CHECK(waitpid(node, &status, 0) == node);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
  }
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_CASE("on a terminal node 0's progress bar passes untouched", "[launch]") {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
    WARN("no pseudo-terminal here");
    return;
  }
  const int side = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
  REQUIRE(side >= 0);
  {
    const auto error = Redirected{STDERR_FILENO, side};
    CHECK(tensair::launch_local(script(2, R"(
      if [ -t 2 ]; then printf '50 %%\r%s\n' $TENSAIR_TERMINAL >&2; else echo "none${TENSAIR_TERMINAL-}" >&2; fi)"),
                                "/bin/sh") == 0);
  }
  auto buffer = std::array<char, 4096>{};
  fcntl(terminal, F_SETFL, O_NONBLOCK);
  auto shown = std::string{};
  for (ssize_t count = 0; (count = read(terminal, buffer.data(), buffer.size())) > 0;) {
    shown.append(buffer.data(), static_cast<std::size_t>(count));
  }
  close(side);
  close(terminal);
  CHECK_THAT(shown, ContainsSubstring("50 %\r1\r\n"));
  CHECK_THAT(shown, !ContainsSubstring("[0]"));
  CHECK_THAT(shown, ContainsSubstring("[1] none\r\n"));
}
