#pragma once

#include <tensair/metrics/class_counts.hpp>

namespace tensair::metrics {

/// Cohen's kappa (Educational and Psychological Measurement 20, 1960): how much of what chance leaves a model gets
/// right. (p - c) / (1 - c), where p is the accuracy and c what one would have who says each class as often as the
/// model does, at random. 1 is perfect, 0 is chance, less is worse than chance. Where one class is frequent, accuracy
/// flatters and kappa does not.
///
/// Undefined before the first example, and while only one class was true and predicted.
///
/// @code
/// tensair::metrics::Kappa kappa;
/// for (const int truth : {0, 0, 0, 1}) kappa.update(truth, 0);
/// std::printf("%.2f\n", kappa.value());  // 0.00, though 3 of 4 are right
/// @endcode
class Kappa : public ClassMetric<ClassCounts> {
 public:
  auto value() const -> double {
    // 1 - (1 - p) / (1 - c), where 1 - c is the share of pairs of a true and a predicted class that differ: sums of
    // what is not negative, so that nothing is lost to rounding where one class is nearly all.
    double differ = 0, actual = 0, predicted = 0;
    for (const auto& one : counts_.classes()) {
      differ += one.actual * predicted + one.predicted * actual;
      actual += one.actual;
      predicted += one.predicted;
    }
    return differ > 0 ? 1 - counts_.misses() * counts_.total() / differ : undefined;
  }
  auto name() const -> std::string { return "kappa"; }
};

}  // namespace tensair::metrics
