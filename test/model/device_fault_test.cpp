#include <torch/torch.h>

#include <tensair/error.hpp>
#include <tensair/model/learner.hpp>
#include <vector>

#include "catch.hpp"
#include "support/model/devices.hpp"

// On a GPU an index out of range ends all that the process does there: this is a file, and so a process, of its own.

using namespace tensair;
using namespace tensair::test;
using Catch::Matchers::ContainsSubstring;

namespace {

auto learner_on(const std::string& device, int width) -> std::unique_ptr<Learner> {
  ModelOptions options;
  options.device = device;
  return make_learner(network(torch::nn::Linear(width, 3)), options);
}

}  // namespace

TEST_CASE("faults of a device are told as what they are", "[device][fault][error]") {
  if (has_gpu()) {
    // All of the GPU's memory but 256 to 512 MiB.
    std::vector<at::Tensor> taken;
    for (std::int64_t bytes = std::int64_t{1} << 40; bytes >= std::int64_t{1} << 28;) {
      try {
        taken.push_back(torch::empty({bytes}, at::TensorOptions().device("cuda:0").dtype(at::kByte)));
      } catch (const c10::OutOfMemoryError&) {
        bytes /= 2;
      }
    }
    taken.pop_back();
    CHECK_THROWS_WITH(learner_on("cuda:0", 40 << 20), ContainsSubstring("cuda:0 has no room for the parameters") &&
                                                          ContainsSubstring("Let fewer replicas be on it"));
    const auto small = learner_on("cuda:0", 1 << 10);
    const TensorBatch large{torch::ones({256 << 10, 1 << 10}), torch::zeros({256 << 10}, at::kLong)};
    CHECK_THROWS_WITH(small->compute(large),
                      ContainsSubstring("cuda:0 has no room") && ContainsSubstring("Use smaller batches"));
    taken.clear();
    CHECK(small->compute(large).examples == 256 << 10);  // nothing is lost
  }
  for (const auto& device : devices()) {
    INFO(device);
    const auto learner = learner_on(device, 4);
    const TensorBatch good{torch::ones({2, 4}), torch::tensor({0, 2})}, bad{torch::ones({2, 4}), torch::tensor({0, 3})};
    const auto optimizer = learner->make_optimizer(adam());
    std::vector<float> change(learner->size());
    CHECK(learner->compute(good).examples == 2);
    learner->update(*optimizer, {}, change);
    CHECK(learner->update_was_finite());
    CHECK_THROWS_WITH(learner->compute(bad),
                      ContainsSubstring("cross_entropy is given class 3, and the output has classes 0 to 2"));
  }
}
