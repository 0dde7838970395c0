// What a model on a GPU costs beside a loop by hand.
//
//   device [--device cuda:0] [--network cifar10|dense] [--json FILE] [--quick]
//
// Two networks: the CIFAR-10 sample's, whose step is as short as its launches allow, and a dense one of 29 million
// parameters, of which a change is 118 MB. Batches lie in main memory and are used again, so no source is measured.
//
// The loop by hand has its parameters and gradients in one flat buffer each, takes batches to the device by way of
// pinned memory, steps by Adam in as few operations as can be, and reads each loss: what is measured against. Beside
// it, the loop as one writes it first, with LibTorch's Adam. Then one replica in a pipeline, and two on the same
// device, which tell each other every step. All take turns, five times.
//
// What telling costs: steps of a learner that nobody asks what it has changed, and of one that is asked, and of which
// each change is in main memory before the next step has ended. The limit is the first; what a copy to pinned memory
// alone takes says how much of it is hidden. What others have changed is added in the same way.

#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tensair/tensair.hpp>
#include <vector>

#include "report.hpp"
#include "seconds.hpp"
#include "statistics.hpp"

namespace {

struct Work {
  std::string name;
  std::function<torch::nn::Sequential()> make;
  std::vector<tensair::TensorBatch> batches;
  int steps;
};

/// The CIFAR-10 sample's layers: 122,570 parameters.
auto make_images() -> torch::nn::Sequential {
  const auto convolution = [](std::int64_t from, std::int64_t to) {
    return torch::nn::Conv2d(torch::nn::Conv2dOptions(from, to, 3));
  };
  return torch::nn::Sequential(convolution(3, 32), torch::nn::ReLU(), torch::nn::MaxPool2d(2), convolution(32, 64),
                               torch::nn::ReLU(), torch::nn::MaxPool2d(2), convolution(64, 64), torch::nn::ReLU(),
                               torch::nn::Flatten(), torch::nn::Linear(1'024, 64), torch::nn::ReLU(),
                               torch::nn::Linear(64, 10));
}

auto make_dense() -> torch::nn::Sequential {
  return torch::nn::Sequential(torch::nn::Linear(1'024, 4'096), torch::nn::ReLU(), torch::nn::Linear(4'096, 4'096),
                               torch::nn::ReLU(), torch::nn::Linear(4'096, 2'048), torch::nn::ReLU(),
                               torch::nn::Linear(2'048, 10));
}

auto batches_of(std::vector<std::int64_t> sizes) -> std::vector<tensair::TensorBatch> {
  std::vector<tensair::TensorBatch> all;
  for (int i = 0; i < 8; ++i) all.push_back({torch::randn(sizes), torch::randint(10, {sizes.front()})});
  return all;
}

auto examples_of(const Work& work, int steps) -> double {
  return static_cast<double>(work.batches.front().examples()) * steps;
}

/// Examples a second of a loop by hand.
auto bare(const Work& work, const at::Device& device, bool flat) -> double {
  torch::manual_seed(1);
  auto net = work.make();
  net->to(device);
  auto parameters = net->parameters();
  at::Tensor values, gradient, mean, square, root;
  if (flat) {
    std::int64_t count = 0;
    for (const auto& one : parameters) count += one.numel();
    values = torch::empty({count}, device);
    gradient = torch::zeros_like(values);
    mean = torch::zeros_like(values);
    square = torch::zeros_like(values);
    root = torch::zeros_like(values);
    std::int64_t offset = 0;
    for (auto& one : parameters) {
      const torch::NoGradGuard no_grad;
      auto view = values.narrow(0, offset, one.numel()).view(one.sizes());
      view.copy_(one);
      one.set_data(view);
      one.mutable_grad() = gradient.narrow(0, offset, one.numel()).view(one.sizes());
      offset += one.numel();
    }
  }
  torch::optim::Adam adam(parameters, torch::optim::AdamOptions(1e-3));
  const auto there = [&](const at::Tensor& tensor) {
    return device.is_cpu() ? tensor : tensor.pin_memory().to(device, /*non_blocking=*/true);
  };
  double loss_sum = 0;
  const auto run = [&](int steps, int step) {
    for (const int end = step + steps; step < end; ++step) {
      const auto& batch = work.batches[static_cast<std::size_t>(step) % work.batches.size()];
      if (flat) {
        gradient.zero_();
      } else {
        adam.zero_grad();
      }
      const auto loss = torch::cross_entropy_loss(net->forward(there(batch.input)), there(batch.target));
      loss.backward();
      if (flat) {
        const torch::NoGradGuard no_grad;
        const double correction1 = 1 - std::pow(0.9, step + 1), correction2 = std::sqrt(1 - std::pow(0.999, step + 1));
        mean.lerp_(gradient, 0.1);
        square.mul_(0.999).addcmul_(gradient, gradient, 0.001);
        at::sqrt_out(root, square).add_(1e-8 * correction2);
        values.addcdiv_(mean, root, -1e-3 * correction2 / correction1);
      } else {
        adam.step();
      }
      loss_sum += loss.item<double>();
    }
  };
  run(work.steps / 5, 0);
  const double began = bench::wall_seconds();
  run(work.steps, work.steps / 5);
  return examples_of(work, work.steps) / (bench::wall_seconds() - began);
}

/// The batches, over and over.
class Repeated {
 public:
  using value_type = tensair::TensorBatch;
  Repeated(const Work& work, int steps) : work_(&work), steps_(steps) {}
  auto next() -> std::optional<tensair::TensorBatch> {
    if (step_ == steps_) return std::nullopt;
    return work_->batches[static_cast<std::size_t>(step_++) % work_->batches.size()];
  }

 private:
  const Work* work_;
  int steps_, step_ = 0;
};

/// Examples a second of replicas in a pipeline, between the first fifth's end and the last step.
auto pipeline(const Work& work, const std::string& device, int replicas) -> double {
  tensair::Pipeline pipeline;
  auto net = pipeline.model("net", work.make, {.replicas = replicas, .device = device});
  const int warm_up = work.steps / 5 * replicas, steps = warm_up + work.steps * replicas;
  int step = 0;
  double began = 0, ended = 0;
  pipeline.source(Repeated(work, steps)).model(net).train().sink([&](const tensair::TrainStep&) {
    if (++step == warm_up) began = bench::wall_seconds();
    if (step == steps) ended = bench::wall_seconds();
  });
  pipeline.execute();
  return examples_of(work, steps - warm_up) / (ended - began);
}

/// What others have been told, or tell, a step.
enum class Exchange { nothing, tells, hears };

/// Milliseconds a step of a learner alone.
auto learner_step(const Work& work, const std::string& device, Exchange what) -> double {
  torch::manual_seed(1);
  tensair::ModelOptions options;
  options.device = device;
  const auto learner = tensair::make_learner(tensair::network(work.make()), options);
  const auto optimizer = learner->make_optimizer(tensair::adam());
  const auto memory = learner->change_buffer(learner->size());
  const std::span change{memory.get(), learner->size()};
  std::fill(change.begin(), change.end(), 0.0F);
  const tensair::Delta delta{change, {}, memory, {}};
  bool told = false;
  learner->meanwhile([&] {
    if (std::exchange(told, false)) learner->finish_change();
  });
  const auto run = [&](int steps) {
    for (int step = 0; step < steps; ++step) {
      if (what == Exchange::hears) learner->add(delta);
      learner->compute(work.batches[static_cast<std::size_t>(step) % work.batches.size()]);
      learner->update(*optimizer, {}, what == Exchange::tells ? change : std::span<float>{});
      told = what == Exchange::tells;
    }
    learner->finish_change();
    learner->update_was_finite();  // waits for all
  };
  run(work.steps / 5);
  const double began = bench::wall_seconds();
  run(work.steps);
  return (bench::wall_seconds() - began) * 1e3 / work.steps;
}

/// Milliseconds of a copy of so many floats from the device to pinned memory, or to it.
auto copy_time(std::int64_t count, const at::Device& device, bool to_device) -> double {
  const auto there = torch::zeros({count}, device);
  const auto here = torch::zeros({count}, at::TensorOptions().pinned_memory(!device.is_cpu()));
  std::vector<double> times;
  for (int i = 0; i < 9; ++i) {
    there[0].item<float>();
    const double began = bench::wall_seconds();
    if (to_device) {
      there.copy_(here);
      there[0].item<float>();
    } else {
      here.copy_(there);
    }
    times.push_back((bench::wall_seconds() - began) * 1e3);
  }
  return bench::median(times);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What a model on a GPU costs beside a loop by hand"};
  std::string json, device = "auto", network;
  bool quick = false;
  app.add_option("--device", device, "where: cpu, cuda:N, or auto");
  app.add_option("--network", network, "only this one")->check(CLI::IsMember({"cifar10", "dense"}));
  app.add_option("--json", json, "write the rows here");
  app.add_flag("--quick", quick, "few steps, three times");
  CLI11_PARSE(app, argc, argv);

  if (device == "auto") device = torch::cuda::is_available() ? "cuda:0" : "cpu:0";
  const at::Device where = device.starts_with("cpu") ? at::Device(at::kCPU) : at::Device(device);
  fmt::print("on {}\n\n", device);
  at::set_num_threads(1);
  const int runs = quick ? 3 : 5;
  const std::vector<Work> all{
      {"cifar10, batches of 128", make_images, batches_of({128, 3, 32, 32}), quick ? 20 : 400},
      {"dense, 29 M parameters, batches of 256", make_dense, batches_of({256, 1'024}), quick ? 5 : 200}};
  bench::Report report;
  for (const auto& work : all) {
    if (!work.name.starts_with(network)) continue;
    std::vector<double> flat, plain, one, two, alone, tells, hears, to_here, to_there;
    std::int64_t parameters = 0;
    for (const auto& parameter : work.make()->parameters()) parameters += parameter.numel();
    for (int run = 0; run < runs; ++run) {
      flat.push_back(bare(work, where, true));
      one.push_back(pipeline(work, device, 1));
      plain.push_back(bare(work, where, false));
      two.push_back(pipeline(work, device, 2));
      alone.push_back(learner_step(work, device, Exchange::nothing));
      tells.push_back(learner_step(work, device, Exchange::tells));
      hears.push_back(learner_step(work, device, Exchange::hears));
      to_here.push_back(copy_time(parameters, where, false));
      to_there.push_back(copy_time(parameters, where, true));
    }
    const double limit = bench::median(flat);
    const auto of = [&](const std::vector<double>& values) { return bench::median(values) / limit; };
    report.table(work.name, "examples/s",
                 {{"limit", limit, std::nullopt, "a loop by hand, flat buffers"},
                  {"libtorch", bench::median(plain), of(plain), "a loop by hand, LibTorch's Adam"},
                  {"tensair", bench::median(one), of(one), "tensair, one replica"},
                  {"tensair, two", bench::median(two), of(two), "tensair, two replicas that tell each other"}});
    report.end_of_section();
    const auto less = [&](const std::vector<double>& values) { return bench::median(alone) / bench::median(values); };
    report.table(work.name + ": a step", "ms",
                 {{"limit", bench::median(alone), std::nullopt, "of a learner alone"},
                  {"tells", bench::median(tells), less(tells), "that tells what it has changed"},
                  {"hears", bench::median(hears), less(hears), "that hears what another has changed"}});
    report.note("a copy of {:.1f} MB alone takes {:.3f} ms to main memory, {:.3f} ms to the device",
                static_cast<double>(parameters) * 4e-6, bench::median(to_here), bench::median(to_there));
    report.end_of_section();
  }
  if (!json.empty()) report.write(json);
  return 0;
}
