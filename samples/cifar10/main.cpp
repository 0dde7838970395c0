#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tensair/drift/optwin.hpp>
#include <tensair/tensair.hpp>
#include <vector>

#include "collate.hpp"
#include "dataset.hpp"
#include "network.hpp"
#include "settings.hpp"
#include "source.hpp"

// Learns CIFAR-10 on a stream of its images. The whole job is in `main`: images → batches → model, on every node; the
// rest of this file reads the command line and tells how it went.

namespace {

struct Arguments {
  std::filesystem::path data =
      std::getenv("TENSAIR_DATA") != nullptr ? std::filesystem::path(std::getenv("TENSAIR_DATA")) / "cifar10" : "";
  int epochs = 5;
  int drift = 0;
  int batch = 128;
  int replicas = 0;
  std::string optimizer = "adam";
  double lr = 0;
  std::string exchange = "updates";
  int every = 1;
  std::string compress = "none";
  double patience = 0.25;
  bool anticipate = true;
  std::filesystem::path load, save;
  cifar10::Settings settings;
};

auto flags_for(Arguments& arguments) -> tensair::Flags {
  auto flags = tensair::Flags{"cifar10", "Learns CIFAR-10 on a stream of its images, on one node or many."};
  flags
      .add("--data", arguments.data,
           "folder of CIFAR-10's binary files (default: $TENSAIR_DATA/cifar10; without it, images are generated)")
      .add("--epochs", arguments.epochs, "how often each image is trained on")
      .add("--drift", arguments.drift, "after how many images two labels change places, again and again; 0: never")
      .add("--batch", arguments.batch, "images in a batch")
      .add("--replicas", arguments.replicas, "replicas of the model on all nodes; 0: one a node")
      .add("--optimizer", arguments.optimizer, {"adam", "sgd"}, "how a replica learns")
      .add("--lr", arguments.lr, "learning rate; 0: 0.001 for adam, 0.01 (momentum 0.9) for sgd")
      .add("--exchange", arguments.exchange, {"updates", "gradients"}, "what replicas tell each other")
      .add("--every", arguments.every, "steps after which a replica tells the others what they came to")
      .add("--compress-deltas", arguments.compress, {"none", "fp16", "bf16", "top_k"},
           "what deltas are made smaller by")
      .add("--patience", arguments.patience,
           "how long a replica waits for another on average, as a share of a step; 0: never")
      .add("--anticipate", arguments.anticipate,
           "take a gradient where the others' steps will have moved the parameters")
      .add("--load", arguments.load, "file with parameters to start from")
      .add("--save", arguments.save, "file for the trained parameters; Python reads it with torch.load")
      .add("--channels-last", arguments.settings.channels_last,
           "keep images in the memory layout that convolutions are fastest in")
      .add("--fused", arguments.settings.fused, "use the sample's own fused operations")
      .add("--keep-memory", arguments.settings.keep_memory,
           "let the allocator keep freed memory instead of giving it back each step")
      .add("--intra-op", arguments.settings.intra_op, "LibTorch's threads inside a replica's operations")
      .add("--flat-optimizer", arguments.settings.flat_optimizer,
           "use tensair's optimiser, one pass over all parameters, instead of LibTorch's");
  return flags;
}

struct Data {
  std::shared_ptr<const std::vector<cifar10::Image>> train;
  std::vector<cifar10::Image> test;
};

auto load_images(const Arguments& arguments, const tensair::Options& options) -> Data {
  cifar10::Dataset images;
  if (!arguments.data.empty()) {
    images = cifar10::read(arguments.data);
  } else {
    if (options.rank == 0)
      fmt::print(stderr, "no --data and no TENSAIR_DATA: training on generated images of ten shapes and textures\n");
    images = cifar10::generate(options.seed, 20'000, 2'000);
  }
  return {std::make_shared<const std::vector<cifar10::Image>>(std::move(images.train)), std::move(images.test)};
}

auto optimizer_for(const Arguments& arguments) -> tensair::OptimizerFactory {
  using Tensors = std::vector<at::Tensor>;
  const bool flat = arguments.settings.flat_optimizer;
  if (arguments.optimizer == "sgd") {
    const double lr = arguments.lr > 0 ? arguments.lr : 0.01, momentum = 0.9;
    if (flat) return tensair::sgd({.lr = lr, .momentum = momentum});
    return tensair::libtorch_optimizer([=](const Tensors& parameters) {
      return std::make_unique<torch::optim::SGD>(parameters, torch::optim::SGDOptions(lr).momentum(momentum));
    });
  }
  const double lr = arguments.lr > 0 ? arguments.lr : 1e-3;
  if (flat) return tensair::adam({.lr = lr});
  return tensair::libtorch_optimizer([=](const Tensors& parameters) {
    return std::make_unique<torch::optim::Adam>(parameters, torch::optim::AdamOptions(lr));
  });
}

auto exchange_for(const Arguments& arguments) -> tensair::exchange {
  return arguments.exchange == "updates" ? tensair::exchange::updates : tensair::exchange::gradients;
}

auto compression_for(const Arguments& arguments) -> tensair::Compression {
  if (arguments.compress == "fp16") return tensair::fp16();
  if (arguments.compress == "bf16") return tensair::bf16();
  if (arguments.compress == "top_k") return tensair::top_k();
  return {};
}

/// How the run went, as the sample tells it: lines on standard output, and figures for `--json`.
struct Report {
  using Clock = std::chrono::steady_clock;
  static constexpr double wanted_accuracy = 0.6;

  std::uint64_t images_an_epoch = 0;
  std::uint64_t images = 0, first_images = 0;  // the first batch began before the clock did
  std::uint64_t right = 0;                     // before they were trained on
  std::vector<std::uint64_t> drifts;           // images until then
  std::map<int, std::uint64_t> images_by_node;
  std::optional<Clock::time_point> first;
  Clock::time_point last{};
  std::vector<double> test_accuracy;  // after each epoch
  std::optional<double> time_to_accuracy;

  auto since_first(Clock::time_point time) const -> double {
    return first ? std::chrono::duration<double>(time - *first).count() : 0;
  }
  auto seconds() const -> double { return since_first(last); }
  auto rate(std::uint64_t count) const -> std::string {
    return fmt::format("{:.1f}", seconds() > 0 ? static_cast<double>(count) / seconds() : 0.0);
  }

  void trained(const tensair::TrainStep& step) {
    last = Clock::now();
    if (!first) {
      first = last;
      first_images = step.score.examples;
    }
    images += step.score.examples;
    right += step.score.correct;
    images_by_node[step.node] += step.score.examples;
  }

  void decided(const tensair::Decision& one) {
    if (one.replica != 0) return;  // the others decide alike
    if (one.deed == tensair::Deed::drift) drifts.push_back(one.example);
    fmt::print("after {} images: {} ({})\n", one.example, to_string(one.deed), to_string(one.why));
    std::fflush(stdout);
  }

  void validated(const tensair::Validation& validation) {
    const auto epoch = static_cast<std::size_t>((validation.due + images_an_epoch - 1) / images_an_epoch);
    test_accuracy.resize(std::max(test_accuracy.size(), epoch));
    if (epoch > 0) test_accuracy[epoch - 1] = validation.score.accuracy();
    const double now = since_first(Clock::now());
    if (!time_to_accuracy && validation.score.accuracy() >= wanted_accuracy) time_to_accuracy = now;
    fmt::print("epoch {}  {} images  test accuracy {:.1f} %  test loss {:.3f}  {:.1f} s{}\n", epoch,
               validation.examples_seen, 100 * validation.score.accuracy(), validation.score.loss, now,
               validation.final ? "  (final)" : "");
    std::fflush(stdout);
  }

  void add_to(tensair::Pipeline& pipeline) {
    pipeline.figure("images", [this] { return fmt::format("{}", images); });
    pipeline.figure("seconds", [this] { return fmt::format("{:.3f}", seconds()); });
    pipeline.figure("images_per_s", [this] { return rate(images - first_images); });
    pipeline.figure("test_accuracy", [this] { return fmt::format("[{}]", fmt::join(test_accuracy, ",")); });
    pipeline.figure("time_to_accuracy", [this] {
      return time_to_accuracy ? fmt::format("{:.3f}", *time_to_accuracy) : std::string("null");
    });
    pipeline.figure("prequential_accuracy", [this] {
      return fmt::format("{:.4f}", images > 0 ? static_cast<double>(right) / static_cast<double>(images) : 0.0);
    });
    pipeline.figure("drifts", [this] { return fmt::format("[{}]", fmt::join(drifts, ",")); });
    pipeline.node_figure("images", [this](int node) { return fmt::format("{}", images_by_node[node]); });
    pipeline.node_figure("images_per_s", [this](int node) { return rate(images_by_node[node]); });
  }
};

void check(const Arguments& arguments) {
  const auto require = [](bool good, const char* flag, auto value, const char* range) {
    if (!good) throw tensair::UsageError(fmt::format("{} takes {}, not '{}'", flag, range, value), {}, "See --help.");
  };
  require(arguments.epochs >= 1, "--epochs", arguments.epochs, "a whole number from 1");
  require(arguments.drift >= 0, "--drift", arguments.drift, "a whole number from 0");
  require(arguments.batch >= 1 && arguments.batch <= 1'000'000, "--batch", arguments.batch,
          "a whole number from 1 to 1000000");
  require(arguments.replicas >= 0 && arguments.replicas <= 1024, "--replicas", arguments.replicas,
          "a whole number from 0 to 1024");
  require(arguments.every >= 1, "--every", arguments.every, "a whole number from 1");
  require(arguments.patience >= 0 && arguments.patience <= 1, "--patience", arguments.patience, "a number from 0 to 1");
  require(arguments.settings.intra_op >= 1 && arguments.settings.intra_op <= 1024, "--intra-op",
          arguments.settings.intra_op, "a whole number from 1 to 1024");
  require(arguments.lr >= 0, "--lr", arguments.lr, "a number from 0");
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  auto flags = flags_for(arguments);
  tensair::Pipeline pipeline{argc, argv, flags};
  const auto& options = pipeline.options();
  Report report;

  return pipeline.run([&] {
    check(arguments);
    cifar10::apply(arguments.settings);
    const auto data = load_images(arguments, options);
    report.images_an_epoch = data.train->size();

    auto net = pipeline.model("cnn", [&] { return cifar10::make_network(arguments.settings.fused); },
                              {.optimizer = optimizer_for(arguments),
                               .replicas = arguments.replicas,
                               .exchange = exchange_for(arguments),
                               .patience = arguments.patience,
                               .anticipate = arguments.anticipate,
                               .threads = arguments.settings.intra_op,
                               .load = arguments.load,
                               .save = arguments.save,
                               .every = {.steps = static_cast<std::uint64_t>(arguments.every)},
                               .compression = compression_for(arguments)});

    auto steps =
        pipeline
            .source(cifar10::ShuffledImages(data.train, options.seed, arguments.epochs,
                                            static_cast<std::size_t>(arguments.drift)))
            .name(fmt::format("{} images, {} epochs", report.images_an_epoch, arguments.epochs))  // nodes compare it
            .batch(static_cast<std::size_t>(arguments.batch))
            .model(net, cifar10::collator(arguments.settings))
            .train();
    steps.sink([&](const tensair::TrainStep& step) { report.trained(step); });
    steps.sink(tensair::progress({.total = report.images_an_epoch * static_cast<std::uint64_t>(arguments.epochs)}));

    if (arguments.drift > 0) {
      // As in the paper: train until converged, then only predict, and train again when the loss has changed. The test
      // images' labels would soon be wrong: what is told instead is what the stream says of itself.
      net.mode(tensair::Automatic{.detector = tensair::optwin{}, .convergence = {.windows = 2}});
      net.decisions().sink([&](const tensair::Decision& one) { report.decided(one); });
    } else {
      pipeline.source(data.test)
          .batch(500)
          .model(net, cifar10::collator(arguments.settings))
          .validate({.every = report.images_an_epoch})
          .sink([&](const tensair::Validation& validation) { report.validated(validation); });
    }

    report.add_to(pipeline);
  });
}
