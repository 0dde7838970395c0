#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <tensair/error.hpp>
#include <utility>
#include <vector>

namespace bench {

/// This program again, in a process of its own, which is told what to do and answers line by line. It ends with its
/// parent at the latest.
class Child {
 public:
  /// @param inherited  open files it gets, with the same numbers
  explicit Child(std::vector<std::string> arguments, const std::vector<int>& inherited = {}) {
    int to_child[2], from_child[2];
    if (pipe2(to_child, O_CLOEXEC) != 0 || pipe2(from_child, O_CLOEXEC) != 0) fail("no pipe to be had");
    arguments.insert(arguments.begin(), "/proc/self/exe");
    auto pointers = std::vector<char*>{};
    for (auto& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);

    process_ = fork();
    if (process_ < 0) fail("no process to be had");
    if (process_ == 0) {  // only what may be called between fork and exec
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(to_child[0], STDIN_FILENO);
      dup2(from_child[1], STDOUT_FILENO);
      for (const auto file : inherited) fcntl(file, F_SETFD, 0);
      execv(pointers[0], pointers.data());
      _exit(127);
    }
    ::close(to_child[0]);
    ::close(from_child[1]);
    to_ = fdopen(to_child[1], "w");
    from_ = fdopen(from_child[0], "r");
  }
  Child(Child&& other) noexcept
      : process_(std::exchange(other.process_, -1)),
        to_(std::exchange(other.to_, nullptr)),
        from_(std::exchange(other.from_, nullptr)) {}
  auto operator=(Child&&) -> Child& = delete;
  ~Child() {
    if (to_ != nullptr) std::fclose(to_);
    if (from_ != nullptr) std::fclose(from_);
    if (process_ > 0) {
      kill(process_, SIGKILL);  // one that has ended well is only waited for
      waitpid(process_, nullptr, 0);
    }
  }

  void tell(const std::string& line) {
    std::fputs((line + '\n').c_str(), to_);
    std::fflush(to_);
  }

  /// The next line that it says.
  auto hear() -> std::string {
    auto line = std::string{};
    for (auto c = std::fgetc(from_); c != '\n'; c = std::fgetc(from_)) {
      if (c == EOF) fail("a process of the benchmark has ended early");
      line.push_back(static_cast<char>(c));
    }
    return line;
  }

  auto ask(const std::string& line) -> std::string {
    tell(line);
    return hear();
  }

 private:
  [[noreturn]] static void fail(const char* what) { throw tensair::Error{what, "bench", "See what it says above."}; }

  pid_t process_;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

/// What a child says to its parent.
inline void say(const std::string& line) {
  std::cout << line << std::endl;
}

inline auto cores() -> int {
  auto set = cpu_set_t{};
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/// Keeps this process, whatever threads it will start, on the n-th of its cores.
inline void stay_on_core(int n) {
  auto all = cpu_set_t{}, one = cpu_set_t{};
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  for (auto core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &all) && n-- == 0) CPU_SET(core, &one);
  }
  if (CPU_COUNT(&one) == 1) sched_setaffinity(0, sizeof one, &one);
}

/// The most memory this process has had. Not getrusage's, which begins with the parent's.
inline auto peak_bytes() -> double {
  auto status = std::ifstream{"/proc/self/status"};
  for (auto word = std::string{}; status >> word;) {
    if (word == "VmHWM:" && status >> word) return 1024 * std::stod(word);
  }
  return 0;
}

}  // namespace bench
