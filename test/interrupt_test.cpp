#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <csignal>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <tensair/pipeline.hpp>
#include <thread>

#include "catch.hpp"

using namespace tensair;

namespace {

/// Runs a program in a process of its own, which tells when it is under way.
class Process {
 public:
  /// @param program  is given what to call once it is under way; returns the exit code
  explicit Process(const std::function<int(std::function<void()>)>& program) {
    std::array<int, 2> ends{};
    REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
    process_ = fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) _exit(program([&] { [[maybe_unused]] const auto n = write(ends[1], "!", 1); }));
    close(ends[1]);
    char byte = 0;
    const bool under_way = read(ends[0], &byte, 1) == 1;
    close(ends[0]);
    REQUIRE(under_way);
  }

  void signal(int number) const { CHECK(kill(process_, number) == 0); }
  /// Waits until it has no handler for the signal any more.
  void wait_until_default(int number) const {
    const std::string file = "/proc/" + std::to_string(process_) + "/status";
    for (;;) {
      std::ifstream in{file};
      for (std::string name, value; in >> name && std::getline(in, value);) {
        if (name != "SigCgt:") continue;
        if ((std::stoull(value, nullptr, 16) >> (number - 1) & 1) == 0) return;
      }
      std::this_thread::yield();
    }
  }
  auto wait() const -> int {
    int status = 0;
    CHECK(waitpid(process_, &status, 0) == process_);
    return status;
  }

 private:
  pid_t process_ = -1;
};

}  // namespace

TEST_CASE("the first SIGINT or SIGTERM ends sources, and the run well", "[drain]") {
  for (const int number : {SIGINT, SIGTERM}) {
    const Process process{[](const std::function<void()>& under_way) {
      Pipeline pipeline;
      std::mutex mutex;
      std::condition_variable_any changed;
      int given = 0, taken = 0;
      pipeline
          .source([&](std::stop_token token) -> std::optional<int> {
            if (given < 1'000) return given++;
            under_way();
            std::unique_lock lock{mutex};
            changed.wait(lock, token, [] { return false; });
            return std::nullopt;
          })
          .batch(300)  // the last is short, and comes at the end
          .sink([&](const Batch<int>& batch) { taken += static_cast<int>(batch.size()); });
      const int code = pipeline.run();
      return taken == 1'000 ? code : 100;
    }};
    process.signal(number);
    const int status = process.wait();
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_CASE("a second signal ends the process at once", "[drain]") {
  const Process process{[](const std::function<void()>& under_way) {
    Pipeline pipeline;
    pipeline
        .source([&]() -> std::optional<int> {
          under_way();
          for (;;) pause();  // deaf
        })
        .sink([](int) {});
    return pipeline.run();
  }};
  process.signal(SIGTERM);
  process.wait_until_default(SIGTERM);
  process.signal(SIGINT);
  const int status = process.wait();
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGINT);
}

TEST_CASE("when a run is over, signals are the program's again", "[drain]") {
  const auto handler_of = [](int number) {
    struct sigaction action = {};
    sigaction(number, nullptr, &action);
    return action.sa_handler;
  };
  const auto before = std::signal(SIGTERM, SIG_IGN);
  const auto own = handler_of(SIGINT);
  Pipeline pipeline;
  pipeline.source(std::vector{1}).sink([&](int) {
    CHECK(handler_of(SIGTERM) == SIG_IGN);  // as nohup wants it
    CHECK(handler_of(SIGINT) != own);
  });
  CHECK(pipeline.run() == 0);
  CHECK(handler_of(SIGTERM) == SIG_IGN);
  CHECK(handler_of(SIGINT) == own);
  std::signal(SIGTERM, before);
}
