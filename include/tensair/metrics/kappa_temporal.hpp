#pragma once

#include <cstdint>
#include <tensair/metrics/class_number.hpp>
#include <tensair/metrics/metric.hpp>

namespace tensair::metrics {

/// Kappa-temporal (Žliobaitė, Bifet, Read, Pfahringer and Holmes, "Evaluation methods and decision theory for
/// classification of streaming data with temporal dependence", Machine Learning 98, 2015): kappa against somebody who
/// always says the class that was true last. (p - q) / (1 - q), where p is the model's accuracy and q that one's. 1 is
/// perfect; 0 or less: one need not have trained a model. Where classes come in runs, as they mostly do, kappa flatters
/// and kappa-temporal does not.
///
/// Both accuracies are of the examples that have one before them, so the first counts only as such. Undefined before
/// the second example, and while all had the same class. Merging is for what follows in time: the other's examples came
/// after one's own.
///
/// @code
/// tensair::metrics::KappaTemporal kappa;
/// for (const int truth : {0, 0, 0, 1, 1, 1}) kappa.update(truth, truth);
/// std::printf("%.2f\n", kappa.value());  // 1.00
/// @endcode
class KappaTemporal {
 public:
  void update(ClassNumber truth, ClassNumber prediction, double weight = 1) {
    const auto now = static_cast<std::int64_t>(truth.index());
    weight = detail::checked_weight(weight);
    const bool correct = truth == prediction;
    if (last_ < 0) {
      first_ = now;
      first_weight_ = weight;
      first_correct_ = correct ? 1 : 0;
    } else {
      wrong_ += correct ? 0 : weight;
      changed_ += last_ == now ? 0 : weight;
    }
    last_ = now;
  }
  auto value() const -> double {
    return changed_ > 0 ? 1 - wrong_ / changed_ : undefined;  // 1 - (1 - p) / (1 - q)
  }
  void reset() { *this = {}; }
  auto name() const -> std::string { return "kappa-temporal"; }

  void merge(const KappaTemporal& later) {
    if (later.last_ < 0) return;
    if (last_ < 0) {
      *this = later;
      return;
    }
    wrong_ += later.wrong_ + (later.first_correct_ != 0 ? 0 : later.first_weight_);
    changed_ += later.changed_ + (last_ == later.first_ ? 0 : later.first_weight_);
    last_ = later.last_;
  }
  void scale(double factor) {
    wrong_ *= factor;
    changed_ *= factor;
    first_weight_ *= factor;
  }
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& wrong_& changed_& first_weight_& first_& last_& first_correct_;
  }

 private:
  double wrong_ = 0, changed_ = 0;  // of examples with one before them
  double first_weight_ = 0;
  std::int64_t first_ = -1, last_ = -1;  // classes; -1: none yet
  std::int64_t first_correct_ = 0;
};

}  // namespace tensair::metrics
