#pragma once

// What runs in the benchmark's processes: a bare loop or a node of a pipeline, measured in windows, or a node that
// learns for its accuracy's sake. They are told what to do on standard input, and answer on standard output:
//
//  | run MILLISECONDS  works for one window; answers with its steps, seconds and CPU seconds, and with the batches given
//  |                   to the pipeline since its start
//  | drain STEPS       (node 0) answers with an empty line when so many steps of all nodes have ended
//  | end               answers with JSON: what there is to know at the end

#include <cifar10/dataset.hpp>
#include <cifar10/network.hpp>
#include <cifar10/settings.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <tensair/tensair.hpp>
#include <thread>
#include <vector>

#include "bare_loop.hpp"
#include "child.hpp"
#include "cifar10_window.hpp"

namespace bench {

/// What a process of the benchmark is to be; the command line's hidden flags.
struct WorkerArguments {
  std::string role;  ///< "bare", "node", "learner"; empty: this is the benchmark itself
  int rank = 0;
  int count = 1;                   ///< of processes side by side
  int core = -1;                   ///< the only one it uses; -1: any
  std::vector<std::string> nodes;  ///< as in tensair::Options
  int listen_socket = -1;
  std::filesystem::path data;  ///< empty: generated
  std::uint64_t seed = 1;
  int epochs = 5;
};

inline auto load(const WorkerArguments& arguments) -> cifar10::Dataset {
  if (!arguments.data.empty()) return cifar10::read(arguments.data);
  return arguments.role == "learner" ? cifar10::generate(arguments.seed, 20'000, 2'000)
                                     : cifar10::generate(arguments.seed, 4'000, 1);
}

inline auto options_of(const WorkerArguments& arguments) -> tensair::Options {
  tensair::Options options;
  options.program = fmt::format("cifar10, node {}", arguments.rank);
  options.rank = arguments.rank;
  if (arguments.count > 1) options.nodes = arguments.nodes;
  options.listen_socket = arguments.listen_socket;
  options.threads = 1;
  options.seed = arguments.seed;
  options.quiet = true;
  return options;
}

/// A command and its number.
struct Command {
  std::string name;
  std::uint64_t number = 0;
};

inline auto next_command() -> Command {
  auto command = Command{"end"};
  if (auto line = std::string{}; std::getline(std::cin, line))
    std::istringstream{line} >> command.name >> command.number;
  return command;
}

inline void say(const Window& window, std::uint64_t batches) {
  say(fmt::format("{} {} {} {}", window.steps, window.seconds, window.cpu_seconds, batches));
}

constexpr auto endless = 1 << 30;

/// The learning rate while speed is measured: too low for any parameter to change. The sample's step is the faster the
/// fewer outputs ReLU leaves alive, so a side whose model is further on (two replicas together) would look better.
constexpr auto standstill = 1e-12;

inline void run_bare_loop(const WorkerArguments& arguments) {
  const auto images = std::make_shared<const std::vector<cifar10::Image>>(load(arguments).train);
  auto source = cifar10::ShuffledImages{images, arguments.seed, endless};
  source.split(arguments.rank, arguments.count);
  auto loop = BareLoop{arguments.seed, {.rate = static_cast<float>(standstill)}};
  auto recorder = Recorder{};
  auto batch = std::vector<cifar10::Image>(batch_size);

  for (auto command = next_command(); command.name == "run"; command = next_command()) {
    recorder.open(std::chrono::milliseconds{command.number});
    while (!recorder.is_over()) {
      for (auto& image : batch) image = *source.next();
      recorder.step(loop.step(batch));
    }
    say(recorder.close(), 0);
  }
  say(nlohmann::json{
      {"peak_bytes", peak_bytes()}, {"first_loss", recorder.first_loss()}, {"parameters", loop.parameters().numel()}}
          .dump());
}

inline void run_node(const WorkerArguments& arguments) {
  const auto images = std::make_shared<const std::vector<cifar10::Image>>(load(arguments).train);
  const auto gate = std::make_shared<Gate>();
  auto recorder = Recorder{};
  auto arrivals = Arrivals{};

  tensair::Pipeline pipeline{options_of(arguments)};
  auto net = pipeline.model("cnn", [] { return cifar10::make_network(); },
                            {.optimizer = tensair::adam({.lr = standstill}), .replicas = arguments.count});
  pipeline.source(GatedImages{{images, arguments.seed, endless}, gate})
      .batch(batch_size)
      .model(net, cifar10::collator({}))
      .train()
      .map([&](const tensair::TrainStep& step) {
        recorder.step(step.score.loss);
        return step;
      })
      .sink([&](const tensair::TrainStep&) { arrivals.add(); });
  auto runner = std::thread{[&] {
    try {
      pipeline.execute();
    } catch (const std::exception& error) {
      fmt::print(stderr, "{}: {}\n", pipeline.options().program, error.what());
      std::_Exit(1);
    }
  }};

  for (auto command = next_command(); command.name != "end"; command = next_command()) {
    if (command.name == "run") {
      recorder.open(std::chrono::milliseconds{command.number});
      gate->open();
      recorder.wait_until_over();
      const auto window = recorder.close();
      say(window, gate->close());
    } else {
      arrivals.wait_for(command.number);
      say("");
    }
  }
  gate->end();
  runner.join();
  auto end = nlohmann::json{{"peak_bytes", peak_bytes()}, {"first_loss", recorder.first_loss()}};
  if (arguments.rank == 0) end["figures"] = nlohmann::json::parse(pipeline.figures());
  say(end.dump());
}

/// Trains for some epochs, as the sample does, and tests four times an epoch. Node 0 says what the tests gave.
inline void run_learner(const WorkerArguments& arguments) {
  auto data = load(arguments);
  const auto train = std::make_shared<const std::vector<cifar10::Image>>(std::move(data.train));
  auto test = nlohmann::json::array();
  auto start = std::optional<Recorder::Clock::time_point>{};
  const auto seconds = [&] { return std::chrono::duration<double>(Recorder::Clock::now() - *start).count(); };

  tensair::Pipeline pipeline{options_of(arguments)};
  auto net = pipeline.model("cnn", [] { return cifar10::make_network(); }, {.replicas = arguments.count});
  pipeline.source(cifar10::ShuffledImages{train, arguments.seed, arguments.epochs})
      .batch(batch_size)
      .model(net, cifar10::collator({}))
      .train()
      .sink([&](const tensair::TrainStep&) {
        if (!start) start = Recorder::Clock::now();
      });
  pipeline.source(std::move(data.test))
      .batch(500)
      .model(net, cifar10::collator({}))
      .validate({.every = train->size() / 4})
      .sink([&](const tensair::Validation& validation) {
        if (!start) start = Recorder::Clock::now();
        test.push_back({{"accuracy", validation.score.accuracy()}, {"seconds", seconds()}});
      });
  pipeline.execute();
  if (arguments.rank == 0) say(test.dump());
}

/// @returns the exit status
inline auto work(const WorkerArguments& arguments) -> int {
  try {
    if (arguments.core >= 0) stay_on_core(arguments.core);
    cifar10::apply({});
    at::set_num_threads(1);
    if (arguments.role == "bare") run_bare_loop(arguments);
    if (arguments.role == "node") run_node(arguments);
    if (arguments.role == "learner") run_learner(arguments);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "cifar10, {} {}: {}\n", arguments.role, arguments.rank, error.what());
    return 1;
  }
}

}  // namespace bench
