#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <tensair/error.hpp>
#include <tensair/metrics.hpp>
#include <tensair/net/bytes.hpp>

#include "catch.hpp"

using namespace tensair;
using namespace tensair::metrics;
using Catch::Matchers::ContainsSubstring;

namespace {

enum class Flower { rose, tulip };

template <class M, class T>
auto fed(M metric, const std::vector<std::pair<T, T>>& examples) -> M {
  for (const auto& [truth, said] : examples) metric.update(truth, said);
  return metric;
}

using Classes = std::vector<std::pair<int, int>>;
using Numbers = std::vector<std::pair<double, double>>;

const double infinity = std::numeric_limits<double>::infinity();
const double no_number = std::numeric_limits<double>::quiet_NaN();

/// The same to the last bit, or both undefined.
auto same(double a, double b) -> bool {
  return a == b || (std::isnan(a) && std::isnan(b));
}
auto same(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b) -> bool {
  return a == b;
}

/// As after a way to another node.
template <class M>
auto sent(const M& metric) -> M {
  return net::from_bytes<M>(net::to_bytes(metric));
}

/// The example of Cohen's kappa that Wikipedia works out: two readers, 50 proposals, kappa = 0.4.
const Classes readers = [] {
  Classes all;
  const auto add = [&](int n, int a, int b) { all.insert(all.end(), static_cast<std::size_t>(n), {a, b}); };
  add(20, 1, 1);
  add(5, 1, 0);
  add(10, 0, 1);
  add(15, 0, 0);
  return all;
}();

}  // namespace

TEST_CASE("kappa of a known table is the known one", "[metrics]") {
  CHECK(fed(Kappa{}, readers).value() == Approx(0.4));
  CHECK(fed(Accuracy{}, readers).value() == Approx(0.7));
}

TEST_CASE("kappa is 0 for who says one class always, and -1 for who says two the wrong way round", "[metrics]") {
  CHECK(fed(Kappa{}, Classes{{0, 0}, {0, 0}, {1, 0}, {2, 0}}).value() == Approx(0));
  CHECK(fed(Kappa{}, Classes{{0, 1}, {1, 0}}).value() == Approx(-1));
}

TEST_CASE("kappa-temporal is 0 for who says what was true last, and less for who is worse", "[metrics]") {
  const std::vector<int> truths{0, 0, 0, 1, 1, 0, 2, 2, 2, 2};
  KappaTemporal last, right, worse;
  int before = 5;
  for (const int truth : truths) {
    last.update(truth, before);
    right.update(truth, truth);
    worse.update(truth, 9);
    before = truth;
  }
  CHECK(last.value() == Approx(0));
  CHECK(right.value() == Approx(1));
  // Of 9 pairs 3 change: q = 6/9, p = 0.
  CHECK(worse.value() == Approx((0 - 6.0 / 9) / (1 - 6.0 / 9)));
}

TEST_CASE("precision, recall and F1 of a small table are those worked out by hand", "[metrics]") {
  // Class 0: true 3 times, predicted 3 times, 2 hits. Class 1: 2, 1, 1. Class 2: 1, 2, 0.
  const Classes table{{0, 0}, {0, 0}, {0, 2}, {1, 1}, {1, 2}, {2, 0}};
  CHECK(fed(Precision{}, table).of(0) == Approx(2.0 / 3));
  CHECK(fed(Recall{}, table).of(0) == Approx(2.0 / 3));
  CHECK(fed(Precision{}, table).value() == Approx((2.0 / 3 + 1 + 0) / 3));
  CHECK(fed(Recall{}, table).value() == Approx((2.0 / 3 + 0.5 + 0) / 3));
  CHECK(fed(F1{}, table).value() == Approx((2.0 / 3 + 2.0 / 3 + 0) / 3));
  CHECK(fed(F1{average::weighted}, table).value() == Approx((3 * 2.0 / 3 + 2 * 2.0 / 3 + 1 * 0) / 6));
  CHECK(fed(F1{average::micro}, table).value() == Approx(0.5));
  CHECK(fed(F1::of_class(1), table).value() == Approx(2.0 / 3));
}

TEST_CASE("an example of weight w counts as w examples do", "[metrics]") {
  const auto check = [](auto metric, auto truth, auto said, auto other_truth, auto other_said) {
    auto weighted = metric;
    for (int i = 0; i < 3; ++i) metric.update(truth, said);
    metric.update(other_truth, other_said);
    weighted.update(truth, said, 3);
    weighted.update(other_truth, other_said, 1);
    INFO(metric.name());
    CHECK(weighted.value() == Approx(metric.value()));
  };
  check(Accuracy{}, 1, 1, 0, 1);
  check(Kappa{}, 1, 1, 0, 1);
  check(F1{}, 1, 1, 0, 1);
  check(Precision{average::weighted}, 1, 1, 0, 1);
  check(LogLoss{}, 1, 0.8, 0, 0.3);
  check(MeanAbsoluteError{}, 1.0, 2.0, 3.0, 3.5);
  check(RootMeanSquaredError{}, 1.0, 2.0, 3.0, 3.5);
  check(R2{}, 1.0, 2.0, 3.0, 3.5);
  check(RocAuc{}, 1, 0.4, 0, 0.4);
}

TEST_CASE("before the first example every metric is undefined, and says so by NaN", "[metrics]") {
  const auto check = [](const auto& metric) {
    INFO(metric.name());
    CHECK(std::isnan(metric.value()));
    CHECK(std::isnan(sliding(3, metric).value()));
    CHECK(std::isnan(fading(0.9, metric).value()));
  };
  check(Accuracy{});
  check(Kappa{});
  check(KappaTemporal{});
  check(Precision{});
  check(Recall{average::micro});
  check(F1{average::weighted});
  check(F1::of_class(3));
  check(LogLoss{});
  check(MeanAbsoluteError{});
  check(MeanSquaredError{});
  check(RootMeanSquaredError{});
  check(R2{});
  check(RocAuc{});
  CHECK(ConfusionMatrix{}.value().empty());
}

TEST_CASE("with one class only, kappas and the area are undefined, and the others are not", "[metrics]") {
  const Classes one(10, {3, 3});
  CHECK(std::isnan(fed(Kappa{}, one).value()));
  CHECK(std::isnan(fed(fading(0.9, Kappa{}), one).value()));
  CHECK(std::isnan(fed(KappaTemporal{}, one).value()));
  CHECK(fed(Accuracy{}, one).value() == 1);
  CHECK(fed(F1{}, one).value() == 1);
  CHECK(fed(Recall{}, one).of(3) == 1);
  CHECK(std::isnan(fed(Recall{}, one).of(2)));  // never true
  RocAuc area;
  auto recent = sliding(5, RocAuc{});
  for (int i = 0; i < 10; ++i) {
    area.update(1, 0.1 * i);
    recent.update(1, 0.1 * i);
  }
  CHECK(std::isnan(area.value()));
  CHECK(std::isnan(recent.value()));
}

TEST_CASE("a window that has become one of one class only is undefined again, and comes back", "[metrics]") {
  auto area = sliding(3, RocAuc{});
  auto kappa = sliding(3, Kappa{});
  for (const int truth : {0, 1, 1, 1}) {
    area.update(truth, truth * 0.5);
    kappa.update(truth, truth);
  }
  CHECK(std::isnan(area.value()));
  CHECK(std::isnan(kappa.value()));
  area.update(0, 0.9);
  kappa.update(0, 0);
  CHECK(area.value() == 0);
  CHECK(kappa.value() == Approx(1));
}

TEST_CASE("of truths that are all the same R² is undefined, even where rounding would tell them apart", "[metrics]") {
  CHECK(std::isnan(fed(R2{}, Numbers(100, {0.1, 0.2})).value()));
  CHECK(std::isnan(fed(sliding(7, R2{}), Numbers(100, {0.1, 0.2})).value()));
}

TEST_CASE("R² of truths far from zero is not lost to rounding", "[metrics]") {
  // Truths 1e9 and 1e9 + 1, predictions a quarter above: 1 - (1/16) / (1/4).
  Numbers far;
  for (int i = 0; i < 1'000; ++i) far.emplace_back(1e9 + i % 2, 1e9 + i % 2 + 0.25);
  CHECK(fed(R2{}, far).value() == Approx(0.75).epsilon(1e-12));
  CHECK(fed(sliding(100, R2{}), far).value() == Approx(0.75).epsilon(1e-8));  // of each value's own digits
}

TEST_CASE("an enormous error leaves nothing behind in a window when it has gone", "[metrics]") {
  auto recent = sliding(4, RootMeanSquaredError{});
  auto counts = sliding(4, Kappa{});
  recent.update(0.0, 1e100);
  counts.update(5, 6, 1e9);
  for (int i = 0; i < 4; ++i) recent.update(1.0, 1.5);
  for (int i = 0; i < 8; ++i) counts.update(i % 2, i % 4 == 3 ? 0 : i % 2, 0.1);
  CHECK(recent.value() == 0.5);
  // Of the last four one is wrong: p = 3/4, c = 1/2.
  CHECK(counts.value() == Approx(0.5));
}

TEST_CASE("log loss of a sure and wrong model is bounded", "[metrics]") {
  LogLoss loss;
  loss.update(1, 0.0);
  CHECK(loss.value() == Approx(52 * std::log(2)));
  LogLoss of_three;
  of_three.update(2, std::array<float, 3>{0.5F, 0.25F, 0.25F});
  CHECK(of_three.value() == Approx(std::log(4)));
}

TEST_CASE("the area of few examples is that of the pairs counted by hand", "[metrics]") {
  // 1: 0.9, 0.4, 0.4; 0: 0.4, 0.1. Pairs: 0.9 wins twice, each 0.4 once and a half: (2 + 3) / 6.
  const std::vector<std::pair<bool, double>> examples{
      {true, 0.9}, {true, 0.4}, {true, 0.4}, {false, 0.4}, {false, 0.1}};
  RocAuc area;
  auto window = sliding(5, RocAuc{});
  window.update(true, 0.0);  // goes
  for (const auto& [truth, score] : examples) {
    area.update(truth, score);
    window.update(truth, score);
  }
  CHECK(area.value() == Approx(5.0 / 6));
  CHECK(window.value() == Approx(5.0 / 6));
  // Only the three at 0.4 share a bin.
  CHECK(area.error_bound() == Approx(2.0 / 6 / 2));
}

TEST_CASE("scores near 0 and near 1 are told apart, to the last digit of a float", "[metrics]") {
  RocAuc area;
  for (int k = 3; k < 24; ++k) {
    area.update(0, std::ldexp(1.0, -k));
    area.update(1, std::ldexp(1.5, -k));
    area.update(0, 1 - std::ldexp(1.5, -k));
    area.update(1, 1 - std::ldexp(1.0, -k));
  }
  CHECK(area.error_bound() == 0);
}

TEST_CASE("what cannot be measured is refused, with what to do", "[metrics]") {
  CHECK_THROWS_WITH(Kappa{}.update(-1, 0), ContainsSubstring("class -1") && ContainsSubstring("whole numbers from 0"));
  CHECK_THROWS_WITH(Kappa{}.update(0, 1 << 20), ContainsSubstring("class 1048576"));
  CHECK_THROWS_WITH(ConfusionMatrix{}.update(0, 5'000), ContainsSubstring("5001 classes"));
  CHECK_THROWS_WITH(RocAuc{}.update(2, 0.5), ContainsSubstring("class 2 among two"));
  CHECK_THROWS_WITH(RocAuc{}.update(1, 1.5), ContainsSubstring("not from 0 to 1") && ContainsSubstring("sigmoid"));
  CHECK_THROWS_WITH(RocAuc{}.update(1, no_number), ContainsSubstring("not from 0 to 1"));
  CHECK_THROWS_WITH(sliding(3, RocAuc{}).update(1, no_number), ContainsSubstring("not a finite number"));
  CHECK_THROWS_WITH(sliding(3, RocAuc{}).update(1, 0.5, 2.0), ContainsSubstring("takes no weights"));
  CHECK_THROWS_WITH(LogLoss{}.update(1, -0.1), ContainsSubstring("not from 0 to 1") && ContainsSubstring("softmax"));
  CHECK_THROWS_WITH(LogLoss{}.update(2, 0.1), ContainsSubstring("probabilities of 2 classes only"));
  CHECK_THROWS_WITH(LogLoss{}.update(3, std::vector{0.5, 0.5}), ContainsSubstring("class 3"));
  CHECK_THROWS_WITH(MeanAbsoluteError{}.update(no_number, 0.0), ContainsSubstring("not a finite number"));
  CHECK_THROWS_WITH(RootMeanSquaredError{}.update(infinity, infinity), ContainsSubstring("not a finite number"));
  CHECK_THROWS_WITH(R2{}.update(1.0, infinity), ContainsSubstring("not a finite number"));
  CHECK_THROWS_WITH(Accuracy{}.update(1, 1, -1.0), ContainsSubstring("weight"));
  CHECK_THROWS_WITH(Accuracy{}.update(1, 1, no_number), ContainsSubstring("weight"));
  CHECK_THROWS_WITH(sliding(3, Kappa{}).update(1, 1, 1e10), ContainsSubstring("weight") && ContainsSubstring("divide"));
  CHECK_THROWS_AS(sliding(0, Kappa{}), UsageError);
  CHECK_THROWS_AS(sliding(0, Accuracy{}), UsageError);
  CHECK_THROWS_AS(sliding(0, RocAuc{}), UsageError);
  CHECK_THROWS_AS(fading(0.0, Kappa{}), UsageError);
  CHECK_THROWS_AS(fading(1.1, Kappa{}), UsageError);
  CHECK_THROWS_AS(fading(no_number, Kappa{}), UsageError);
}

TEST_CASE("what was refused has changed nothing", "[metrics]") {
  auto kappa = fed(sliding(60, Kappa{}), readers);
  auto error = fed(R2{}, Numbers{{1, 2}, {3, 3}});
  const double before = kappa.value(), r2 = error.value();
  CHECK_THROWS(kappa.update(1, -1));
  CHECK_THROWS(error.update(5.0, no_number));
  CHECK(kappa.value() == before);
  CHECK(error.value() == r2);
}

TEST_CASE("classes may be numbers of any type, enumerations or bool, and for accuracy whatever has ==", "[metrics]") {
  Kappa kappa;
  kappa.update(Flower::tulip, Flower::rose);
  kappa.update(true, std::uint8_t{1});
  CHECK(kappa.counts().of(1).hits == 1);
  Accuracy accuracy;
  accuracy.update(std::string("rose"), "rose");
  CHECK(accuracy.value() == 1);
}

TEST_CASE("a confusion matrix grows with its classes and keeps its counts", "[metrics]") {
  ConfusionMatrix matrix;
  for (int k = 0; k < 100; ++k) {
    matrix.update(k, k / 2);
    matrix.update(k, k / 2);
  }
  REQUIRE(matrix.classes() == 100);
  const auto rows = matrix.value();
  double others = 0;
  for (int k = 0; k < 100; ++k) {
    CHECK(rows[static_cast<std::size_t>(k)][static_cast<std::size_t>(k / 2)] == 2);
    for (const double count : rows[static_cast<std::size_t>(k)]) others += count;
  }
  CHECK(others == 200);
  CHECK(matrix.count(500, 3) == 0);
}

TEST_CASE("reset forgets the examples and keeps the settings", "[metrics]") {
  auto f1 = fed(sliding(10, F1::of_class(1)), readers);
  f1.reset();
  CHECK(std::isnan(f1.value()));
  CHECK(f1.name() == "f1 of class 1 (last 10)");
  f1.update(1, 1);
  CHECK(f1.value() == 1);
  auto faded = fed(fading(0.5, Accuracy{}), readers);
  faded.reset();
  faded.update(1, 1);
  faded.update(1, 0);
  CHECK(faded.value() == Approx(0.5 / 1.5));
}

TEST_CASE("a metric of a prediction's part is that of the part", "[metrics]") {
  auto area = of(ProbabilityOf{2}, sliding(10, RocAuc{}));
  auto kappa = of(most_likely, Kappa{});
  const std::vector<double> first{0.2, 0.1, 0.7}, second{0.6, 0.3, 0.1};
  kappa.update(2, first);
  kappa.update(0, second);
  area.update(true, first);
  area.update(false, second);
  CHECK(kappa.value() == Approx(1));
  CHECK(area.value() == 1);
  CHECK(area.name() == "roc auc (last 10)");
  CHECK_THROWS_WITH(of(ProbabilityOf{7}, RocAuc{}).update(true, first), ContainsSubstring("no probability of class 7"));
}

TEST_CASE("a metric that has crossed to another node goes on as it would have", "[metrics]") {
  const auto check = [](auto metric, const auto& examples) {
    for (const auto& [truth, said] : examples) metric.update(truth, said);
    auto there = sent(metric);
    INFO(metric.name());
    CHECK(there.name() == metric.name());
    for (const auto& [truth, said] : examples) {
      there.update(truth, said);
      metric.update(truth, said);
      CHECK(same(there.value(), metric.value()));
    }
  };
  const std::vector<std::pair<int, double>> scores{{0, 0.1}, {1, 0.7}, {0, 0.8}, {1, 0.2}, {1, 0.9}, {0, 0.8}};
  const Numbers numbers{{1, 2}, {2, 2}, {3, 2}, {5, 4}};
  check(Accuracy{}, readers);
  check(Kappa{}, readers);
  check(KappaTemporal{}, readers);
  check(ConfusionMatrix{}, readers);
  check(F1::of_class(1), readers);
  check(Precision{average::weighted}, readers);
  check(sliding(7, Kappa{}), readers);
  check(sliding(7, Accuracy{}), readers);
  check(sliding(7, KappaTemporal{}), readers);
  check(fading(0.9, Kappa{}), readers);
  check(RocAuc{}, scores);
  check(sliding(4, RocAuc{}), scores);
  check(fading(0.9, RocAuc{}), scores);
  check(LogLoss{}, scores);
  check(R2{}, numbers);
  check(sliding(3, R2{}), numbers);
  check(RootMeanSquaredError{}, numbers);
}
