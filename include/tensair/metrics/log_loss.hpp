#pragma once

#include <algorithm>
#include <cmath>
#include <iterator>
#include <tensair/metrics/class_number.hpp>
#include <tensair/metrics/metric.hpp>

namespace tensair::metrics {

/// The mean of -log p, where p is the probability that a model gave to the class that was true; in nats, 0 is perfect.
/// The prediction is the probability of class 1 where there are two, or a range of one for each class. A probability of
/// 0 counts as 2⁻⁵², so that one example's loss is at most 36.04. Probabilities are taken as they are, whatever
/// their sum. Undefined before the first example.
///
/// @code
/// tensair::metrics::LogLoss loss;
/// loss.update(true, 0.8);
/// loss.update(2, std::vector{0.1, 0.2, 0.7});
/// @endcode
/// @throws Error  a probability that is not from 0 to 1; a class that has none
class LogLoss {
 public:
  void update(ClassNumber truth, double probability_of_1, double weight = 1) {
    if (truth.index() > 1) refuse_class(truth.index(), 2);
    const double p = checked(probability_of_1);
    add(truth.index() == 1 ? p : 1 - p, weight);
  }
  template <class Probabilities>
  requires requires(const Probabilities& all) {
    { *std::begin(all) } -> std::convertible_to<double>;
    { std::size(all) } -> std::convertible_to<std::size_t>;
  }
  void update(ClassNumber truth, const Probabilities& probabilities, double weight = 1) {
    if (truth.index() >= std::size(probabilities)) refuse_class(truth.index(), std::size(probabilities));
    add(checked(static_cast<double>(*std::next(std::begin(probabilities), static_cast<std::ptrdiff_t>(truth.index())))),
        weight);
  }
  auto value() const -> double { return detail::ratio(sum_, total_); }
  void reset() { *this = {}; }
  auto name() const -> std::string { return "log loss"; }

  void merge(const LogLoss& other) {
    sum_ += other.sum_;
    total_ += other.total_;
  }
  void scale(double factor) {
    sum_ *= factor;
    total_ *= factor;
  }
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& sum_& total_;
  }

 private:
  static auto checked(double probability) -> double {
    if (!(probability >= 0 && probability <= 1))
      throw Error("a probability is not from 0 to 1", "metrics",
                  "Give probabilities, not logits: softmax of a model's output, or sigmoid where it is one number.");
    return probability;
  }
  [[noreturn]] static void refuse_class(std::size_t truth, std::size_t classes) {
    throw Error("class " + std::to_string(truth) + " is true, and there are probabilities of " +
                    std::to_string(classes) + " classes only",
                "metrics", "Give one for each class.");
  }
  void add(double probability, double weight) {
    weight = detail::checked_weight(weight);
    sum_ -= weight * std::log(std::max(probability, std::numeric_limits<double>::epsilon()));
    total_ += weight;
  }

  double sum_ = 0, total_ = 0;
};

}  // namespace tensair::metrics
