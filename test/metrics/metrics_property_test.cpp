#include <cmath>
#include <cstddef>
#include <map>
#include <tensair/metrics.hpp>
#include <tuple>
#include <utility>
#include <vector>

#include "catch.hpp"

using namespace tensair;
using namespace tensair::metrics;
using namespace tensair::test;

namespace {

template <class Truth, class Prediction>
struct Weighed {
  Truth truth{};
  Prediction prediction{};
  double weight = 1;
};
using ClassExamples = std::vector<Weighed<int, int>>;
using ScoreExamples = std::vector<Weighed<int, double>>;
using NumberExamples = std::vector<Weighed<double, double>>;

auto below(int n) -> int {
  return *rc::gen::inRange(0, n);
}

auto weight(bool whole) -> double {
  return whole ? below(4) : below(1'000) / 256.0;
}

auto class_examples(bool whole) -> ClassExamples {
  ClassExamples all(static_cast<std::size_t>(below(120)));
  for (auto& one : all) one = {below(5), below(5), weight(whole)};
  return all;
}
// Few different scores, so that many are equal.
auto score_examples(bool whole) -> ScoreExamples {
  ScoreExamples all(static_cast<std::size_t>(below(120)));
  for (auto& one : all) one = {below(2), below(33) / 32.0, weight(whole)};
  return all;
}
auto number_examples(bool whole) -> NumberExamples {
  NumberExamples all(static_cast<std::size_t>(below(120)));
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& one = all[i];
    // Rising, so that there is no long run of the same truth: what R² is then, is a matter of rounding.
    const double truth = 1'000 + below(2'000) / 7.0 + static_cast<double>(i) / 2;
    one = {truth, truth + below(200) / 9.0 - 10, weight(whole)};
  }
  return all;
}

/// The same, as far as rounding goes; or both undefined.
auto same(double a, double b) -> bool {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) == std::isnan(b);
  return std::abs(a - b) <= 1e-9 * std::max(1.0, std::abs(b));
}
auto same(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b) -> bool {
  // One may know of classes that have gone, or of which nothing weighs anything.
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    for (std::size_t j = 0; j < std::max(a.size(), b.size()); ++j) {
      const auto at = [&](const auto& rows) { return i < rows.size() && j < rows.size() ? rows[i][j] : 0.0; };
      if (!same(at(a), at(b))) return false;
    }
  }
  return true;
}

template <class M, class Examples>
auto fed(M metric, const Examples& examples, std::size_t first, std::size_t last) -> M {
  for (std::size_t i = first; i < last; ++i)
    metric.update(examples[i].truth, examples[i].prediction, examples[i].weight);
  return metric;
}

/// Calls `property(metric, examples)` for each metric with examples that it takes.
template <class Property>
void for_each_metric(Property property) {
  const bool whole = *rc::gen::arbitrary<bool>();
  const auto classes = class_examples(whole);
  const auto scores = score_examples(whole);
  const auto numbers = number_examples(whole);
  property(Accuracy{}, classes);
  property(Kappa{}, classes);
  property(KappaTemporal{}, classes);
  property(ConfusionMatrix{}, classes);
  property(Precision{}, classes);
  property(Recall{average::weighted}, classes);
  property(F1{average::micro}, classes);
  property(F1::of_class(2), classes);
  property(LogLoss{}, scores);
  property(MeanAbsoluteError{}, numbers);
  property(MeanSquaredError{}, numbers);
  property(RootMeanSquaredError{}, numbers);
  property(R2{}, numbers);
}

/// The share of pairs in order, counted pair by pair.
auto naive_area(const ScoreExamples& examples, std::size_t first, std::size_t last) -> double {
  double won = 0, pairs = 0;
  for (std::size_t i = first; i < last; ++i) {
    for (std::size_t j = first; j < last; ++j) {
      const auto &one = examples[i], &zero = examples[j];
      if (one.truth != 1 || zero.truth != 0) continue;
      const double weight = one.weight * zero.weight;
      pairs += weight;
      won += weight * (one.prediction > zero.prediction ? 1 : one.prediction == zero.prediction ? 0.5 : 0);
    }
  }
  return pairs > 0 ? won / pairs : undefined;
}

}  // namespace

TEST_CASE("a sliding metric is the metric of the last n examples", "[metrics][property]") {
  check_property("for all metrics, windows and examples", [] {
    const auto n = static_cast<std::size_t>(1 + below(40));
    for_each_metric([n](const auto& metric, const auto& examples) {
      auto recent = sliding(n, metric);
      for (std::size_t i = 0; i < examples.size(); ++i) {
        recent.update(examples[i].truth, examples[i].prediction, examples[i].weight);
        const auto again = fed(metric, examples, i + 1 - std::min(i + 1, n), i + 1);
        RC_ASSERT(same(recent.value(), again.value()));
      }
    });
  });
}

TEST_CASE("merging is as if the other's examples had come after", "[metrics][property]") {
  check_property("for all metrics, examples and cuts", [] {
    const auto part = static_cast<std::size_t>(below(120));
    for_each_metric([part](const auto& metric, const auto& examples) {
      const auto cut = std::min(part, examples.size());
      auto first = fed(metric, examples, 0, cut);
      first.merge(fed(metric, examples, cut, examples.size()));
      RC_ASSERT(same(first.value(), fed(metric, examples, 0, examples.size()).value()));
    });
  });
}

TEST_CASE("a fading metric is the metric of weights alpha, alpha², … into the past", "[metrics][property]") {
  check_property("for all metrics, factors and examples", [] {
    // Down to 0.01, where weights are soon scaled.
    const double alpha = (1 + below(100)) / 100.0;
    for_each_metric([alpha](const auto& metric, const auto& examples) {
      auto recent = fading(alpha, metric);
      for (std::size_t i = 0; i < examples.size(); ++i) {
        recent.update(examples[i].truth, examples[i].prediction, examples[i].weight);
        if (i % 7 != 0) continue;
        auto weighed = metric;
        for (std::size_t j = 0; j <= i; ++j)
          weighed.update(examples[j].truth, examples[j].prediction,
                         examples[j].weight * std::pow(alpha, static_cast<double>(i - j)));
        RC_ASSERT(same(recent.value(), weighed.value()));
      }
    });
  });
}

TEST_CASE("the area over a window is that of all its pairs, exactly", "[metrics][property]") {
  check_property("for all windows and scores", [] {
    const auto n = static_cast<std::size_t>(1 + below(40));
    auto examples = score_examples(true);
    for (auto& one : examples) one.weight = 1;
    auto recent = sliding(n, RocAuc{});
    for (std::size_t i = 0; i < examples.size(); ++i) {
      recent.update(examples[i].truth, examples[i].prediction);
      const double naive = naive_area(examples, i + 1 - std::min(i + 1, n), i + 1);
      RC_ASSERT((std::isnan(naive) ? std::isnan(recent.value()) : recent.value() == naive));
    }
  });
}

TEST_CASE("the area in bounded memory is within its bound, and merging adds up bin by bin", "[metrics][property]") {
  check_property("for all scores and weights", [] {
    auto examples = score_examples(false);
    // Close together, so that bins hold several.
    for (auto& one : examples) one.prediction = 0.3 + one.prediction / 64;
    const auto area = fed(RocAuc{}, examples, 0, examples.size());
    const double naive = naive_area(examples, 0, examples.size());
    RC_ASSERT(std::isnan(area.value()) == std::isnan(naive));
    if (!std::isnan(naive)) RC_ASSERT(std::abs(area.value() - naive) <= area.error_bound() + 1e-12);
    const auto cut = examples.size() / 3;
    auto merged = fed(RocAuc{}, examples, 0, cut);
    merged.merge(fed(RocAuc{}, examples, cut, examples.size()));
    RC_ASSERT(same(merged.value(), area.value()));
  });
}
