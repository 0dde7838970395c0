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

/// Numbers that the compiler cannot foresee (Marsaglia's xorshift), so that neither loop becomes a formula.
class Numbers {
 public:
  using value_type = std::uint64_t;
  explicit Numbers(std::uint64_t n) : left_(n) {}
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

// The filter drops few records, so that the processor can foresee it. With one that it cannot, the loop by hand wins by
// computing both ways, which is possible only because its sum is a local variable that no sink could have.
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

auto with_tensair(std::uint64_t records) -> std::uint64_t {
  std::uint64_t sum = 0;
  tensair::Pipeline pipeline;
  pipeline.source(Numbers{records})
      .map([](std::uint64_t n) { return n >> 3; })
      .map([](std::uint64_t n) { return n * 5 + 1; })
      .filter([](std::uint64_t n) { return n % 64 != 0; })
      .sink([&sum](std::uint64_t n) { sum += n; });
  pipeline.execute();
  return sum;
}

void run(std::uint64_t records, int repetitions, const std::filesystem::path& json) {
  std::vector<double> hand, ours;
  for (int i = 0; i < repetitions; ++i) {
    auto start = bench::cpu_seconds();
    const auto expected = by_hand(records);
    hand.push_back(static_cast<double>(records) / (bench::cpu_seconds() - start));
    start = bench::cpu_seconds();
    const auto sum = with_tensair(records);
    ours.push_back(static_cast<double>(records) / (bench::cpu_seconds() - start));
    if (sum != expected) throw tensair::Error("the two sums differ");
  }
  const auto limit = bench::median(hand), reached = bench::median(ours);
  bench::Report report;
  report.table(fmt::format("chain: map, map, filter, sum; {} records", records), "records/CPU s",
               {{"limit", limit, 1.0, "loop by hand (the limit)"}, {"tensair", reached, reached / limit}});
  report.note("required: at least 0.90: {}", reached >= 0.9 * limit ? "met" : "not met");
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
