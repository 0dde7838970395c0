#include <torch/torch.h>

#include <tensair/error.hpp>
#include <tensair/model/learner.hpp>
#include <tensair/model/libtorch_optimizer.hpp>

#include "catch.hpp"
#include "support/model/devices.hpp"
#include "support/temporary_folder.hpp"

// What a learner on a device does is what one in main memory does, which other tests compare with LibTorch.

using namespace tensair;
using namespace tensair::test;
using Catch::Matchers::ContainsSubstring;

namespace {

auto make_images() -> torch::nn::Sequential {
  return torch::nn::Sequential(torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 3)), torch::nn::BatchNorm2d(4),
                               torch::nn::ReLU(), torch::nn::Flatten(), torch::nn::Linear(4 * 6 * 6, 5));
}

auto images() -> TensorBatch {
  return {torch::randn({7, 3, 8, 8}), torch::randint(5, {7})};
}

auto learner_on(const std::string& device, const ModelOptions& options = {}, int replicas = 1)
    -> std::unique_ptr<Learner> {
  torch::manual_seed(3);
  auto with = options;
  with.device = device;
  return make_learner(network(make_images()), with, replicas);
}

auto copy_of(std::span<const float> values) -> std::vector<float> {
  return {values.begin(), values.end()};
}

auto apart(std::span<const float> a, std::span<const float> b) -> float {
  REQUIRE(a.size() == b.size());
  float largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]) / (1 + std::abs(b[i])));
  return largest;
}

/// Knows nothing of devices.
class Sign final : public Optimizer {
 public:
  void step(std::span<float> parameters, std::span<const float> gradient) override {
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i] -= gradient[i] < 0 ? -0.01F : 0.01F;
  }
};

auto delta_of(std::shared_ptr<std::vector<float>> values, std::vector<Segment> segments = {}) -> Delta {
  auto kept = std::make_shared<std::pair<std::shared_ptr<std::vector<float>>, std::vector<Segment>>>(
      std::move(values), std::move(segments));
  return {.values = *kept->first, .segments = kept->second, .owner = kept, .contributions = {}};
}

}  // namespace

TEST_CASE("a learner on a device computes what one in main memory does", "[device][learner]") {
  for (const auto& device : devices()) {
    INFO(device);
    const auto here = learner_on("cpu", {}, 2), there = learner_on(device, {}, 2);
    REQUIRE(there->size() == here->size());
    CHECK(there->trained() == here->trained());
    CHECK(apart(there->values(), here->values()) == 0);
    torch::manual_seed(5);
    for (int i = 0; i < 3; ++i) {
      const auto batch = images();
      const auto expected = here->compute(batch), found = there->compute(batch);
      CHECK(found.loss == Approx(expected.loss).epsilon(1e-5));
      CHECK(found.correct == expected.correct);
      CHECK(found.examples == 7);
      CHECK(apart(there->gradient(), here->gradient()) < 1e-5F);  // behind the parameters', what buffers change by
      CHECK(apart(there->values(), here->values()) == 0);         // which themselves have not changed
      CHECK(there->gradient_is_finite());

      const auto output = there->predict(batch).first();
      CHECK(output.is_cpu());
      CHECK(torch::allclose(output, here->predict(batch).first(), 1e-4, 1e-5));
      at::Tensor of_score;
      const auto score = there->score(batch, of_score);
      CHECK(torch::equal(of_score, output));
      CHECK(score.loss == Approx(here->score(batch).loss).epsilon(1e-5));
      CHECK(score.correct == here->score(batch).correct);
    }
  }
}

TEST_CASE("optimisers step on a device as in main memory, and say what has changed", "[device][optimizer]") {
  const std::pair<const char*, OptimizerFactory> factories[] = {
      {"adam", adam({.lr = 0.01})},
      {"adam, weight decay", adam({.lr = 0.01, .weight_decay = 0.1})},
      {"adamw", adamw({.lr = 0.01, .weight_decay = 0.1})},
      {"sgd", sgd({.lr = 0.05, .weight_decay = 0.1})},
      {"sgd, momentum", sgd({.lr = 0.05, .momentum = 0.9})},
      {"sgd, nesterov", sgd({.lr = 0.05, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true})},
      {"rmsprop", rmsprop()},
      {"rmsprop, centred", rmsprop({.momentum = 0.5, .weight_decay = 0.1, .centered = true})},
      {"adagrad", adagrad({.lr_decay = 0.1, .initial = 0.2})},
      {"libtorch", libtorch_optimizer([](std::vector<at::Tensor> all) {
         return std::make_unique<torch::optim::Adam>(all, torch::optim::AdamOptions(0.01).amsgrad(true));
       })},
      {"one's own", [](std::size_t) { return std::make_unique<Sign>(); }}};
  for (const auto& device : devices()) {
    for (const auto& [name, factory] : factories) {
      INFO(name << " on " << device);
      // Two groups, the second of which has half the rate, and buffers.
      const bool scales = std::string_view(name) != "one's own";
      const ModelOptions options{.groups = {{.match = "4.*", .rate = scales ? 0.5 : 1}}};
      const auto here = learner_on("cpu", options), there = learner_on(device, options);
      const auto one = here->make_optimizer(factory), other = there->make_optimizer(factory);
      std::vector<float> change(here->size()), told(here->size()), gradient(here->size());
      torch::manual_seed(6);
      for (int step = 0; step < 12; ++step) {
        if (step == 4 && scales) {
          one->scale_rate(0.25);
          other->scale_rate(0.25);
        }
        if (step == 8) {  // each goes on from what the other remembers
          const auto state = one->state();
          one->restore(other->state());
          other->restore(state);
        }
        const auto drawn = torch::randn({static_cast<std::int64_t>(gradient.size())});
        std::copy_n(drawn.data_ptr<float>(), gradient.size(), gradient.begin());
        const auto before = copy_of(there->values());
        here->update(*one, gradient, change);
        there->update(*other, gradient, told);
        there->finish_change();
        CHECK(apart(there->values(), here->values()) < 3e-6F);
        CHECK(apart(told, change) < 3e-6F);
        for (std::size_t i = 0; i < told.size(); ++i)
          REQUIRE(told[i] == Approx(there->values()[i] - before[i]).margin(1e-7));
      }
      // By the gradient of a batch, where it lies.
      const auto batch = images();
      here->compute(batch);
      there->compute(batch);
      here->update(*one, {}, {});
      there->update(*other, {}, {});
      CHECK(there->update_was_finite());
      if (scales) CHECK(apart(there->values(), here->values()) < 1e-3F);  // a gradient near 0 may have another sign
    }
  }
}

TEST_CASE("what others have changed is added on a device, and taken back to the bit", "[device][exchange]") {
  for (const auto& device : devices()) {
    INFO(device);
    const auto learner = learner_on(device);
    const auto size = static_cast<std::uint32_t>(learner->size());
    auto expected = copy_of(learner->values());
    const auto random = [](std::size_t count) {
      const auto drawn = torch::randn({static_cast<std::int64_t>(count)});
      return std::make_shared<std::vector<float>>(drawn.data_ptr<float>(), drawn.data_ptr<float>() + count);
    };
    const Delta deltas[] = {delta_of(random(size)), delta_of(random(5), {{0, 2}, {9, 1}, {size - 2, 2}}),
                            delta_of(random(size - 3), {{3, size - 3}}), Delta{{}, {}, nullptr, {}}};
    for (const auto& delta : deltas) {
      const auto before = copy_of(learner->values());
      learner->displace(delta);
      learner->compute(images());
      learner->put_back();
      CHECK(copy_of(learner->values()) == before);
      learner->add(delta);
      add(expected, delta);
      CHECK(copy_of(learner->values()) == expected);
    }
  }
}

TEST_CASE("a device's parameters and those in main memory are the same ones", "[device][learner]") {
  const TemporaryFolder folder;
  for (const auto& device : devices()) {
    INFO(device);
    const auto learner = learner_on(device);
    const auto batch = images();
    const auto optimizer = learner->make_optimizer(sgd({.lr = 0.1}));
    learner->compute(batch);
    learner->update(*optimizer, {}, {});
    const auto before = learner->predict(batch).first();
    for (float& value : learner->parameters()) value *= 2;
    const auto doubled = copy_of(learner->values());
    CHECK_FALSE(torch::allclose(learner->predict(batch).first(), before));
    CHECK(copy_of(learner->values()) == doubled);

    learner->save(folder.path() / "model");
    const auto here = learner_on("cpu");
    here->load(folder.path() / "model");
    CHECK(copy_of(here->values()) == doubled);
    CHECK(torch::allclose(here->predict(batch).first(), learner->predict(batch).first(), 1e-4, 1e-4));
    for (float& value : learner->parameters()) value = 0;
    learner->load(folder.path() / "model");
    CHECK(copy_of(learner->values()) == doubled);
    // Changed where they lie, after they have been looked at.
    learner->add(delta_of(std::make_shared<std::vector<float>>(learner->size(), 1.0F)));
    for (std::size_t i = 0; i < doubled.size(); ++i) REQUIRE(learner->parameters()[i] == doubled[i] + 1);
  }
}

TEST_CASE("while a device computes there is time for something else, once a step", "[device][learner]") {
  for (const auto& device : devices()) {
    const auto learner = learner_on(device);
    int calls = 0;
    learner->meanwhile([&] { ++calls; });
    learner->compute(images());
    CHECK(calls == 1);
    learner->score(images());
    learner->predict(images());
    CHECK(calls == 1);
  }
}

TEST_CASE("what is not finite is found on a device", "[device][learner][error]") {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& device : devices()) {
    INFO(device);
    for (const float bad : {infinity, -infinity, nan}) {
      for (const bool device_knows : {true, false}) {
        const auto learner = learner_on(device);
        const auto optimizer =
            learner->make_optimizer(device_knows ? sgd() : [](std::size_t) { return std::make_unique<Sign>(); });
        std::vector<float> gradient(learner->size()), change(learner->size());
        learner->update(*optimizer, gradient, change);
        CHECK(learner->update_was_finite());
        learner->parameters()[learner->size() / 2] = bad;
        learner->update(*optimizer, gradient, change);
        CHECK_FALSE(learner->update_was_finite());
        learner->compute(images());
        CHECK_FALSE(learner->gradient_is_finite());
        // Large is not infinite.
        learner->parameters()[learner->size() / 2] = 3e38F;
        learner->update(*optimizer, gradient, change);
        CHECK(learner->update_was_finite());
      }
    }
  }
}

TEST_CASE("frozen parameters and weights of classes go to the device", "[device][learner]") {
  for (const auto& device : devices()) {
    INFO(device);
    const ModelOptions options{.loss = cross_entropy({.weights = {1, 2, 3, 4, 5}}),
                               .groups = {{.match = "0.*", .frozen = true}}};
    const auto here = learner_on("cpu", options), there = learner_on(device, options);
    const auto batch = images();
    CHECK(there->compute(batch).loss == Approx(here->compute(batch).loss).epsilon(1e-5));
    CHECK(apart(there->gradient(), here->gradient()) < 1e-5F);
    TensorBatch another = batch;
    another.input = torch::randn({7, 2, 8, 8});
    CHECK_THROWS_WITH(there->compute(another), ContainsSubstring("its input is float [7, 2, 8, 8], and batches before "
                                                                 "had float [N, 3, 8, 8]"));
    another.input = torch::empty({0, 3, 8, 8});
    CHECK_THROWS_WITH(there->compute(another), ContainsSubstring("a batch is empty"));
  }
}
