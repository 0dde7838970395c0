// What an update of each metric costs, in nanoseconds of the processor's time.
//
//   metrics [--json FILE] [--quick] [--examples N] [--repetitions N]

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <tensair/metrics.hpp>
#include <tensair/pipeline.hpp>
#include <vector>

#include "report.hpp"
#include "seconds.hpp"
#include "statistics.hpp"

namespace {

using namespace tensair::metrics;

struct ClassPair {
  std::int32_t truth, prediction;
};
struct ScorePair {
  bool truth;
  double prediction;
};
struct NumberPair {
  double truth, prediction;
};

/// Numbers that the processor cannot foresee (Marsaglia's xorshift).
class Random {
 public:
  auto operator()(std::uint64_t below) -> std::uint64_t {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return (state_ >> 20) % below;
  }
  auto unit() -> double { return static_cast<double>((*this)(1'000'000)) / 1e6; }

 private:
  std::uint64_t state_ = 88172645463325252;
};

struct Examples {
  std::vector<ClassPair> classes;
  std::vector<ScorePair> scores;
  std::vector<NumberPair> numbers;

  explicit Examples(std::size_t n) {
    Random random;
    for (std::size_t i = 0; i < n; ++i) {
      const auto truth = static_cast<std::int32_t>(random(10));
      classes.push_back({truth, random(10) < 7 ? truth : static_cast<std::int32_t>(random(10))});
      const bool positive = random(5) == 0;
      scores.push_back({positive, (random.unit() + (positive ? 0.5 : 0)) / 1.5});
      const double number = random.unit() * 100;
      numbers.push_back({number, number + random.unit() - 0.5});
    }
  }
};

// Not inlined, so that each is measured as one loop of its own.
template <class T, class M>
[[gnu::noinline]] auto feed(const std::vector<T>& examples, M metric) -> double {
  for (const auto& one : examples) metric.update(one.truth, one.prediction);
  return metric.value();
}

/// The least that has to be done: read a pair, compare it, and count.
[[gnu::noinline]] auto by_hand(const std::vector<ClassPair>& examples) -> double {
  double right = 0, all = 0;
  for (const auto& one : examples) {
    right += one.truth == one.prediction ? 1 : 0;
    all += 1;
  }
  return right / all;
}

class Bench {
 public:
  Bench(std::size_t n, int repetitions) : n_(n), repetitions_(repetitions) {}

  /// Nanoseconds of an update.
  template <class Run>
  auto measure(Run run) const -> double {
    std::vector<double> times;
    for (int i = 0; i < repetitions_; ++i) {
      const auto start = bench::cpu_seconds();
      const double value = run();
      times.push_back((bench::cpu_seconds() - start) / static_cast<double>(n_) * 1e9);
      if (std::isnan(value)) throw tensair::Error("a metric is not defined");
    }
    return bench::median(times);
  }

  /// Rows of a metric: over all, in a window of 1,000, fading. @return  whether it is within its bounds
  template <class T, class M>
  auto rows(std::vector<bench::Row>& rows, const std::vector<T>& examples, const M& metric, double most,
            double most_sliding) const -> bool {
    const double all = measure([&] { return feed(examples, metric); });
    const double recent = measure([&] { return feed(examples, sliding(1'000, metric)); });
    const double faded = measure([&] { return feed(examples, fading(0.999, metric)); });
    rows.push_back({metric.name(), all});
    rows.push_back({metric.name() + ", sliding", recent});
    rows.push_back({metric.name() + ", fading", faded});
    return all <= most && recent <= most_sliding;
  }

 private:
  std::size_t n_;
  int repetitions_;
};

void run(std::size_t n, int repetitions, const std::filesystem::path& json) {
  const Examples examples(n);
  const Bench bench(n, repetitions);
  const double none = std::numeric_limits<double>::infinity();
  bench::Report report;

  std::vector<bench::Row> rows;
  const double hand = bench.measure([&] { return by_hand(examples.classes); });
  rows.push_back({"limit", hand, {}, "accuracy by hand (the limit)"});
  bool met = bench.rows(rows, examples.classes, Accuracy{}, 10, 15);
  met = bench.rows(rows, examples.classes, Kappa{}, 10, 15) && met;
  bench.rows(rows, examples.classes, KappaTemporal{}, none, none);
  bench.rows(rows, examples.classes, F1{}, none, none);
  bench.rows(rows, examples.scores, LogLoss{}, none, none);
  bench.rows(rows, examples.numbers, MeanAbsoluteError{}, none, none);
  met = bench.rows(rows, examples.numbers, RootMeanSquaredError{}, 10, 15) && met;
  bench.rows(rows, examples.numbers, R2{}, none, none);
  rows.push_back({"confusion", bench.measure([&] {
                    ConfusionMatrix matrix;
                    for (const auto& one : examples.classes) matrix.update(one.truth, one.prediction);
                    return matrix.count(0, 0);
                  })});
  report.table(fmt::format("an update; {} examples of 10 classes, or numbers; windows of 1,000", n), "ns", rows);
  report.note("required: accuracy, kappa, root mean squared error at most 10 ns, sliding at most 15: {}",
              met ? "met" : "not met");
  report.end_of_section();

  std::vector<bench::Row> areas{{"all, in bins", bench.measure([&] { return feed(examples.scores, RocAuc{}); })}};
  for (const std::size_t window : {100, 1'000, 10'000, 100'000})
    areas.push_back({fmt::format("last {}, exact", window),
                     bench.measure([&] { return feed(examples.scores, sliding(window, RocAuc{})); })});
  report.table("an update of the area under the curve", "ns", areas);
  report.end_of_section();

  const double streamed = bench.measure([&] {
    double value = 0;
    tensair::Pipeline pipeline;
    pipeline
        .source([&, i = std::size_t{0}]() mutable -> std::optional<std::pair<int, int>> {
          if (i == examples.classes.size()) return std::nullopt;
          const auto& one = examples.classes[i++];
          return std::pair<int, int>(one.truth, one.prediction);
        })
        .measure({.every = 10'000}, Accuracy{}, sliding(1'000, Kappa{}))
        .sink([&](const tensair::Measurement& one) { value = one.value; });
    pipeline.execute();
    return value;
  });
  report.table("a record of stream.measure(accuracy, sliding kappa)", "ns", {{"tensair", streamed}});
  if (!json.empty()) report.write(json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What metrics cost."};
  std::filesystem::path json;
  std::size_t examples = 2'000'000;
  int repetitions = 7;
  bool quick = false;
  app.add_option("--json", json, "where to write the rows");
  app.add_option("--examples", examples, "how many");
  app.add_option("--repetitions", repetitions, "how often each runs");
  app.add_flag("--quick", quick, "a few seconds");
  CLI11_PARSE(app, argc, argv);
  if (quick) {
    examples = std::min<std::size_t>(examples, 300'000);
    repetitions = std::min(repetitions, 3);
  }
  try {
    run(examples, repetitions, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "metrics: {}\n", error.what());
    return 1;
  }
}
