#include <torch/torch.h>

#include <cmath>
#include <tensair/error.hpp>
#include <tensair/model/loss.hpp>

#include "catch.hpp"

using namespace tensair;
using Catch::Matchers::ContainsSubstring;

namespace {

auto value(const at::Tensor& loss) -> double {
  return loss.item<double>();
}

/// −log of the softmax, in double.
auto log_loss(const std::vector<double>& logits, std::size_t klass) -> double {
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit);
  return std::log(sum) - logits[klass];
}

const std::vector<double> first{0.5, -1, 2}, second{0, 3, 1};
auto logits() -> at::Tensor {
  return torch::tensor({{0.5F, -1.0F, 2.0F}, {0.0F, 3.0F, 1.0F}});
}

}  // namespace

TEST_CASE("cross entropy knows class weights, classes to ignore and label smoothing", "[loss]") {
  const auto classes = torch::tensor({2, 0}, torch::kLong);
  const double a = log_loss(first, 2), b = log_loss(second, 0);
  CHECK(value(cross_entropy(logits(), classes)) == Approx((a + b) / 2));
  CHECK(value(cross_entropy({.weights = {3, 1, 0.5}})(logits(), classes)) == Approx((0.5 * a + 3 * b) / 3.5));
  CHECK(value(cross_entropy({.ignore = 0})(logits(), classes)) == Approx(a));
  const auto smooth = [](const std::vector<double>& one, std::size_t klass) {
    double all = 0;
    for (std::size_t c = 0; c < 3; ++c) all += log_loss(one, c) / 3;
    return 0.9 * log_loss(one, klass) + 0.1 * all;
  };
  CHECK(value(cross_entropy({.label_smoothing = 0.1})(logits(), classes)) ==
        Approx((smooth(first, 2) + smooth(second, 0)) / 2));
  const auto logarithms = torch::log_softmax(logits(), 1);
  CHECK(value(negative_log_likelihood(logarithms, classes)) == Approx((a + b) / 2));
  CHECK(value(negative_log_likelihood({.weights = {3, 1, 0.5}, .ignore = 2})(logarithms, classes)) == Approx(b));
}

TEST_CASE("losses of values are their formulas", "[loss]") {
  const auto output = torch::tensor({0.0F, 1.0F, 5.0F}), target = torch::tensor({0.5F, 1.0F, 2.0F});
  CHECK(value(mean_squared_error(output, target)) == Approx((0.25 + 9) / 3));
  CHECK(value(mean_absolute_error(output, target)) == Approx((0.5 + 3) / 3));
  CHECK(value(huber(output, target)) == Approx((0.125 + 2.5) / 3));
  CHECK(value(huber({.delta = 2})(output, target)) == Approx((0.125 + 2 * (3 - 1)) / 3));
  CHECK(value(smooth_l1({.beta = 2})(output, target)) == Approx((0.0625 + 2) / 3));
  const auto binary = torch::tensor({1.0F, 0.0F, 1.0F});
  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  CHECK(value(binary_cross_entropy(output, binary)) == Approx((softplus(0) + softplus(1) + softplus(-5)) / 3));
  CHECK(value(binary_cross_entropy({.positive_weight = 4})(output, binary)) ==
        Approx((4 * softplus(0) + softplus(1) + 4 * softplus(-5)) / 3));
  const auto p = torch::tensor({{0.5F, 0.5F}}), q = torch::tensor({{0.25F, 0.75F}});
  CHECK(value(kl_divergence(q.log(), p)) == Approx(0.5 * std::log(2.0) + 0.5 * std::log(0.5 / 0.75)));
}

TEST_CASE("a loss is chosen by its name, or is a function of the output, or of all outputs and the batch", "[loss]") {
  const auto output = torch::tensor({0.0F, 4.0F}), target = torch::tensor({0.0F, 2.0F});
  CHECK(value(Loss("mean_absolute_error")(output, target)) == 1);
  CHECK_THROWS_WITH(Loss("hinge"), ContainsSubstring("no loss «hinge»") && ContainsSubstring("cross_entropy"));
  const Loss two = [](const at::Tensor& o, const at::Tensor& t) { return (o - t).sum(); };
  CHECK(value(two(output, target)) == 2);
  const Loss all = [](const Outputs& out, const TensorBatch& batch) {
    return (out["width"] - batch.target).sum() + (out["length"] * batch.more_targets.at(0)).sum();
  };
  TensorBatch batch;
  batch.target = target;
  batch.more_targets = {torch::tensor({10.0F, 1.0F})};
  CHECK(value(all(std::map<std::string, at::Tensor>{{"width", output}, {"length", output}}, batch)) == 6);
}

TEST_CASE("a loss says what does not fit", "[loss][error]") {
  CHECK_THROWS_WITH(cross_entropy(logits(), torch::tensor({1, 3}, torch::kLong)),
                    ContainsSubstring("is given class 3, and the output has classes 0 to 2"));
  CHECK_THROWS_WITH(cross_entropy({.ignore = -1})(logits(), torch::tensor({-1, -7}, torch::kLong)),
                    ContainsSubstring("is given class -7"));
  CHECK_THROWS_WITH(cross_entropy(logits(), torch::tensor({{1}, {2}}, torch::kLong)),
                    ContainsSubstring("an output float [2, 3] and a target long [2, 1]"));
  CHECK_THROWS_WITH(cross_entropy(logits(), at::Tensor{}), ContainsSubstring("no target"));
  for (const char* name :
       {"mean_squared_error", "mean_absolute_error", "huber", "smooth_l1", "binary_cross_entropy", "kl_divergence"}) {
    CHECK_THROWS_WITH(Loss(name)(torch::zeros({4, 1}), torch::zeros({4})),
                      ContainsSubstring(name) && ContainsSubstring("shape [4, 1] and a target of shape [4]"));
  }
  CHECK_THROWS_AS(cross_entropy({.label_smoothing = 2}), UsageError);
  CHECK_THROWS_AS(huber({.delta = 0}), UsageError);
  const Outputs outputs = std::map<std::string, at::Tensor>{{"a", torch::ones({1})}, {"b", torch::ones({1})}};
  CHECK_THROWS_WITH(outputs["c"], ContainsSubstring("no output «c»") && ContainsSubstring("a, b"));
  CHECK_THROWS_WITH(outputs[2], ContainsSubstring("no output 2"));
}
