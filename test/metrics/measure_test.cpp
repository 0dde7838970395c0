#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <tensair/metrics.hpp>
#include <tensair/pipeline.hpp>
#include <tensair/testing/cluster.hpp>

#include "catch.hpp"
#include "metrics/streams.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::metrics;
using namespace tensair::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// What a metric said after how many records.
auto values_of(const std::vector<Measurement>& all, const std::string& name) -> std::map<std::uint64_t, double> {
  std::map<std::uint64_t, double> values;
  for (const auto& one : all) {
    if (one.name == name) CHECK(values.emplace(one.index, one.value).second);
  }
  return values;
}

template <class M, class T>
auto over_all(M metric, const std::vector<T>& examples) -> double {
  for (const auto& one : examples) metric.update(one.truth, one.prediction);
  return metric.value();
}

/// A forecast of a sensor.
struct Forecast {
  int sensor = 0;
  double truth = 0, prediction = 0;
  std::int64_t microseconds = 0;
};

auto forecasts(int n) -> std::vector<Forecast> {
  std::vector<Forecast> all;
  for (int i = 0; i < n; ++i) all.push_back({i % 3, i * 0.5, i * 0.5 + i % 3 + 1, i * 10});
  return all;
}

auto time_of(const Forecast& one) -> EventTime {
  return EventTime{std::chrono::microseconds{one.microseconds}};
}

}  // namespace

TEST_CASE("measure emits what each metric says, every n records and for the rest at the end", "[metrics][measure]") {
  const auto stream = class_stream();
  const std::vector<Outcome<int>> some(stream.begin(), stream.begin() + 2'500);
  const auto all = result_of<Measurement>({}, [&](Pipeline& pipeline) {
    return pipeline.source(some).measure({.every = 1'000}, Accuracy{}, sliding(100, Kappa{})).collect();
  });
  REQUIRE(all.size() == 6);
  Accuracy accuracy;
  Kappa last;
  for (std::size_t i = 0; i < some.size(); ++i) {
    accuracy.update(some[i].truth, some[i].prediction);
    if (i >= 2'400) last.update(some[i].truth, some[i].prediction);
  }
  const auto accuracies = values_of(all, "accuracy"), kappas = values_of(all, "kappa (last 100)");
  REQUIRE(accuracies.size() == 3);
  CHECK(accuracies.count(1'000) == 1);
  CHECK(accuracies.count(2'000) == 1);
  CHECK(accuracies.at(2'500) == Approx(accuracy.value()));
  CHECK(kappas.at(2'500) == Approx(last.value()));
}

TEST_CASE("a measurement at the end is not said twice, and none is made of nothing", "[metrics][measure]") {
  for (const int n : {0, 1'000}) {
    const auto all = result_of<Measurement>({}, [&](Pipeline& pipeline) {
      return pipeline.source(numbers(n))
          .map([](int i) { return std::pair(i % 2, i % 3); })
          .measure({.every = 500}, Accuracy{})
          .collect();
    });
    CHECK(all.size() == static_cast<std::size_t>(n / 500));
  }
}

TEST_CASE("over all records of all nodes a metric has at the end the value of one node, wherever they come from",
          "[metrics][measure]") {
  const auto stream = class_stream();
  const double kappa = over_all(Kappa{}, stream), f1 = over_all(F1{}, stream);
  auto topologies_ = topologies();
  for (const auto& topology : topologies_) {
    INFO(topology.name());
    const auto all = result_of<Measurement>(topology, [&](Pipeline& pipeline) {
      return pipeline.source(SharedNumbers{metric_examples})
          .parallel(2)
          .map([&](int i) { return stream[static_cast<std::size_t>(i)]; })
          .measure({.every = 6'000}, Kappa{}, F1{})
          .collect();
    });
    const auto kappas = values_of(all, "kappa"), f1s = values_of(all, "f1 (macro)");
    REQUIRE(kappas.size() == 4);
    CHECK(kappas.at(metric_examples) == Approx(kappa));
    CHECK(f1s.at(metric_examples) == Approx(f1));
  }
}

TEST_CASE("a source on one node is measured in its order, on however many nodes", "[metrics][measure]") {
  const auto stream = class_stream();
  const double recent = over_all(sliding(500, KappaTemporal{}), stream);
  const double faded = over_all(fading(0.99, Kappa{}), stream);
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    const auto all = result_of<Measurement>(topology, [&](Pipeline& pipeline) {
      return pipeline.source(stream).measure({}, sliding(500, KappaTemporal{}), fading(0.99, Kappa{})).collect();
    });
    REQUIRE(all.size() == 2);
    CHECK(all[0].value == Approx(recent));
    CHECK(all[1].value == Approx(faded));
  }
}

TEST_CASE("a keyed stream is measured key by key", "[metrics][measure]") {
  const auto all_forecasts = forecasts(3'000);
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    const auto all = result_of<KeyValue<int, Measurement>>(topology, [&](Pipeline& pipeline) {
      return pipeline.source(all_forecasts)
          .key_by(&Forecast::sensor)
          .parallel(2)
          .measure({.every = 400}, MeanAbsoluteError{})
          .collect();
    });
    REQUIRE(all.size() == 9);  // of 3 keys, after 400, 800 and at the end 1,000
    for (const auto& [key, one] : all) {
      CHECK(one.value == Approx(key + 1));
      CHECK((one.index == 400 || one.index == 800 || one.index == 1'000));
    }
  }
}

TEST_CASE("with event time a measurement has the latest of its records, and no watermark goes ahead of it",
          "[metrics][measure][time]") {
  struct Watching {
    std::vector<Measurement>* all;
    bool* behind;
    EventTime now = beginning_of_time;
    void operator()(const Measurement& one, EventTime time) {
      *behind = *behind || time < now;
      all->push_back(one);
    }
    void watermark(EventTime time) { now = time; }
  };
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    std::vector<Measurement> all;
    bool behind = false;
    run(topology, [&](Pipeline& pipeline) {
      pipeline.source(forecasts(1'100))
          .assign_timestamps(time_of)
          .measure({.every = 500}, RootMeanSquaredError{})
          .sink(Watching{&all, &behind});
    });
    REQUIRE(all.size() == 3);
    CHECK(all[0].time == time_of({0, 0, 0, 499 * 10}));
    CHECK(all[2].time == time_of({0, 0, 0, 1'099 * 10}));
    CHECK(!behind);
  }
}

TEST_CASE("records weigh what their weight says", "[metrics][measure]") {
  struct Weighed {
    int truth, prediction;
    float weight;
  };
  const auto all = result_of<Measurement>({}, [](Pipeline& pipeline) {
    return pipeline.source(std::vector<Weighed>{{1, 1, 3}, {1, 0, 1}}).measure({}, Accuracy{}).collect();
  });
  REQUIRE(all.size() == 1);
  CHECK(all[0].value == Approx(0.75));
}

TEST_CASE("metrics of several values say each under its name", "[metrics][measure]") {
  const auto all = result_of<Measurement>({}, [](Pipeline& pipeline) {
    return pipeline.source(std::vector<std::pair<int, int>>{{0, 0}, {0, 2}, {2, 2}})
        .measure({}, F1{average::each_class}, sliding(2, ConfusionMatrix{}))
        .collect();
  });
  std::map<std::string, double> values;
  for (const auto& one : all) values.emplace(one.name, one.value);
  CHECK(values == std::map<std::string, double>{{"f1 of class 0", 2.0 / 3},
                                                {"f1 of class 2", 2.0 / 3},
                                                {"confusion 0 as 2 (last 2)", 1},
                                                {"confusion 2 as 2 (last 2)", 1}});
}

TEST_CASE("texts are measured, where they are views too", "[metrics][measure]") {
  for (const auto& topology : topologies()) {
    INFO(topology.name());
    const auto all = result_of<Measurement>(topology, [](Pipeline& pipeline) {
      return pipeline.source(std::vector<std::string>{"rose rose", "rose tulip", "tulip tulip", "tulip tulip"})
          .map([](const std::string& line) {
            const auto text = std::string_view(line);
            const auto cut = text.find(' ');
            return std::pair(text.substr(0, cut), text.substr(cut + 1));
          })
          .measure({}, Accuracy{})
          .collect();
    });
    REQUIRE(all.size() == 1);
    CHECK(all[0].value == Approx(0.75));
  }
}

TEST_CASE("a record that a metric refuses stops the pipeline, or is skipped if it may be", "[metrics][measure]") {
  const std::vector<std::pair<double, double>> some{{1, 2}, {1, std::nan("")}, {1, 2}};
  CHECK_THROWS_WITH(
      run({}, [&](Pipeline& pipeline) { pipeline.source(some).measure({}, MeanAbsoluteError{}).collect(); }),
      ContainsSubstring("measure") && ContainsSubstring("not a finite number"));
  const auto all = result_of<Measurement>({}, [&](Pipeline& pipeline) {
    return pipeline.source(some).measure({}, MeanAbsoluteError{}).on_error(skip).collect();
  });
  REQUIRE(all.size() == 1);
  CHECK(all[0].index == 2);
  CHECK(all[0].value == 1);
}

namespace {

/// A metric of one's own that has no value after three records.
class Shy {
 public:
  void update(int, int) { ++records_; }
  void reset() { records_ = 0; }
  auto name() const -> std::string { return "shy"; }
  auto value() const -> double {
    if (records_ == 3) throw std::runtime_error("three are too many");
    return records_;
  }

 private:
  int records_ = 0;
};

}  // namespace

TEST_CASE("a metric that cannot say its value stops the pipeline by its operator's name", "[metrics][measure]") {
  const auto measured = [](int records, std::uint64_t every, bool skips) {
    return result_of<Measurement>({}, [&](Pipeline& pipeline) {
      auto measurements = pipeline.source(std::vector<std::pair<int, int>>(static_cast<std::size_t>(records), {1, 1}))
                              .measure({.every = every}, Accuracy{}, Shy{});
      return skips ? std::move(measurements).on_error(skip).collect() : std::move(measurements).collect();
    });
  };
  for (const std::uint64_t every : {1U, 100U}) {  // in the midst, and at the end
    INFO(every);
    CHECK_THROWS_WITH(measured(3, every, false),
                      ContainsSubstring("measure") && ContainsSubstring("three are too many"));
  }
  const auto all = measured(4, 1, true);
  REQUIRE(all.size() == 6);  // of two metrics, for records 1, 2 and 4
  CHECK(all.back().index == 4);
  CHECK(all.back().value == 4);
}

TEST_CASE("measurements are a stream like any other: what follows sees a drift", "[metrics][measure]") {
  const auto all = result_of<std::uint64_t>({}, [](Pipeline& pipeline) {
    return pipeline.source(numbers(10'000))
        .map([](int i) { return std::pair(0, i < 5'000 ? 0 : i % 2); })
        .measure({.every = 10}, sliding(50, Accuracy{}))
        .filter([](const Measurement& one) { return one.value < 0.8; })
        .map([](const Measurement& one) { return one.index; })
        .collect();
  });
  REQUIRE(!all.empty());
  // 20 of 50 in error need 30 more records: 10 wrong leave 0.8, which is not less.
  CHECK(all.front() == 5'030);
}

TEST_CASE("measure in a loop is refused before anything starts", "[metrics][measure]") {
  CHECK_THROWS_WITH(run({},
                        [](Pipeline& pipeline) {
                          pipeline.source(std::vector<std::pair<int, int>>{{1, 1}})
                              .iterate([](auto loop) {
                                auto rest = loop.filter([](const auto&) { return false; });
                                return Iteration{std::move(rest), loop.measure({}, Accuracy{})};
                              })
                              .sink([](const auto&) {});
                        }),
                    ContainsSubstring("measure in a loop"));
}
