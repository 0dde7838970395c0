#include <fmt/format.h>
#include <torch/torch.h>

#include <tensair/error.hpp>
#include <tensair/model/outcomes.hpp>

namespace tensair {
namespace {

auto shape_of(const at::Tensor& tensor) -> std::string {
  return fmt::format("[{}]", fmt::join(tensor.sizes().begin(), tensor.sizes().end(), ", "));
}

[[noreturn]] void refuse(const Evaluation& evaluation, const std::string& wanted) {
  throw Error(fmt::format("an evaluation has outputs {} and targets {}, and {} are needed",
                          shape_of(evaluation.outputs), shape_of(evaluation.targets), wanted),
              fmt::format("replica {} on node {}", evaluation.replica, evaluation.node),
              "Take class_outcomes, probability_outcomes, score_outcomes or value_outcomes, as the model's loss is.");
}

void need_outputs(const Evaluation& evaluation) {
  if (!evaluation.outputs.defined() || !evaluation.targets.defined())
    throw Error("an evaluation has no outputs",
                fmt::format("replica {} on node {}", evaluation.replica, evaluation.node),
                "Ask for them: .evaluate({.outputs = true}).");
}

// Where there are two classes and one logit says which: [N] or [N, 1].
auto is_one_logit(const at::Tensor& outputs) -> bool {
  return outputs.dim() == 1 || (outputs.dim() == 2 && outputs.size(1) == 1);
}

// [N] class numbers.
auto classes_of(const Evaluation& evaluation) -> at::Tensor {
  const auto& targets = evaluation.targets;
  const auto n = evaluation.outputs.size(0);
  const bool one_each = targets.numel() == n && (targets.dim() == 1 || (targets.dim() == 2 && targets.size(1) == 1));
  const bool numbers = !targets.is_floating_point() || is_one_logit(evaluation.outputs);
  if (!one_each || !numbers || targets.is_complex()) refuse(evaluation, "logits [N, C] or [N] and class numbers [N]");
  return targets.reshape({n}).to(torch::kLong).contiguous();
}

auto floats(const at::Tensor& tensor) -> at::Tensor {
  return tensor.detach().to(torch::kCPU, torch::kFloat).contiguous();
}

template <class Said, class Make>
auto one_each(const at::Tensor& truths, Make said) -> std::vector<Outcome<std::int64_t, Said>> {
  std::vector<Outcome<std::int64_t, Said>> all;
  all.reserve(static_cast<std::size_t>(truths.numel()));
  const auto* truth = truths.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < truths.numel(); ++i) {
    if (truth[i] >= 0) all.push_back({truth[i], said(i)});  // else the loss has left it out, or would have thrown
  }
  return all;
}

}  // namespace

auto class_outcomes(const Evaluation& evaluation) -> std::vector<Outcome<std::int64_t>> {
  need_outputs(evaluation);
  const auto& outputs = evaluation.outputs;
  if (!is_one_logit(outputs) && outputs.dim() != 2) refuse(evaluation, "logits [N, C] or [N] and class numbers [N]");
  const auto truths = classes_of(evaluation);
  const auto said =
      (is_one_logit(outputs) ? outputs.reshape({-1}).gt(0).to(torch::kLong) : outputs.argmax(1)).contiguous();
  const auto* classes = said.data_ptr<std::int64_t>();
  return one_each<std::int64_t>(truths, [&](std::int64_t i) { return classes[i]; });
}

auto probability_outcomes(const Evaluation& evaluation) -> std::vector<Outcome<std::int64_t, std::vector<float>>> {
  need_outputs(evaluation);
  const auto& outputs = evaluation.outputs;
  if (outputs.dim() != 2 || is_one_logit(outputs)) refuse(evaluation, "logits [N, C] and class numbers [N]");
  const auto truths = classes_of(evaluation);
  const auto softmax = floats(outputs.detach().softmax(1));
  const auto classes = softmax.size(1);
  const auto* row = softmax.data_ptr<float>();
  return one_each<std::vector<float>>(
      truths, [&](std::int64_t i) { return std::vector<float>(row + i * classes, row + (i + 1) * classes); });
}

auto score_outcomes(const Evaluation& evaluation) -> std::vector<Outcome<std::int64_t, double>> {
  need_outputs(evaluation);
  const auto& outputs = evaluation.outputs;
  const bool two = outputs.dim() == 2 && outputs.size(1) == 2;
  if (!is_one_logit(outputs) && !two) refuse(evaluation, "logits [N], [N, 1] or [N, 2] and class numbers [N]");
  const auto truths = classes_of(evaluation);
  // In double precision: float would round sure answers to 1, and make them equal.
  const auto logits = outputs.detach().to(torch::kCPU, torch::kDouble);
  const auto one = (two ? logits.select(1, 1) - logits.select(1, 0) : logits.reshape({-1})).sigmoid().contiguous();
  const auto* scores = one.data_ptr<double>();
  return one_each<double>(truths, [&](std::int64_t i) { return scores[i]; });
}

auto value_outcomes(const Evaluation& evaluation) -> std::vector<Outcome<double>> {
  need_outputs(evaluation);
  if (evaluation.outputs.sizes() != evaluation.targets.sizes()) refuse(evaluation, "outputs and targets of one shape");
  const auto said = evaluation.outputs.detach().to(torch::kCPU, torch::kDouble).contiguous();
  const auto truths = evaluation.targets.detach().to(torch::kCPU, torch::kDouble).contiguous();
  std::vector<Outcome<double>> all;
  all.reserve(static_cast<std::size_t>(said.numel()));
  const auto *value = said.data_ptr<double>(), *truth = truths.data_ptr<double>();
  for (std::int64_t i = 0; i < said.numel(); ++i) all.push_back({truth[i], value[i]});
  return all;
}

}  // namespace tensair
