#pragma once

#include <cstdint>
#include <tensair/metrics/outcome.hpp>
#include <tensair/model/evaluation.hpp>
#include <vector>

// What a model said of each record of a batch, as metrics take it. A stream of evaluations with outputs becomes a
// stream of outcomes by `flat_map`.

namespace tensair {

/// True and predicted classes: of logits [N, C] the class with the greatest, of logits [N] or [N, 1], where there are
/// two classes, 1 where it is above 0. Targets are class numbers [N]; with one logit also [N, 1], and floating point.
/// Records with a target below 0, which the loss ignores, are left out.
///
/// @code
/// examples_of_flowers.batch(32)
///     .model(net)
///     .evaluate({.outputs = true})
///     .flat_map(tensair::class_outcomes)
///     .measure({.every = 1'000}, tensair::metrics::sliding(1'000, tensair::metrics::F1{}))
///     .sink(print);
/// @endcode
/// @throws Error  the evaluation has no outputs; outputs and targets of other shapes or types
auto class_outcomes(const Evaluation& evaluation) -> std::vector<Outcome<std::int64_t>>;

/// True classes and the probabilities of all: softmax of logits [N, C]. For `metrics::LogLoss`, and through
/// `metrics::of(metrics::most_likely, …)` for all metrics of classes.
/// @throws Error  as `class_outcomes`
auto probability_outcomes(const Evaluation& evaluation) -> std::vector<Outcome<std::int64_t, std::vector<float>>>;

/// Where there are two classes, the true one and the probability of class 1: sigmoid of logits [N] or [N, 1], or of
/// logits [N, 2] the second of their softmax. For `metrics::RocAuc` and `metrics::LogLoss`.
/// @throws Error  as `class_outcomes`
auto score_outcomes(const Evaluation& evaluation) -> std::vector<Outcome<std::int64_t, double>>;

/// True and predicted values, one outcome for each number of outputs and targets, which have one shape.
/// @throws Error  as `class_outcomes`
auto value_outcomes(const Evaluation& evaluation) -> std::vector<Outcome<double>>;

}  // namespace tensair
