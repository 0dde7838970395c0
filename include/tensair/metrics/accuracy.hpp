#pragma once

#include <tensair/metrics/metric.hpp>

namespace tensair::metrics {

/// The share of examples whose prediction is the truth: of classes as numbers, texts or whatever has `==`. From 0 to 1;
/// undefined before the first example. On a stream, where each record is predicted before it is learnt from, this is
/// prequential accuracy (Gama et al., Machine Learning 90, 2013).
///
/// @code
/// tensair::metrics::Accuracy accuracy;
/// accuracy.update(std::string("rose"), std::string("tulip"));
/// std::printf("%.2f\n", accuracy.value());  // 0.00
/// @endcode
class Accuracy {
 public:
  template <class Truth, class Prediction>
  requires std::equality_comparable_with<Truth, Prediction>
  void update(const Truth& truth, const Prediction& prediction, double weight = 1) {
    weight = detail::checked_weight(weight);
    total_ += weight;
    correct_ += truth == prediction ? weight : 0;
  }
  auto value() const -> double { return detail::ratio(correct_, total_); }
  void reset() { *this = {}; }
  auto name() const -> std::string { return "accuracy"; }

  void merge(const Accuracy& other) {
    total_ += other.total_;
    correct_ += other.correct_;
  }
  void scale(double factor) {
    total_ *= factor;
    correct_ *= factor;
  }
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& total_& correct_;
  }

 private:
  double total_ = 0, correct_ = 0;
};

}  // namespace tensair::metrics
