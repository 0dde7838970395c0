#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <tensair/metrics.hpp>

#include "catch.hpp"
#include "metrics/golden.hpp"
#include "metrics/streams.hpp"

using namespace tensair;
using namespace tensair::metrics;
using namespace tensair::test;

namespace {

/// The rows of golden.hpp for one metric, over all, sliding or fading.
auto rows_of(const std::string& metric, const std::string& over) -> std::vector<MetricGolden> {
  std::vector<MetricGolden> rows;
  for (const auto& row : metric_golden) {
    if (row.metric == metric && row.over == over) rows.push_back(row);
  }
  REQUIRE(rows.size() >= 3);
  return rows;
}

/// Feeds the stream to the metric, and compares where others have been asked.
template <class T, class M, class Value, class Tolerance>
void compare(const std::vector<T>& stream, M metric, const std::vector<MetricGolden>& rows, Value value_of,
             Tolerance tolerance) {
  for (std::size_t i = 0; i < stream.size(); ++i) {
    metric.update(stream[i].truth, stream[i].prediction);
    for (const auto& row : rows) {
      if (row.at != i + 1) continue;
      INFO(row.by << ": " << row.metric << ", " << row.over << ", after " << row.at);
      CHECK(value_of(metric) == Approx(row.value).epsilon(0).margin(tolerance(metric)));
    }
  }
}

constexpr auto value = [](const auto& metric) { return metric.value(); };
constexpr auto rounding = [](const auto&) { return 1e-9; };

template <class T, class M>
void compare_all(const std::string& name, const std::vector<T>& stream, M metric) {
  compare(stream, metric, rows_of(name, "all"), value, rounding);
  compare(stream, sliding(metric_golden_window, metric), rows_of(name, "sliding"), value, rounding);
  compare(stream, fading(metric_golden_fading, metric), rows_of(name, "fading"), value, rounding);
}

}  // namespace

TEST_CASE("metrics of classes are scikit-learn's and River's, over all, sliding and fading", "[metrics]") {
  const auto stream = class_stream();
  compare_all("accuracy", stream, Accuracy{});
  compare_all("kappa", stream, Kappa{});
  compare_all("precision (macro)", stream, Precision{});
  compare_all("precision (weighted)", stream, Precision{average::weighted});
  compare_all("precision (micro)", stream, Precision{average::micro});
  compare_all("recall (macro)", stream, Recall{});
  compare_all("recall (weighted)", stream, Recall{average::weighted});
  compare_all("recall (micro)", stream, Recall{average::micro});
  compare_all("f1 (macro)", stream, F1{});
  compare_all("f1 (weighted)", stream, F1{average::weighted});
  compare_all("f1 (micro)", stream, F1{average::micro});
  compare_all("f1 of class 2", stream, F1::of_class(2));
}

TEST_CASE("a confusion matrix is scikit-learn's, over all, sliding and fading", "[metrics]") {
  const auto stream = class_stream();
  const auto cell = [](const auto& metric) { return metric.metric().count(2, 0); };
  compare(
      stream, ConfusionMatrix{}, rows_of("confusion 2 as 0", "all"),
      [](const ConfusionMatrix& matrix) { return matrix.count(2, 0); }, rounding);
  compare(stream, sliding(metric_golden_window, ConfusionMatrix{}), rows_of("confusion 2 as 0", "sliding"), cell,
          rounding);
  compare(stream, fading(metric_golden_fading, ConfusionMatrix{}), rows_of("confusion 2 as 0", "fading"), cell,
          rounding);
}

TEST_CASE("log loss is scikit-learn's, of two classes and of three", "[metrics]") {
  compare_all("log loss of two", score_stream(), LogLoss{});
  compare_all("log loss of three", probability_stream(), LogLoss{});
}

TEST_CASE("errors of numbers are scikit-learn's and River's, over all, sliding and fading", "[metrics]") {
  const auto stream = number_stream();
  compare_all("mean absolute error", stream, MeanAbsoluteError{});
  compare_all("mean squared error", stream, MeanSquaredError{});
  compare_all("root mean squared error", stream, RootMeanSquaredError{});
  compare_all("r2", stream, R2{});
}

TEST_CASE("the area under the curve is scikit-learn's: within its bound over all and fading, exactly in a window",
          "[metrics]") {
  const auto stream = score_stream();
  compare(stream, sliding(metric_golden_window, RocAuc{}), rows_of("roc auc", "sliding"), value,
          [](const auto&) { return 1e-14; });
  auto unequal = stream;
  for (std::size_t i = 0; i < unequal.size(); ++i) unequal[i].prediction += std::ldexp(static_cast<double>(i), -30);
  compare(unequal, sliding(metric_golden_window, RocAuc{}), rows_of("roc auc of unequal scores", "sliding"), value,
          [](const auto&) { return 1e-14; });
  const auto bound = [](const RocAuc& area) {
    CHECK(area.error_bound() < 0.004);
    return area.error_bound() + 1e-12;
  };
  compare(stream, RocAuc{}, rows_of("roc auc", "all"), value, bound);
  compare(stream, fading(metric_golden_fading, RocAuc{}), rows_of("roc auc", "fading"), value,
          [&](const auto& fading) { return bound(fading.metric()); });
}
