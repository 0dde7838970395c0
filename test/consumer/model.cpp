#include <torch/torch.h>

#include <cstdint>
#include <cstdio>
#include <span>
#include <tensair/tensair.hpp>
#include <utility>
#include <vector>

// Learns y = 2x from a stream, then says y for another stream's x.

auto main(int argc, char** argv) -> int {
  tensair::Pipeline pipeline{argc, argv};
  auto net = pipeline.model("line", [] { return torch::nn::Linear(1, 1); },
                            {.loss = tensair::mean_squared_error, .optimizer = tensair::sgd({.lr = 0.5})});

  std::vector<float> numbers;
  for (int i = 0; i < 200; ++i) numbers.push_back(static_cast<float>(i % 8) / 4 - 1);
  std::uint64_t trained = 0;
  double last_loss = 1;
  pipeline.source(numbers)
      .batch(4)
      .model(net,
             [](std::span<const float> batch) {
               const auto x = torch::tensor(std::vector<float>(batch.begin(), batch.end())).unsqueeze(1);
               return std::pair{x, 2 * x};
             })
      .train()
      .sink([&](const tensair::TrainStep& step) {
        trained += step.score.examples;
        last_loss = step.score.loss;
      });

  int predicted = 0;
  pipeline.source(std::vector<float>{-1, 0, 1})
      .model(net,
             [](std::span<const float> batch) {
               return torch::tensor(std::vector<float>(batch.begin(), batch.end())).unsqueeze(1);
             })
      .predict()
      .sink([&](const tensair::Prediction<float>& one) { predicted += static_cast<int>(one.output.numel()); });

  const int code = pipeline.run();
  const bool works = code == 0 && trained == 200 && last_loss < 1e-3 && predicted == 3;
  std::puts(works ? "consumer: ok" : "consumer: the model has not learnt");
  return works ? 0 : 1;
}
