#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tensair/launch.hpp>
#include <tensair/pipeline.hpp>
#include <vector>

#include "catch.hpp"
#include "support/streams.hpp"

// What a user sees of a program that fails. The program is this very one, with the hidden case "[throwing-program]".

using namespace tensair;

namespace {

struct Ended {
  int code = -1;
  std::vector<std::string> errors;  ///< lines of standard error
};

/// Runs the program, alone or as so many local nodes, until nobody can write to its standard error any more.
auto run_program(int nodes) -> Ended {
  std::array<int, 2> ends{};
  REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
  const pid_t process = fork();
  REQUIRE(process >= 0);
  if (process == 0) {
    dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    if (nodes == 1) {
      execl("/proc/self/exe", "program", "[throwing-program]", nullptr);
      _exit(127);
    }
    Options options;
    options.local = nodes;
    options.arguments = {"program", "--local=" + std::to_string(nodes), "[throwing-program]"};
    _exit(launch_local(options, "/proc/self/exe"));
  }
  close(ends[1]);
  std::stringstream text;
  std::array<char, 4096> part{};
  for (ssize_t count = 0; (count = read(ends[0], part.data(), part.size())) > 0;) text.write(part.data(), count);
  close(ends[0]);
  int status = 0;
  CHECK(waitpid(process, &status, 0) == process);
  CHECK(WIFEXITED(status));
  Ended ended{WEXITSTATUS(status), {}};
  for (std::string line; std::getline(text, line);) ended.errors.push_back(line);
  return ended;
}

}  // namespace

TEST_CASE("a program whose lambda throws", "[.][throwing-program]") {
  const char* const argv[] = {"program", nullptr};
  Pipeline pipeline{1, argv};
  pipeline.source(test::SharedNumbers{1'000})
      .map([](int n) {
        if (n == 41) throw std::runtime_error("no such luck");
        return n / 2;
      })
      .name("halve")
      .sink([](int) {});
  _exit(pipeline.run());
}

TEST_CASE("a program whose lambda throws says operator, node and record in a line, and fails", "[launch][error]") {
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // a process that was left behind would become this one's child
  SECTION("alone") {
    const auto ended = run_program(1);
    CHECK(ended.code == 1);
    CHECK(ended.errors == std::vector<std::string>{"program: map «halve» threw: no such luck (node 0, record 42)"});
  }
  SECTION("on local nodes, each of which says why it stops") {
    const auto ended = run_program(2);
    CHECK(ended.code == 1);
    // Node 1 has the odd numbers.
    const std::string why = "map «halve» threw: no such luck (node 1, record 21)";
    REQUIRE(ended.errors.size() == 2);
    for (const auto& line : ended.errors) {
      INFO(line);
      CHECK(line.find(" program: ") == 3);
      CHECK(line.find(why) != std::string::npos);
    }
  }
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}
