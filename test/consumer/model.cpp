#include <torch/torch.h>

#include <cstdio>
#include <tensair/tensair.hpp>
#include <vector>

auto main(int argc, char** argv) -> int {
  tensair::Pipeline pipeline{argc, argv};
  int sum = 0;
  pipeline.source(std::vector<int>{1, 2, 3}).map([](int x) { return 2 * x; }).sink([&sum](int x) { sum += x; });
  const int code = pipeline.run();
  const bool torch_works = torch::ones({3}).sum().item<float>() == 3.0F;
  std::puts(code == 0 && sum == 12 && torch_works ? "consumer: ok" : "consumer: wrong sum");
  return code;
}
