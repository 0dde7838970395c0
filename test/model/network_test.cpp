#include <torch/script.h>
#include <torch/torch.h>

#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <tensair/error.hpp>
#include <tensair/model/learner.hpp>
#include <tensair/model/own_model.hpp>

#include "catch.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;

namespace {

struct TemporaryFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("tensair-network-" + std::to_string(::getpid()));
  ~TemporaryFile() { std::filesystem::remove(path); }
};

/// Two inputs, one output: a·x + b·y.
struct SumImpl : torch::nn::Module {
  SumImpl() {
    a = register_parameter("a", torch::full({1}, 2.0F));
    b = register_parameter("b", torch::full({1}, 3.0F));
  }
  auto forward(const at::Tensor& x, const at::Tensor& y) -> at::Tensor { return a * x + b * y; }
  at::Tensor a, b;
};
TORCH_MODULE(Sum);

/// One input, two outputs.
struct TwoHeadsImpl : torch::nn::Module {
  TwoHeadsImpl() {
    kind = register_module("kind", torch::nn::Linear(3, 2));
    width = register_module("width", torch::nn::Linear(3, 1));
  }
  torch::nn::Linear kind{nullptr}, width{nullptr};
};
TORCH_MODULE(TwoHeads);

auto batch_of(at::Tensor input, at::Tensor target, std::vector<at::Tensor> more = {}) -> TensorBatch {
  TensorBatch batch{std::move(input), std::move(target)};
  batch.more_inputs = std::move(more);
  return batch;
}

auto copy_of(std::span<const float> values) -> std::vector<float> {
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("a forward of several tensors gets as many as the batch has", "[network]") {
  const auto learner = make_learner(network(Sum()), {.loss = mean_squared_error});
  const auto x = torch::tensor({1.0F, 2.0F}), y = torch::tensor({10.0F, 20.0F});
  const auto batch = batch_of(x, torch::zeros({2}), {y});
  CHECK(torch::equal(learner->predict(batch).first(), torch::tensor({32.0F, 64.0F})));
  CHECK(learner->compute(batch).loss == Approx((32.0 * 32 + 64.0 * 64) / 2));
  // d/da = mean of 2 (a·x + b·y) x, and d/db the same with y.
  CHECK(learner->gradient()[0] == Approx(32 * 1 + 64 * 2));
  CHECK(learner->gradient()[1] == Approx(32 * 10 + 64 * 20));
  CHECK_THROWS_WITH(learner->compute(batch_of(x, x)), ContainsSubstring("forward does not take 1 tensors"));
}

TEST_CASE("a forward of several outputs has a loss of them all", "[network]") {
  torch::manual_seed(1);
  TwoHeads net;
  const auto both = network(net, [](TwoHeads& heads, const at::Tensor& x) {
    return std::map<std::string, at::Tensor>{{"kind", heads->kind->forward(x)}, {"width", heads->width->forward(x)}};
  });
  const auto learner = make_learner(both, {.loss = [](const Outputs& out, const TensorBatch& batch) {
                                      return cross_entropy(out["kind"], batch.target) +
                                             mean_squared_error(out["width"], batch.more_targets.at(0));
                                    }});
  auto batch = batch_of(torch::randn({5, 3}), torch::randint(2, {5}));
  batch.more_targets = {torch::randn({5, 1})};
  const auto score = learner->compute(batch);
  const auto kind = torch::nn::functional::cross_entropy(net->kind->forward(batch.input), batch.target);
  const auto width = torch::mse_loss(net->width->forward(batch.input), batch.more_targets[0]);
  CHECK(score.loss == Approx((kind + width).item<double>()));
  // The output that comes first is scored against the target.
  CHECK(score.correct == static_cast<std::uint64_t>(
                             net->kind->forward(batch.input).argmax(1).eq(batch.target).sum().item<std::int64_t>()));
  CHECK(learner->predict(batch).size() == 2);
}

TEST_CASE("a tuple of outputs, nested too, is counted from the left", "[network]") {
  const auto one = torch::ones({1}), two = torch::full({1}, 2.0F), three = torch::full({1}, 3.0F);
  const Outputs outputs = std::make_tuple(one, std::make_tuple(two, three));
  REQUIRE(outputs.size() == 3);
  CHECK(outputs.first().equal(one));
  CHECK(outputs[2].equal(three));
  CHECK(Outputs(std::pair(two, one)).first().equal(two));
  // A recurrent module as it is: its output, then its state.
  const auto learner = make_learner(network(torch::nn::LSTM(torch::nn::LSTMOptions(4, 3).batch_first(true))),
                                    {.loss = mean_squared_error});
  CHECK(learner->predict(batch_of(torch::randn({2, 7, 4}), {})).size() == 3);
}

TEST_CASE("sequences of different lengths are padded to one tensor", "[network][pad]") {
  const std::vector<at::Tensor> sequences{torch::tensor({1, 2}, torch::kLong), torch::tensor({3}, torch::kLong),
                                          torch::tensor({4, 5, 6}, torch::kLong)};
  const auto [padded, lengths] = pad(sequences, -1);
  CHECK(padded.equal(torch::tensor({{1, 2, -1}, {3, -1, -1}, {4, 5, 6}}, torch::kLong)));
  CHECK(lengths.equal(torch::tensor({2, 1, 3}, torch::kLong)));
  const std::vector<at::Tensor> frames{torch::ones({2, 4}), torch::ones({1, 4})};
  CHECK(pad(frames).first.sizes() == std::vector<std::int64_t>{2, 2, 4});
  const std::vector<at::Tensor> unlike{torch::ones({2, 4}), torch::ones({1, 5})};
  CHECK_THROWS_WITH(pad(unlike), ContainsSubstring("float [2, 4] and float [1, 5]"));
  CHECK_THROWS_WITH(pad(std::vector<at::Tensor>{}), ContainsSubstring("no sequence"));
}

TEST_CASE("parameter groups have optimisers of their own, and frozen ones are not there", "[network][groups]") {
  torch::manual_seed(1);
  auto net = torch::nn::Sequential(torch::nn::Linear(2, 2), torch::nn::Linear(2, 2), torch::nn::Linear(2, 1));
  const auto before = [&](const char* name) { return net->named_parameters()[name].detach().clone(); };
  const auto frozen = before("0.weight"), slow = before("1.weight"), decayed = before("2.weight"),
             bias = before("2.bias");
  const auto learner = make_learner(network(net), {.loss = mean_squared_error,
                                                   .groups = {{.match = "0.*", .frozen = true},
                                                              {.match = "*bias", .optimizer = sgd({.lr = 0.5})},
                                                              {.match = "1.weigh?", .rate = 0.1}}});
  CHECK(learner->parameters().size() == 2 + 1 + 4 + 2);
  const auto optimizer = learner->make_optimizer(sgd({.lr = 1}));
  learner->compute(batch_of(torch::randn({8, 2}), torch::randn({8, 1})));
  const auto gradient = [&](const char* name) { return net->named_parameters()[name].grad(); };
  optimizer->scale_rate(0.5);  // of all groups
  optimizer->step(learner->parameters(), learner->gradient());
  const auto after = before;
  CHECK(torch::equal(after("0.weight"), frozen));
  CHECK(torch::allclose(after("2.bias"), bias - 0.25 * gradient("2.bias")));
  CHECK(torch::allclose(after("1.weight"), slow - 0.05 * gradient("1.weight")));
  CHECK(torch::allclose(after("2.weight"), decayed - 0.5 * gradient("2.weight")));

  const auto other = learner->make_optimizer(sgd({.lr = 1, .momentum = 0.9}));
  other->step(learner->parameters(), learner->gradient());
  const auto same = learner->make_optimizer(sgd({.lr = 1, .momentum = 0.9}));
  same->restore(other->state());
  CHECK(same->state().values == other->state().values);
  CHECK_THROWS_WITH(other->restore(adam()(9)->state()), ContainsSubstring("nothing for parameter group 0"));

  CHECK_THROWS_WITH(make_learner(network(net), {.groups = {{.match = "head.*"}}}),
                    ContainsSubstring("«head.*» matches no parameter") && ContainsSubstring("0.weight, 0.bias"));
}

TEST_CASE("running statistics move by the mean of what all replicas' batches move them", "[network][buffers]") {
  constexpr int replicas = 4;
  torch::manual_seed(1);
  auto plain = torch::nn::Sequential(torch::nn::Linear(3, 5), torch::nn::BatchNorm1d(5), torch::nn::Linear(5, 1));
  const auto inputs = [&] {
    std::vector<at::Tensor> all;
    for (int r = 0; r < replicas; ++r) all.push_back(torch::randn({16, 3}) * (r + 1));
    return all;
  }();
  // What a lone module's statistics would be after each batch alone: their mean is what all are to have.
  auto mean = torch::zeros({5}), variance = torch::zeros({5});
  const auto* statistics = plain[1]->as<torch::nn::BatchNorm1d>();
  const auto begin = statistics->running_var.clone();
  for (const auto& input : inputs) {
    statistics->running_mean.zero_();
    statistics->running_var.copy_(begin);
    plain->forward(input);
    mean += statistics->running_mean / replicas;
    variance += statistics->running_var / replicas;
  }
  statistics->running_mean.zero_();
  statistics->running_var.copy_(begin);

  const auto learner = make_learner(network(plain), {.loss = mean_squared_error}, replicas);
  CHECK(learner->trained() == 3 * 5 + 5 + 5 + 5 + 5 + 1);
  CHECK(learner->parameters().size() == learner->trained() + 10);
  const auto optimizer = learner->make_optimizer(adam({.lr = 1e-3}));
  optimizer->scale_rate(0.1);  // which is not theirs
  std::vector<std::vector<float>> gradients;
  for (const auto& input : inputs) {
    learner->compute(batch_of(input, torch::zeros({16, 1})));
    CHECK(statistics->running_mean.abs().max().item<float>() == 0);  // nothing is changed yet
    gradients.push_back(copy_of(learner->gradient()));
  }
  for (const auto& gradient : gradients) optimizer->step(learner->parameters(), gradient);
  CHECK(torch::allclose(statistics->running_mean, mean, 1e-5, 1e-6));
  CHECK(torch::allclose(statistics->running_var, variance, 1e-5, 1e-6));
}

TEST_CASE("a batch that is empty, or unlike those before, is refused by name", "[network][error]") {
  const auto learner = make_learner(network(torch::nn::Linear(3, 2)), {});
  learner->compute(batch_of(torch::randn({4, 3}), torch::randint(2, {4})));
  CHECK_THROWS_WITH(learner->compute(batch_of(torch::randn({4, 5}), torch::randint(2, {4}))),
                    ContainsSubstring("its input is float [4, 5], and batches before had float [N, 3]"));
  CHECK_THROWS_WITH(learner->compute(batch_of(torch::randint(9, {4, 3}), torch::randint(2, {4}))),
                    ContainsSubstring("its input is long [4, 3], and batches before had float [N, 3]"));
  CHECK_THROWS_WITH(learner->compute(batch_of(torch::randn({4, 3}), torch::zeros({4, 1}))),
                    ContainsSubstring("its target is float [4, 1], and batches before had long [N]"));
  CHECK_THROWS_WITH(learner->compute(batch_of(torch::randn({4, 3}), torch::full({4}, 2, torch::kLong))),
                    ContainsSubstring("is given class 2, and the output has classes 0 to 1"));
  CHECK_THROWS_WITH(learner->compute(batch_of(torch::empty({0, 3}), torch::empty({0}, torch::kLong))),
                    ContainsSubstring("a batch is empty"));
  learner->compute(batch_of(torch::randn({9, 3}), torch::randint(2, {9})));  // another number of examples is none
}

namespace {

/// A TorchScript module: a batch norm's worth of state and a linear map.
void write_script(const std::filesystem::path& file, const std::string& code, bool with_parameters = true) {
  torch::jit::Module module("Net");
  if (with_parameters) {
    module.register_parameter("w", torch::full({3, 2}, 0.5F).requires_grad_(), false);
    module.register_buffer("shift", torch::ones({2}));
  }
  module.define(code);
  module.save(file.string());
}

const std::string linear = "def forward(self, x):\n  return torch.tanh(torch.matmul(x, self.w) + self.shift)\n";

auto content_of(const std::filesystem::path& file) -> std::string {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("a TorchScript file is a model that is trained further", "[network][torch_script]") {
  const TemporaryFile file;
  write_script(file.path, linear);
  const auto learner = make_learner(torch_script(file.path)(), {.loss = mean_squared_error});
  const auto x = torch::randn({5, 3}), y = torch::randn({5, 2});
  auto w = torch::full({3, 2}, 0.5F).requires_grad_();
  const auto output = torch::tanh(torch::matmul(x, w) + 1);
  const auto loss = torch::mse_loss(output, y);
  loss.backward();
  CHECK(torch::allclose(learner->predict(x), output));
  CHECK(learner->compute(batch_of(x, y)).loss == Approx(loss.item<double>()));
  CHECK(learner->parameters().size() == 6 + 2);  // the buffer too
  for (std::size_t i = 0; i < 6; ++i)
    CHECK(learner->gradient()[i] ==
          Approx(w.grad().flatten()[static_cast<std::int64_t>(i)].item<float>()).margin(1e-6));
  for (float& value : learner->parameters().first(6)) value = 0;
  CHECK(torch::allclose(learner->predict(x), torch::tanh(torch::ones({5, 2}))));
  // Its parameters have names, as a module's.
  CHECK(learner->tensors().front().first == "w");
}

TEST_CASE("a TorchScript module may take and return several tensors", "[network][torch_script]") {
  const TemporaryFile file;
  write_script(file.path,
               "def forward(self, x, y):\n  z = torch.matmul(x, self.w)\n  return {'sum': z + y, 'less': z - y}\n");
  const auto learner = make_learner(
      torch_script(file.path)(),
      {.loss = [](const Outputs& out, const TensorBatch& batch) { return (out["sum"] - batch.target).abs().mean(); }});
  const auto x = torch::ones({1, 3}), y = torch::full({1, 2}, 0.25F);
  const auto batch = batch_of(x, torch::zeros({1, 2}), {y});
  CHECK(torch::equal(learner->predict(batch)["less"], torch::full({1, 2}, 1.25F)));
  CHECK(learner->compute(batch).loss == Approx(1.75));
}

TEST_CASE("a TorchScript file that cannot be used is named in one line", "[network][torch_script][error]") {
  const TemporaryFile file;
  const auto refused_with = [&](const char* words) {
    CHECK_THROWS_WITH(make_learner(torch_script(file.path)(), {}),
                      ContainsSubstring(words) && ContainsSubstring(file.path.string()) && !ContainsSubstring("\n"));
  };
  refused_with("cannot be read");
  write_script(file.path, linear);
  const auto good = content_of(file.path);
  const auto write = [&](const std::string& bytes) { std::ofstream(file.path, std::ios::binary) << bytes; };
  write(good.substr(0, good.size() / 2));
  refused_with("damaged or no TorchScript file");
  write("no model");
  refused_with("damaged or no TorchScript file");
  // Short code without parameters: longer code would be compressed, and the name could not be changed.
  write_script(file.path, "def forward(self, x):\n  return torch.tanh(x)\n", false);
  auto strange = content_of(file.path);
  const auto at = strange.find("torch.tanh(");
  REQUIRE(at != std::string::npos);
  strange.replace(at, 11, "torch.tanq(");
  write(strange);
  refused_with("needs «aten::tanq», which this LibTorch does not have");
  write_script(file.path, "def forward(self, x):\n  return x\n", false);
  CHECK_THROWS_WITH(make_learner(torch_script(file.path)(), {}), ContainsSubstring("no parameter that can be trained"));
}

namespace {

/// Least squares by hand: y ≈ w·x, a step along the gradient.
struct HandWritten {
  std::vector<float> weights = {0, 0};
  auto parameters() -> std::span<float> { return weights; }
  auto step(const TensorBatch& batch) -> Score {
    const auto error = predict(batch) - batch.target;
    const auto gradient = torch::matmul(error, batch.input) / batch.examples();
    const Score score{error.square().mean().item<double>(), static_cast<std::uint64_t>(batch.examples())};
    for (std::size_t i = 0; i < 2; ++i) weights[i] -= 0.1F * gradient[static_cast<std::int64_t>(i)].item<float>();
    return score;
  }
  auto predict(const TensorBatch& batch) -> at::Tensor { return torch::matmul(batch.input, torch::tensor(weights)); }
};

}  // namespace

TEST_CASE("a model of one's own steps as it would alone", "[network][own]") {
  static_assert(OwnModel<HandWritten>);
  HandWritten alone;
  const auto learner = tensair::detail::learner_of(HandWritten{}, {}, 1);
  const auto optimizer = learner->make_optimizer(adam());  // which is not used
  torch::manual_seed(1);
  for (int step = 0; step < 20; ++step) {
    const auto x = torch::randn({8, 2});
    const auto batch = batch_of(x, torch::matmul(x, torch::tensor({3.0F, -1.0F})));
    const auto before = copy_of(learner->parameters());
    CHECK(learner->compute(batch).loss == Approx(alone.step(batch).loss));
    CHECK(copy_of(learner->parameters()) == before);
    optimizer->step(learner->parameters(), learner->gradient());
    CHECK(learner->parameters()[0] == Approx(alone.weights[0]));
    CHECK(learner->parameters()[1] == Approx(alone.weights[1]));
  }
  CHECK_THROWS_WITH(learner->score(batch_of(torch::zeros({1, 2}), torch::zeros({1}))),
                    ContainsSubstring("score(batch)"));
  const TemporaryFile file;
  learner->save(file.path);
  const auto loaded = tensair::detail::learner_of(HandWritten{}, {}, 1);
  loaded->load(file.path);
  CHECK(copy_of(loaded->parameters()) == copy_of(learner->parameters()));
}
