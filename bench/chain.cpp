// A chain of record-wise operators beside the loop that one would write by hand.
//
//   chain [--json FILE] [--quick] [--records N] [--repetitions N]

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <tensair/pipeline.hpp>

#include "report.hpp"
#include "seconds.hpp"
#include "statistics.hpp"

namespace {

/// 1, 2, 3, …: the least that a source can cost.
class Counted {
 public:
  using value_type = std::uint64_t;
  explicit Counted(std::uint64_t n) : left_(n) {}
  auto next() -> std::optional<std::uint64_t> {
    if (left_ == 0) return std::nullopt;
    --left_;
    return ++number_;
  }

 private:
  std::uint64_t left_, number_ = 0;
};

/// Numbers that nothing can foresee (Marsaglia's xorshift).
class Random {
 public:
  using value_type = std::uint64_t;
  explicit Random(std::uint64_t n) : left_(n) {}
  auto next() -> std::optional<std::uint64_t> {
    if (left_ == 0) return std::nullopt;
    --left_;
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

 private:
  std::uint64_t left_, state_ = 88172645463325252;
};

/// A sink with a sum of its own. One that adds to a variable outside has to write it for each record.
class Sum {
 public:
  explicit Sum(std::uint64_t& to) : to_(&to) {}
  void operator()(std::uint64_t n) { sum_ += n; }
  void finish() { *to_ = sum_; }

 private:
  std::uint64_t* to_;
  std::uint64_t sum_ = 0;
};

template <class Numbers>
auto by_hand(std::uint64_t records) -> std::uint64_t {
  std::uint64_t sum = 0;
  Numbers numbers{records};
  while (const auto number = numbers.next()) {
    const auto a = *number >> 3;
    const auto b = a * 5 + 1;
    if (b % 64 != 0) sum += b;
  }
  return sum;
}

template <class Numbers>
auto with_tensair(std::uint64_t records) -> std::uint64_t {
  std::uint64_t sum = 0;
  tensair::Pipeline pipeline;
  pipeline.source(Numbers{records})
      .map([](std::uint64_t n) { return n >> 3; })
      .map([](std::uint64_t n) { return n * 5 + 1; })
      .filter([](std::uint64_t n) { return n % 64 != 0; })
      .sink(Sum{sum});
  pipeline.execute();
  return sum;
}

template <class Numbers>
auto compare(bench::Report& report, const std::string& what, std::uint64_t records, int repetitions) -> bool {
  std::vector<double> hand, ours;
  for (int i = 0; i < repetitions; ++i) {
    auto start = bench::cpu_seconds();
    const auto expected = by_hand<Numbers>(records);
    hand.push_back(static_cast<double>(records) / (bench::cpu_seconds() - start));
    start = bench::cpu_seconds();
    const auto sum = with_tensair<Numbers>(records);
    ours.push_back(static_cast<double>(records) / (bench::cpu_seconds() - start));
    if (sum != expected) throw tensair::Error("the two sums differ");
  }
  const auto limit = bench::median(hand), reached = bench::median(ours);
  report.table(fmt::format("chain: map, map, filter, sum; {} {}", records, what), "records/CPU s",
               {{"limit", limit, 1.0, "loop by hand (the limit)"}, {"tensair", reached, reached / limit}});
  return reached >= 0.9 * limit;
}

void run(std::uint64_t records, int repetitions, const std::filesystem::path& json) {
  bench::Report report;
  const bool counted = compare<Counted>(report, "counted numbers", records, repetitions);
  const bool random = compare<Random>(report, "random numbers", records, repetitions);
  report.note("required: at least 0.90 of each: {}", counted && random ? "met" : "not met");
  if (!json.empty()) report.write(json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A chain of operators beside a loop by hand."};
  std::filesystem::path json;
  std::uint64_t records = 50'000'000;
  int repetitions = 7;
  bool quick = false;
  app.add_option("--json", json, "where to write the rows");
  app.add_option("--records", records, "how many");
  app.add_option("--repetitions", repetitions, "how often each side runs, in turn");
  app.add_flag("--quick", quick, "a few seconds");
  CLI11_PARSE(app, argc, argv);
  if (quick) records = std::min<std::uint64_t>(records, 20'000'000);
  try {
    run(records, repetitions, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "chain: {}\n", error.what());
    return 1;
  }
}
