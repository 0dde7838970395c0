// Windows: the Yahoo streaming benchmark in memory beside a loop by hand, sliding windows beside tumbling ones,
// sessions.
//
//   windows [--json FILE] [--quick] [--only-ysb] [--events N] [--repetitions N]
//
// The Yahoo streaming benchmark (Chintapalli et al., "Benchmarking streaming computation engines", 2016) counts the
// views of advertisements by campaign in windows of 10 s: 1,000 ads belong to 100 campaigns, a third of the events are
// views. Events are made from a seed, a microsecond apart.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tensair/pipeline.hpp>
#include <thread>
#include <vector>

#include "report.hpp"
#include "seconds.hpp"
#include "statistics.hpp"

namespace {

using tensair::EventTime;

enum class Kind : std::uint8_t { view, click, purchase };

struct Event {
  std::uint64_t user;
  std::uint32_t ad;
  Kind kind;
  std::int64_t time;  // µs
};

constexpr std::uint32_t ads = 1'000, campaigns = 100;
constexpr std::int64_t ten_seconds = 10'000'000;

/// Events a microsecond apart, drawn evenly (Marsaglia's xorshift). Part i of n has every n-th of them.
class Events {
 public:
  using value_type = Event;
  explicit Events(std::uint64_t n, std::uint64_t users = 1'000'000) : n_(n), users_(users) {}

  void split(int part, int parts) {
    at_ = static_cast<std::uint64_t>(part);
    step_ = static_cast<std::uint64_t>(parts);
    state_ += at_ * 0x9e37'79b9'7f4a'7c15U;
  }
  auto next() -> std::optional<Event> {
    if (at_ >= n_) return std::nullopt;
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    const auto time = static_cast<std::int64_t>(std::exchange(at_, at_ + step_));
    const auto low = static_cast<std::uint32_t>(state_), high = static_cast<std::uint32_t>(state_ >> 32);
    return Event{scaled(low ^ high, users_), scaled(low, ads), static_cast<Kind>(scaled(high, 3)), time};
  }

 private:
  static auto scaled(std::uint32_t random, std::uint64_t below) -> std::uint32_t {
    return static_cast<std::uint32_t>(random * below >> 32);
  }

  std::uint64_t n_, users_, at_ = 0, step_ = 1, state_ = 88172645463325252;
};

/// What results came to, so that sides can be compared and nothing is left out.
struct Sum {
  std::uint64_t results = 0, total = 0, check = 0;
  friend auto operator==(const Sum&, const Sum&) -> bool = default;
  void add(std::uint64_t key, std::int64_t window, std::uint64_t value) {
    ++results;
    total += value;
    check += (key * 31 + static_cast<std::uint64_t>(window)) * value;
  }
};

auto campaign_table() -> std::array<std::uint32_t, ads> {
  std::array<std::uint32_t, ads> of_ad{};
  for (std::uint32_t ad = 0; ad < ads; ++ad) of_ad[ad] = ad * 7 % campaigns;
  return of_ad;
}
const auto campaign_of_ad = campaign_table();

/// As one would write it for events in order: counters by campaign, emptied when a window is over.
auto ysb_by_hand(Events events) -> Sum {
  Sum sum;
  std::array<std::uint64_t, campaigns> counts{};
  std::int64_t end = ten_seconds;
  const auto close = [&] {
    for (std::uint32_t campaign = 0; campaign < campaigns; ++campaign) {
      if (counts[campaign] > 0) sum.add(campaign, end, counts[campaign]);
    }
    counts.fill(0);
  };
  while (const auto event = events.next()) {
    if (event->kind != Kind::view) continue;
    while (event->time >= end) {
      close();
      end += ten_seconds;
    }
    ++counts[campaign_of_ad[event->ad]];
  }
  close();
  return sum;
}

/// By two threads, each of which makes half of the events; what is left to do, adding few counters, is left out.
auto ysb_by_two_hands(std::uint64_t n) -> Sum {
  Sum sums[2];
  const auto run_half = [&](int half) {
    Events events{n};
    events.split(half, 2);
    sums[half] = ysb_by_hand(events);
  };
  {
    const std::jthread other{[&] { run_half(1); }};
    run_half(0);
  }
  return {sums[0].results, sums[0].total + sums[1].total, 0};
}

auto pipeline_of(int threads) -> tensair::Pipeline {
  tensair::Options options;
  options.threads = threads;
  return tensair::Pipeline{options};
}

auto time_of(const Event& event) -> EventTime {
  return EventTime{std::chrono::microseconds{event.time}};
}
auto end_of(const tensair::Window& window) -> std::int64_t {
  return window.end.time_since_epoch().count();
}

struct View {
  std::uint32_t campaign;
  std::int64_t time;
};

auto ysb(std::uint64_t n, int parallel) -> Sum {
  Sum sum;
  auto pipeline = pipeline_of(parallel);
  pipeline.source(Events{n})
      .parallel(parallel)
      .filter([](const Event& event) { return event.kind == Kind::view; })
      .map([](const Event& event) {
        return View{campaign_of_ad[event.ad], event.time};
      })
      .assign_timestamps([](const View& view) { return EventTime{std::chrono::microseconds{view.time}}; })
      .key_by(&View::campaign)
      .window(tensair::tumbling(std::chrono::seconds{10}))
      .count()
      .sink([&](const auto& result) { sum.add(result.key, end_of(result.window), result.value); });
  pipeline.execute();
  return sum;
}

/// The sum of some number by key.
template <class Windows>
auto sums(std::uint64_t n, std::uint64_t keys, Windows windows) -> Sum {
  Sum sum;
  auto pipeline = pipeline_of(1);
  pipeline.source(Events{n, keys})
      .assign_timestamps(time_of)
      .key_by(&Event::user)
      .window(windows)
      .sum(&Event::ad)
      .sink([&](const auto& result) { sum.add(result.key, end_of(result.window), result.value); });
  pipeline.execute();
  return sum;
}

struct Side {
  std::string system, label;
  std::function<Sum()> run;
  std::vector<double> a_cpu_second{}, a_second{};
};

/// Runs the sides in turn; returns what each came to.
auto alternate(std::vector<Side>& sides, std::uint64_t events, int repetitions) -> std::vector<Sum> {
  std::vector<Sum> sums(sides.size());
  for (int i = 0; i < repetitions; ++i) {
    for (std::size_t k = 0; k < sides.size(); ++k) {
      const double cpu = bench::cpu_seconds(), wall = bench::wall_seconds();
      sums[k] = sides[k].run();
      sides[k].a_cpu_second.push_back(static_cast<double>(events) / (bench::cpu_seconds() - cpu));
      sides[k].a_second.push_back(static_cast<double>(events) / (bench::wall_seconds() - wall));
    }
  }
  return sums;
}

void table(bench::Report& report, const std::string& workload, const std::vector<Side>& sides) {
  std::vector<bench::Row> rows;
  const double limit = bench::median(sides[0].a_cpu_second);
  for (const auto& side : sides) {
    const double value = bench::median(side.a_cpu_second);
    rows.push_back({side.system, value, value / limit, side.label});
  }
  report.table(workload, "events/CPU s", rows);
}

auto verdict(bool met) -> const char* {
  return met ? "met" : "not met";
}

void compare_ysb(bench::Report& report, std::uint64_t events, int repetitions) {
  std::vector<Side> sides = {
      {"limit", "loop by hand (the limit)", [&] { return ysb_by_hand(Events{events}); }},
      {"tensair", "tensair, one instance", [&] { return ysb(events, 1); }},
      {"tensair, parallel(2)", "tensair, parallel(2)", [&] { return ysb(events, 2); }},
      {"limit, two threads", "loop by hand, two threads", [&] { return ysb_by_two_hands(events); }}};
  const auto sums = alternate(sides, events, repetitions);
  if (sums[1] != sums[0]) throw tensair::Error("the counts differ from those of the loop by hand");
  if (sums[2].results != sums[0].results) throw tensair::Error("two instances have other windows");
  table(report, fmt::format("Yahoo streaming benchmark, {} M events", events / 1'000'000), sides);
  const double one = bench::median(sides[1].a_cpu_second);
  report.note("required: at least 0.50 of the limit: {}", verdict(one >= 0.5 * bench::median(sides[0].a_cpu_second)));
  const double ratio = bench::median(sides[2].a_second) / bench::median(sides[1].a_second);
  report.note("required: parallel(2) at least 1.80 times one instance by time: {:.2f}: {}", ratio,
              verdict(ratio >= 1.8));
  report.note("a loop by hand gains {:.2f} by a second thread",
              bench::median(sides[3].a_second) / bench::median(sides[0].a_second));
  report.end_of_section();
}

void compare_sliding(bench::Report& report, std::uint64_t events, int repetitions) {
  using std::chrono::seconds;
  // A minute has 60 million events, so a few windows of many events each; with fewer events a second there are more
  // windows, of fewer: the result a key and second then costs more than the record does.
  constexpr std::uint64_t keys = 1'000;
  std::vector<Side> sides = {
      {"tensair, tumbling", "tumbling, 60 s", [&] { return sums(events, keys, tensair::tumbling(seconds{60})); }},
      {"tensair", "sliding, 60 s every 1 s",
       [&] { return sums(events, keys, tensair::sliding(seconds{60}, seconds{1})); }}};
  const auto sums = alternate(sides, events, repetitions);
  // Each event is in 60 windows.
  if (sums[1].total != 60 * sums[0].total) throw tensair::Error("the sliding windows' sums are others");
  table(report, fmt::format("sum by key in windows, {} M events, {} keys", events / 1'000'000, keys), sides);
  report.note("required: sliding at least 0.50 of tumbling: {}",
              verdict(bench::median(sides[1].a_cpu_second) >= 0.5 * bench::median(sides[0].a_cpu_second)));
  report.end_of_section();
}

void measure_sessions(bench::Report& report, std::uint64_t events, int repetitions) {
  constexpr std::uint64_t keys = 1'000'000;
  // With a record a key and second on average, gaps of 2 s make sessions of seven records or so.
  std::vector<Side> sides = {{"tensair", "sessions with a gap of 2 s",
                              [&] { return sums(events, keys, tensair::session(std::chrono::seconds{2})); }}};
  alternate(sides, events, repetitions);
  table(report, fmt::format("session windows, {} M events, {} keys", events / 1'000'000, keys), sides);
  report.note("required: at least 5 M records a second of one thread: {}",
              verdict(bench::median(sides[0].a_cpu_second) >= 5e6));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Windows: the Yahoo streaming benchmark, sliding windows, sessions."};
  std::filesystem::path json;
  std::uint64_t events = 100'000'000;
  int repetitions = 5;
  bool quick = false, only_ysb = false;
  app.add_option("--json", json, "where to write the rows");
  app.add_flag("--only-ysb", only_ysb, "the Yahoo streaming benchmark alone");
  app.add_option("--events", events, "how many")->check(CLI::PositiveNumber);
  app.add_option("--repetitions", repetitions, "how often each side runs, in turn")->check(CLI::PositiveNumber);
  app.add_flag("--quick", quick, "within 20 s");
  CLI11_PARSE(app, argc, argv);
  if (quick) {
    events = std::min<std::uint64_t>(events, 30'000'000);
    repetitions = std::min(repetitions, 3);
  }
  try {
    bench::Report report;
    compare_ysb(report, events, repetitions);
    if (!only_ysb) {
      compare_sliding(report, events, repetitions);
      measure_sessions(report, events / 5, repetitions);
    }
    if (!json.empty()) report.write(json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "windows: {}\n", error.what());
    return 1;
  }
}
