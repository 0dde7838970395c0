#include <cmath>
#include <limits>
#include <random>
#include <tensair/drift/detectors.hpp>
#include <tensair/net/bytes.hpp>

#include "catch.hpp"
#include "support/golden.hpp"

// What holds for every detector.

using namespace tensair;
using namespace tensair::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Errors: so many with one rate, then with another, and so on.
auto errors(std::initializer_list<std::pair<int, double>> parts, unsigned seed = 1) -> std::vector<double> {
  std::vector<double> all;
  auto random = std::mt19937{seed};
  for (const auto& [n, rate] : parts) {
    for (int i = 0; i < n; ++i) all.push_back(static_cast<double>(random()) < rate * 4294967296.0 ? 1 : 0);
  }
  return all;
}

template <class Check>
void for_each(Check&& check) {
  drift::for_each_detector([&](auto parameters) {
    using D = typename decltype(parameters)::Detector;
    static_assert(drift::Detector<D>);
    INFO(D::name);
    check(D{parameters});
  });
}

}  // namespace

TEST_CASE("every detector sees errors become many", "[drift]") {
  const auto values = errors({{2'000, 0.1}, {2'000, 0.7}});
  for_each([&](auto detector) {
    const auto drifts = signals_of(detector, values).drifts;
    CHECK(std::any_of(drifts.begin(), drifts.end(), [](auto at) { return at > 2'000 && at < 3'000; }));
  });
}

TEST_CASE("a detector copied in the middle goes on as the first does", "[drift]") {
  const auto values = errors({{1'000, 0.2}, {500, 0.5}, {1'000, 0.1}, {500, 0.6}});
  for_each([&](auto detector) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i % 701 == 0) {
        auto copy = detector;
        CHECK(signals_of(copy, values) == signals_of(detector, values));
      }
      detector.update(values[i]);
    }
  });
}

TEST_CASE("a detector restored from a state goes on as the one that wrote it", "[drift]") {
  const auto values = errors({{1'000, 0.2}, {500, 0.5}, {1'000, 0.1}, {500, 0.6}});
  for_each([&](auto detector) {
    using D = decltype(detector);
    // In the middle of a window, and at a drift.
    bool at_drift = false;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto level = detector.update(values[i]);
      if (i % 701 != 700 && (level != DriftLevel::drift || std::exchange(at_drift, true))) continue;
      const auto copy = net::from_bytes<D>(net::to_bytes(detector));
      CHECK(copy.count() == detector.count());
      CHECK(copy.estimate() == Approx(detector.estimate()));
      CHECK(copy.statistic() == detector.statistic());
      CHECK(signals_of(copy, values) == signals_of(detector, values));
    }
    CHECK(at_drift);
  });
}

TEST_CASE("reset forgets all values", "[drift]") {
  const auto values = errors({{700, 0.2}, {700, 0.6}});
  for_each([&](auto detector) {
    const auto expected = signals_of(detector, values);
    for (const double value : errors({{333, 0.9}})) detector.update(value);
    detector.reset();
    CHECK(detector.count() == 0);
    CHECK(detector.estimate() == 0);
    CHECK(detector.statistic() == 0);
    CHECK(signals_of(detector, values) == expected);
  });
}

TEST_CASE("a state of another detector is refused", "[drift]") {
  const auto state = net::to_bytes(drift::Ddm{});
  for_each([&](auto detector) {
    using D = decltype(detector);
    if constexpr (!std::same_as<D, drift::Ddm>) {
      CHECK_THROWS_AS(net::from_bytes<D>(state), drift::BadState);
      CHECK_THROWS_WITH(net::from_bytes<D>(state), ContainsSubstring("«ddm», version 1") &&
                                                       ContainsSubstring(std::string{D::name} + ", version 1"));
    }
  });
}

TEST_CASE("a state of another version is refused", "[drift]") {
  for_each([&](auto detector) {
    using D = decltype(detector);
    const auto state = net::to_bytes(std::pair{std::string{D::name}, std::uint32_t{7}});
    CHECK_THROWS_AS(net::from_bytes<D>(state), drift::BadState);
    CHECK_THROWS_WITH(net::from_bytes<D>(state), ContainsSubstring("version 7"));
  });
}

TEST_CASE("a damaged state is refused, or is one that works", "[drift]") {
  const auto values = errors({{300, 0.2}, {300, 0.6}});
  for_each([&](auto detector) {
    using D = decltype(detector);
    for (const double value : values) detector.update(value);
    const auto state = net::to_bytes(detector);
    auto random = std::mt19937{3};
    for (int i = 0; i < 300; ++i) {
      auto damaged = state;
      damaged[random() % std::min<std::size_t>(damaged.size(), 400)] = static_cast<char>(random() & 0xffU);
      if (i % 3 == 0) damaged.resize(random() % damaged.size());
      try {
        auto copy = net::from_bytes<D>(damaged);
        // Reads and writes nothing that is not its own: the sanitizers see to that.
        for (int k = 0; k < 200; ++k) copy.update(values[static_cast<std::size_t>(k)]);
      } catch (const Error&) {
        continue;
      }
    }
    CHECK(signals_of(net::from_bytes<D>(state), values) == signals_of(detector, values));
  });
}

TEST_CASE("what is not a number is refused, and the detector goes on", "[drift]") {
  const auto values = errors({{1'000, 0.2}, {1'000, 0.7}});
  for_each([&](auto detector) {
    using D = decltype(detector);
    const auto expected = signals_of(detector, values);
    Signals found;
    for (std::uint64_t i = 0; i < values.size(); ++i) {
      for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e200}) {
        if (i % 100 == 50) CHECK_THROWS_AS(detector.update(bad), drift::BadValue);
      }
      const auto level = detector.update(values[i]);
      if (level == DriftLevel::drift) found.drifts.push_back(i + 1);
      if (level == DriftLevel::warning) found.warnings.push_back(i + 1);
    }
    CHECK(found == expected);
    CHECK_THROWS_WITH(detector.update(std::nan("")), ContainsSubstring(std::string{D::name}));
  });
}

TEST_CASE("detectors of errors refuse what is not between 0 and 1", "[drift]") {
  const auto refuses = [](auto detector, double value) {
    CHECK_THROWS_WITH(detector.update(value), ContainsSubstring("0 (right), 1 (wrong)"));
  };
  for (const double value : {-0.001, 1.001, 17.0}) {
    refuses(drift::Ddm{}, value);
    refuses(drift::Ecdd{}, value);
    refuses(drift::Eddm{}, value);
    refuses(drift::HddmA{}, value);
    refuses(drift::HddmW{}, value);
    refuses(drift::Rddm{}, value);
    refuses(drift::Stepd{}, value);
  }
}

TEST_CASE("a stream of constants never drifts, but for STEPD as MOA has it", "[drift]") {
  for (const double constant : {0.0, 1.0, 0.1, 0.3}) {
    const auto values = std::vector<double>(30'000, constant);
    for_each([&](auto detector) {
      INFO(constant);
      if constexpr (std::same_as<decltype(detector), drift::Stepd>) {
        if (constant == 0 || constant == 1) {
          CHECK(signals_of(drift::Stepd{{.as_moa = false}}, values).drifts.empty());
          CHECK(signals_of(detector, values).drifts.size() == 500);
        }
      } else {
        CHECK(signals_of(detector, values).drifts.empty());
      }
    });
  }
}

TEST_CASE("detectors of any number do not drift on a constant far from 0", "[drift]") {
  for (const double constant : {1e6, -12345.678, 1e100}) {
    const auto values = std::vector<double>(30'000, constant);
    INFO(constant);
    // ADWIN's bound is meant for numbers up to 1: far from it, what sums round off is more.
    if (constant < 1e7) CHECK(signals_of(drift::Adwin{}, values).drifts.empty());
    CHECK(signals_of(drift::Kswin{}, values).drifts.empty());
    CHECK(signals_of(drift::Optwin{{.max_window = 3'000}}, values).drifts.empty());
  }
}

TEST_CASE("a parameter outside its range is refused and named", "[drift]") {
  CHECK_THROWS_AS(drift::Adwin{{.delta = 0}}, UsageError);
  CHECK_THROWS_WITH(drift::Adwin{{.delta = std::nan("")}}, ContainsSubstring("delta cannot be nan"));
  CHECK_THROWS_WITH(drift::Ddm{{.min_values = -1}},
                    ContainsSubstring("min_values cannot be -1 (ddm). Give 0 or more."));
  CHECK_THROWS_WITH(drift::Ecdd{{.run_length = 200}}, ContainsSubstring("100, 400 or 1000"));
  CHECK_THROWS_AS((drift::Optwin{{.min_window = 50, .max_window = 40}}), UsageError);
  CHECK_THROWS_AS((drift::Kswin{{.window = 50, .recent = 30}}), UsageError);
  CHECK_THROWS_AS(drift::Stepd{{.window = 0}}, UsageError);
}

TEST_CASE("ADWIN signals a mean that falls if it is asked to", "[drift]") {
  const auto values = errors({{3'000, 0.8}, {3'000, 0.2}});
  CHECK(signals_of(drift::Adwin{}, values).drifts.empty());
  const auto drifts = signals_of(drift::Adwin{{.two_sided = true}}, values).drifts;
  REQUIRE(!drifts.empty());
  CHECK(drifts.front() > 3'000);
  CHECK(drifts.front() < 3'200);
}

TEST_CASE("ADWIN's window has the mean and variance of its last values", "[drift]") {
  auto random = std::mt19937{5};
  auto draw = std::normal_distribution<double>{3, 2};
  drift::Adwin detector{{.two_sided = true}};
  std::vector<double> all;
  for (int i = 0; i < 20'000; ++i) {
    all.push_back(draw(random) + (i > 12'000 ? 1.5 : 0));
    detector.update(all.back());
  }
  const auto n = detector.count();
  CHECK(n < 8'100);  // it has forgotten what was before the change
  CHECK(n > 7'000);
  double sum = 0, squares = 0;
  for (auto i = all.size() - n; i < all.size(); ++i) sum += all[i];
  const double mean = sum / static_cast<double>(n);
  for (auto i = all.size() - n; i < all.size(); ++i) squares += (all[i] - mean) * (all[i] - mean);
  CHECK(detector.estimate() == Approx(mean).epsilon(1e-9));
  CHECK(detector.variance() == Approx(squares / static_cast<double>(n)).epsilon(1e-6));
}

TEST_CASE("OPTWIN's window is never longer than it may be, and its mean is that of its newer part", "[drift]") {
  drift::Optwin detector{{.max_window = 500}};
  auto random = std::mt19937{5};
  std::vector<double> all;
  for (int i = 0; i < 5'000; ++i) {
    all.push_back(static_cast<double>(random() % 1'000) * 1e-3 + 1e5);
    detector.update(all.back());
    REQUIRE(detector.count() <= 500);
    const auto newer = detector.count() - detector.cut();
    double sum = 0;
    for (auto k = all.size() - newer; k < all.size(); ++k) sum += all[k] - 1e5;
    REQUIRE(detector.estimate() - 1e5 == Approx(sum / static_cast<double>(newer)).margin(1e-9));
  }
  CHECK(detector.count() == 500);
}
