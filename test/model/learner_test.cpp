#include <torch/torch.h>

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <tensair/error.hpp>
#include <tensair/model/delta.hpp>
#include <tensair/model/learner.hpp>
#include <tensair/model/optimizer.hpp>

#include "catch.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;

namespace {

auto make_conv() -> torch::nn::Sequential {
  return torch::nn::Sequential(torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 3)), torch::nn::ReLU(),
                               torch::nn::Flatten(), torch::nn::Linear(4 * 6 * 6, 5));
}

auto learner_of(torch::nn::Sequential net, Loss loss = cross_entropy) -> std::unique_ptr<Learner> {
  return make_learner(
      net.ptr(), [net](const at::Tensor& input) mutable { return net->forward(input); }, std::move(loss));
}

auto some_batch() -> TensorBatch {
  return {torch::randn({7, 3, 8, 8}), torch::randint(5, {7})};
}

struct TemporaryFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("tensair-learner-" + std::to_string(::getpid()));
  ~TemporaryFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("a module in a flat buffer computes the same loss and gradient as the module itself", "[learner]") {
  for (const bool channels_last : {false, true}) {
    torch::manual_seed(3);
    auto plain = make_conv();
    torch::manual_seed(3);
    auto flat = make_conv();
    if (channels_last)
      flat[0]->as<torch::nn::Conv2d>()->weight.set_data(
          flat[0]->as<torch::nn::Conv2d>()->weight.contiguous(at::MemoryFormat::ChannelsLast));
    auto learner = learner_of(flat);
    const auto batch = some_batch();

    const auto score = learner->compute(batch);
    const auto output = plain->forward(batch.input);
    const auto loss = torch::nn::functional::cross_entropy(output, batch.target);
    loss.backward();

    CHECK(score.loss == Approx(loss.item<double>()).epsilon(1e-5));
    CHECK(score.examples == 7);
    CHECK(score.correct == static_cast<std::uint64_t>(output.argmax(1).eq(batch.target).sum().item<std::int64_t>()));
    const auto expected = plain->parameters(), found = flat->parameters();
    for (std::size_t i = 0; i < expected.size(); ++i)
      CHECK(torch::allclose(found[i].grad(), expected[i].grad(), 1e-4, 1e-6));
    // One write to the flat buffer moves the module.
    for (float& value : learner->parameters()) value = 0;
    for (const auto& parameter : found) CHECK(parameter.abs().sum().item<float>() == 0);
    // A second gradient replaces the first: it is not added to it.
    const std::vector<float> first(learner->gradient().begin(), learner->gradient().end());
    learner->compute(batch);
    const std::vector<float> second(learner->gradient().begin(), learner->gradient().end());
    learner->compute(batch);
    CHECK(std::equal(second.begin(), second.end(), learner->gradient().begin()));
    CHECK(first != second);
  }
}

TEST_CASE("shared parameters are there once, frozen ones not at all", "[learner]") {
  auto shared = torch::nn::Linear(4, 4);
  auto net = torch::nn::Sequential(shared, shared, torch::nn::Linear(4, 2));
  net[2]->as<torch::nn::Linear>()->bias.set_requires_grad(false);
  CHECK(learner_of(net)->parameters().size() == 4 * 4 + 4 + 4 * 2);
  for (auto& parameter : net->parameters()) parameter.set_requires_grad(false);
  CHECK_THROWS_WITH(learner_of(net), ContainsSubstring("no parameter that can be trained"));
}

TEST_CASE("prediction turns dropout off, and training turns it on again", "[learner]") {
  torch::manual_seed(1);
  auto learner =
      learner_of(torch::nn::Sequential(torch::nn::Linear(10, 50), torch::nn::Dropout(0.5), torch::nn::Linear(50, 3)));
  const TensorBatch batch{torch::randn({20, 10}), torch::randint(3, {20})};
  CHECK(torch::equal(learner->predict(batch.input), learner->predict(batch.input)));
  CHECK(learner->compute(batch).loss != learner->compute(batch).loss);
  CHECK(learner->score(batch).loss == learner->score(batch).loss);
}

TEST_CASE("a saved model comes back, and another one's file is refused by name", "[learner][save]") {
  const TemporaryFile file;
  torch::manual_seed(1);
  auto one = learner_of(make_conv());
  one->save(file.path);
  torch::manual_seed(2);
  auto other = learner_of(make_conv());
  const auto batch = some_batch();
  CHECK_FALSE(torch::equal(one->predict(batch.input), other->predict(batch.input)));
  other->load(file.path);
  CHECK(torch::equal(one->predict(batch.input), other->predict(batch.input)));

  auto smaller = learner_of(torch::nn::Sequential(torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 2, 3))));
  CHECK_THROWS_WITH(smaller->load(file.path),
                    ContainsSubstring("parameter «0.weight» has shape [4, 3, 3, 3], the model's has [2, 3, 3, 3]"));
  auto longer =
      learner_of(torch::nn::Sequential(torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 3)), torch::nn::Linear(3, 3)));
  CHECK_THROWS_WITH(longer->load(file.path), ContainsSubstring("has no parameter «1.weight»"));
  std::ofstream(file.path) << "not a model";
  CHECK_THROWS_WITH(one->load(file.path), ContainsSubstring("not a dictionary of tensors"));
  CHECK_THROWS_WITH(one->load("/nowhere/model"), ContainsSubstring("cannot be read"));
  CHECK_THROWS_WITH(one->save("/nowhere/model"), ContainsSubstring("cannot be written"));
}

namespace {

/// An optimiser that a user writes.
class Sign final : public Optimizer {
 public:
  void step(std::span<float> parameters, std::span<const float> gradient) override {
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i] -= gradient[i] < 0 ? -0.01F : 0.01F;
  }
};

}  // namespace

TEST_CASE("a tracked step is the same step, and says what it has changed", "[optimizer]") {
  torch::manual_seed(5);
  const OptimizerFactory factories[] = {adam({.lr = 0.01}),
                                        adamw({.lr = 0.01}),
                                        sgd({.lr = 0.05}),
                                        sgd({.lr = 0.05, .momentum = 0.9}),
                                        rmsprop({.momentum = 0.5, .centered = true}),
                                        adagrad(),
                                        [](std::size_t) { return std::make_unique<Sign>(); }};
  for (const auto& factory : factories) {
    std::vector<float> plain(1'000, 0.5F), tracked = plain, change(1'000);
    const auto one = factory(1'000), other = factory(1'000);
    for (int step = 0; step < 5; ++step) {
      const auto gradient = torch::randn({1'000});
      const std::span<const float> values{gradient.data_ptr<float>(), 1'000};
      const auto before = tracked;
      one->step(plain, values);
      other->tracked_step(tracked, values, change);
      CHECK(tracked == plain);
      for (std::size_t i = 0; i < before.size(); ++i) REQUIRE(change[i] == tracked[i] - before[i]);
    }
  }
}

TEST_CASE("optimisers refuse what cannot be", "[optimizer][error]") {
  CHECK_THROWS_AS(adam({.lr = 0}), UsageError);
  CHECK_THROWS_AS(adam({.beta1 = 1}), UsageError);
  CHECK_THROWS_AS(sgd({.momentum = -0.1}), UsageError);
  CHECK_THROWS_WITH(Sign().scale_rate(0.5), ContainsSubstring("does not follow a schedule"));
}

TEST_CASE("tensors come back as they were, whatever their type, shape and layout", "[codec]") {
  const auto round_trip = [](const at::Tensor& tensor) {
    net::Writer writer{1};
    writer.write(tensor);
    const auto message = writer.finish();
    net::Payload payload = message->head;
    for (const auto part : message->bulk) payload.insert(payload.end(), part.begin(), part.end());
    return net::Reader{payload}.read<at::Tensor>();
  };
  const auto image = torch::randn({2, 3, 4, 5});
  for (const auto& tensor :
       {image, image.contiguous(at::MemoryFormat::ChannelsLast), image.transpose(1, 3), torch::randint(9, {3}),
        torch::tensor(2.5), torch::empty({0, 4}), torch::ones({2, 2}, torch::kByte), torch::tensor({true, false})}) {
    const auto back = round_trip(tensor);
    CHECK(back.dtype() == tensor.dtype());
    CHECK(torch::equal(back, tensor));
  }
  CHECK(round_trip(image.contiguous(at::MemoryFormat::ChannelsLast)).is_contiguous(at::MemoryFormat::ChannelsLast));
  CHECK_FALSE(round_trip(at::Tensor{}).defined());
}

TEST_CASE("a tensor larger than its message is malformed", "[codec][error]") {
  net::Writer writer{1};
  writer.write(static_cast<std::int8_t>(at::kFloat));
  writer.write(false);
  writer.write(std::uint8_t{3});
  for (int i = 0; i < 3; ++i) writer.write(std::int64_t{1} << 40);
  const auto message = writer.finish();
  CHECK_THROWS_AS(net::Reader{message->head}.read<at::Tensor>(), net::Malformed);
}

TEST_CASE("an accumulator holds the sum of what was added, and who added it", "[exchange]") {
  const auto delta_of = [](std::vector<float> values, std::uint32_t replica) {
    auto owned = std::make_shared<const std::vector<float>>(std::move(values));
    auto delta = std::make_shared<Delta>();
    delta->values = *owned;
    delta->owner = owned;
    delta->contributions = {{replica, 1, 10, {replica, 0}}};
    return SharedDelta(delta);
  };
  Accumulator accumulator{2};
  CHECK(accumulator.take() == nullptr);
  const auto first = delta_of({1, 2}, 0);
  accumulator.add(first);
  CHECK(accumulator.take() == first);  // not copied
  accumulator.add(first);
  accumulator.add(delta_of({10, 20}, 1));
  accumulator.add(delta_of({100, 200}, 1));
  const auto sum = accumulator.take();
  CHECK(std::vector<float>(sum->values.begin(), sum->values.end()) == std::vector<float>{111, 222});
  REQUIRE(sum->contributions.size() == 2);
  CHECK(sum->contributions[1].steps == 2);
  CHECK(sum->contributions[1].examples == 20);
  CHECK(std::vector<float>(first->values.begin(), first->values.end()) == std::vector<float>{1, 2});
  CHECK(accumulator.empty());
}
