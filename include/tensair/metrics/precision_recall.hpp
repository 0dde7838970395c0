#pragma once

#include <optional>
#include <tensair/metrics/class_counts.hpp>

namespace tensair::metrics {

/// How a measure of each class becomes one of all.
enum class average {
  macro,       ///< the mean over the classes that were true or predicted, each alike; what is 0/0 for one counts as 0
  weighted,    ///< the same, each class by how often it was true
  micro,       ///< of all examples at once; where each has one class, the same as accuracy
  each_class,  ///< as macro, and a stream of measurements has the value of each class by itself
};

namespace detail {

/// What precision, recall and F1 have in common: `Ratio::of(class)` is the measure of one class.
template <class Ratio>
class PerClass : public ClassMetric<ClassCounts> {
 public:
  PerClass() = default;
  explicit PerClass(average how) : how_(how) {}

  /// The measure of one class alone.
  auto of(ClassNumber number) const -> double { return Ratio::of(this->counts_.of(number)); }

  auto value() const -> double {
    if (only_ >= 0) return of(only_);
    const auto& counts = this->counts_;
    if (how_ == average::micro) return ratio(counts.total() - counts.misses(), counts.total());
    double sum = 0, weights = 0;
    for (const auto& one : counts.classes()) {
      if (!(one.actual > 0 || one.predicted > 0)) continue;
      const double weight = how_ == average::weighted ? one.actual : 1;
      const double value = Ratio::of(one);
      if (value > 0) sum += weight * value;  // else 0, or undefined
      weights += weight;
    }
    return ratio(sum, weights);
  }

  template <class Emit>
  void report(Emit emit) const {
    if (how_ != average::each_class || only_ >= 0) {
      emit(name(), value());
      return;
    }
    const auto& classes = this->counts_.classes();
    for (std::size_t i = 0; i < classes.size(); ++i) {
      if (classes[i].actual > 0 || classes[i].predicted > 0) emit(name_of(i), Ratio::of(classes[i]));
    }
  }

  auto name() const -> std::string {
    if (only_ >= 0) return name_of(static_cast<std::size_t>(only_));
    constexpr const char* kinds[] = {"macro", "weighted", "micro", "of each class"};
    return std::string(Ratio::name) + " (" + kinds[static_cast<int>(how_)] + ")";
  }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& this->counts_& how_& only_;
  }

 protected:
  void keep_to(ClassNumber number) { only_ = static_cast<std::int64_t>(number.index()); }

 private:
  static auto name_of(std::size_t number) -> std::string {
    return std::string(Ratio::name) + " of class " + std::to_string(number);
  }

  average how_ = average::macro;
  std::int64_t only_ = -1;  // a class, or all
};

struct PrecisionRatio {
  static constexpr auto name = "precision";
  static auto of(const ClassCounts::Class& one) -> double { return ratio(one.hits, one.predicted); }
};
struct RecallRatio {
  static constexpr auto name = "recall";
  static auto of(const ClassCounts::Class& one) -> double { return ratio(one.hits, one.actual); }
};
struct F1Ratio {
  static constexpr auto name = "f1";
  static auto of(const ClassCounts::Class& one) -> double { return ratio(2 * one.hits, one.actual + one.predicted); }
};

}  // namespace detail

/// Of the examples taken for a class, the share that were of it. Undefined for a class that was never predicted; over
/// classes that counts as 0, and it is undefined before the first example. Several classes become one value as
/// `average` says.
///
/// @code
/// tensair::metrics::Precision precision(tensair::metrics::average::weighted);
/// precision.update(1, 1);
/// std::printf("%.2f, of class 1: %.2f\n", precision.value(), precision.of(1));
/// @endcode
class Precision : public detail::PerClass<detail::PrecisionRatio> {
 public:
  using PerClass::PerClass;
  /// Of one class alone: of two, the one that one looks for.
  static auto of_class(ClassNumber number) -> Precision {
    Precision metric;
    metric.keep_to(number);
    return metric;
  }
};

/// Of the examples of a class, the share that were taken for it: the accuracy of that class. Undefined for a class that
/// was never true; else as `Precision`. Its macro average is balanced accuracy if all classes that are predicted are
/// also true.
///
/// @code
/// auto recall = tensair::metrics::Recall::of_class(1);
/// recall.update(1, 0);
/// std::printf("%.2f\n", recall.value());  // 0.00
/// @endcode
class Recall : public detail::PerClass<detail::RecallRatio> {
 public:
  using PerClass::PerClass;
  static auto of_class(ClassNumber number) -> Recall {
    Recall metric;
    metric.keep_to(number);
    return metric;
  }
};

/// The harmonic mean of precision and recall of a class, 2 hits / (true + predicted) (van Rijsbergen, "Information
/// Retrieval", 1979). Undefined for a class that was neither true nor predicted; else as `Precision`. The macro average
/// is the mean of the classes' values.
///
/// @code
/// tensair::metrics::F1 f1;  // macro
/// f1.update(0, 1);
/// std::printf("%.2f\n", f1.value());  // 0.00
/// @endcode
class F1 : public detail::PerClass<detail::F1Ratio> {
 public:
  using PerClass::PerClass;
  static auto of_class(ClassNumber number) -> F1 {
    F1 metric;
    metric.keep_to(number);
    return metric;
  }
};

}  // namespace tensair::metrics
